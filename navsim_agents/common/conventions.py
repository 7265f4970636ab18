"""Numbers and names that NAVSIM fixes and several rooms share: each has its one definition here, with unit and source.

Where two names have one value they mean two things, as their comments say. Imports nothing: every room may import it.
"""

from __future__ import annotations

# Plans: NAVSIM's agents answer with TrajectorySampling(num_poses=8, interval_length=0.5).
POSE_INTERVAL_S = 0.5  # between planned poses; the first comes this long after now
NUM_POSES = 8  # planned poses
HORIZON_S = 4.0  # covered by a plan, and judged by both metrics

# Metric: NAVSIM's scorers simulate plans by TrajectorySampling(num_poses=40, interval_length=0.1).
STEP_S = 0.1  # between simulated states
STEP_US = 100_000  # the same in the whole microseconds of NAVSIM's time stamps
NUM_STEPS = 40  # simulated steps after now; also the poses of a vocabulary's trajectory, which is made to be scored
NUM_STATES = NUM_STEPS + 1  # simulated states, now among them
STEPS_PER_POSE = 5  # simulated steps from one planned pose to the next
PDMS_NAME, EPDMS_NAME = "pdms", "epdms"  # of devkit v1.1 and of devkit v2.2
METRIC_NAMES = (PDMS_NAME, EPDMS_NAME)

# Logs: OpenScene keeps frames at 2 Hz. That plans have the same interval is NAVSIM's choice, not a law: logs at another
# rate would leave POSE_INTERVAL_S as it is.
FRAME_INTERVAL_S = 0.5  # between frames of a log
NUM_HISTORY_FRAMES = 4  # frames that an agent sees, now the last of them
NUM_FUTURE_FRAMES = 10  # frames after now in a scene of NAVSIM's splits; two more than a plan has poses
NUM_CLIP_FRAMES = 2  # frames of the front camera that planners see, the last of them now (Drive-JEPA, section 3.2)
DRIVING_COMMANDS = ("left", "straight", "right", "unknown")  # in the order of NAVSIM's one-hot command

# Distillation: what the paper and the released code have.
TEACHER_THRESHOLD = 0.95  # score from which on a trajectory is a pseudo-teacher
TEACHER_CAP = 256  # pseudo-teachers kept of a scene

# Built-in world: its simulator's step is as long as the metric's by our choice; neither follows from the other.
WORLD_STEP_S = 0.1  # between states of everybody in a drive

# Cameras of nuPlan's cars, by NAVSIM's names.
CAMERA_NAMES = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0")
FRONT_CAMERA = "cam_f0"
CAMERA_WIDTH_PX, CAMERA_HEIGHT_PX = 1920, 1080  # of a picture as it leaves the camera

# The ego: nuPlan's Pacifica (get_pacifica_parameters), which NAVSIM simulates.
EGO_LENGTH_M = 5.176
EGO_WIDTH_M = 2.297
EGO_HEIGHT_M = 1.777
EGO_REAR_AXLE_TO_CENTER_M = 1.461  # forward
EGO_WHEEL_BASE_M = 3.089
EGO_MEASURES_M = (EGO_LENGTH_M / 2, EGO_WIDTH_M / 2, EGO_REAR_AXLE_TO_CENTER_M, EGO_WHEEL_BASE_M)
"""In the order of ``navsim_agents.scoring.axes.Vehicle``: half length, half width, rear axle to centre, wheel base."""
