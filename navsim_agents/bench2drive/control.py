"""From a plan to steering, throttle and brake: the usual agents' PID controllers, or this package's tracker.

CARLA's VehicleControl refuses numpy numbers, and a route on which an agent raises an error is lost: what is returned
are plain floats within the limits.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, SupportsFloat

import numpy as np
import torch
from jaxtyping import Float64

from navsim_agents.bench2drive.frames import CAR_LENGTH_M, CAR_WIDTH_M, REAR_AXLE_M, WHEEL_BASE_M
from navsim_agents.common.conventions import NUM_POSES, NUM_STATES, POSE_INTERVAL_S, STEP_S
from navsim_agents.common.planar import arc_lengths
from navsim_agents.common.poses import XY, X, Y
from navsim_agents.common.settings import at_least, within
from navsim_agents.drive_jepa.continued import continued
from navsim_agents.errors import SettingError
from navsim_agents.scoring.axes import State
from navsim_agents.scoring.config import EPDMS
from navsim_agents.scoring.simulation.reference import exact_times_us, reference_poses
from navsim_agents.scoring.simulation.tracker import simulate

Plan = Float64[np.ndarray, "T 3"]
PID, LQR = "pid", "lqr"
CONTROLLERS = (PID, LQR)
CAR = (CAR_LENGTH_M / 2.0, CAR_WIDTH_M / 2.0, REAR_AXLE_M, WHEEL_BASE_M)


@dataclass(frozen=True)
class Control:
    """What the car is told; the fields of CARLA's VehicleControl that count here."""

    steer: float = 0.0  # -1 (left) to 1 (right)
    throttle: float = 0.0  # 0 to 1
    brake: float = 0.0  # 0 to 1


def limited(steer: SupportsFloat, throttle: SupportsFloat, brake: SupportsFloat, max_throttle: float = 1.0) -> Control:
    """Plain floats within the limits; NaN is no steering, no throttle, and the full brake."""
    values = [float(value) for value in (steer, throttle, brake)]
    if not all(map(math.isfinite, values)):
        return Control(brake=1.0)
    lowest, highest = (-1.0, 0.0, 0.0), (1.0, max_throttle, 1.0)
    return Control(*(min(max(value, low), high) for value, low, high in zip(values, lowest, highest)))


class Controller(Protocol):
    """Follows plans, one a tick."""

    def step(self, plan: Plan, speed_mps: float, yaw_rate: float, target: Float64[np.ndarray, "2"]) -> Control:
        """Control for one tick.

        Args:
            plan: poses of the rear axle, 0.5 s apart, x ahead, y left, in the ego frame of now.
            speed_mps: now.
            yaw_rate: now [rad/s], to the left.
            target: next point of the route [m] in the ego frame.
        """


@dataclass(frozen=True)
class PidConfig:
    """The usual agents' values (Bench2DriveZoo ``team_code/pid_controller.py``)."""

    turn_gains: list[float] = field(default_factory=lambda: [0.75, 0.75, 0.3])  # of error, mean error, its change
    speed_gains: list[float] = field(default_factory=lambda: [5.0, 0.5, 1.0])
    window: int = field(default=40, metadata=at_least(2))  # ticks of the mean; before the start errors were 0
    max_throttle: float = field(default=0.75, metadata=within(0.0, 1.0))
    speed_error_mps: float = field(default=0.25, metadata=at_least(0.0))  # at most so much is wanted at once
    stop_mps: float = field(default=0.4, metadata=at_least(0.0))  # a plan slower than this: full brake
    brake_ratio: float = field(default=1.1, metadata=at_least(1.0))  # and so where the car is this much too fast
    aim_m: float = field(default=4.0, metadata=at_least(0.0))  # steer for the pose nearest to this; iPad has 11
    angle_threshold: float = field(default=0.3, metadata=within(0.0, 4.0))  # of 90 degrees
    target_m: float = field(default=10.0, metadata=at_least(0.0))

    def __post_init__(self) -> None:
        """Raises SettingError unless there are three gains each."""
        for name in ("turn_gains", "speed_gains"):
            if len(getattr(self, name)) != 3:
                raise SettingError(f"{name}={getattr(self, name)}, but must be three gains: proportional, mean, change")


class Pid:
    """One loop; its "integral" is the mean of a window that is full of zeros at the start."""

    def __init__(self, gains: Sequence[float], window: int) -> None:
        """With gains of the error, of its mean and of its change."""
        self._gains = gains
        self._errors: deque[float] = deque([0.0] * window, maxlen=window)

    def step(self, error: float) -> float:
        """The answer to an error."""
        self._errors.append(error)
        mean = sum(self._errors) / len(self._errors)
        terms = (error, mean, self._errors[-1] - self._errors[-2])
        return sum(gain * term for gain, term in zip(self._gains, terms))


class PidController:
    """Steers for one pose of the plan, or for the route's next point where that is safer; speed from the plan's."""

    def __init__(self, config: PidConfig) -> None:
        """At the start of a route."""
        self._config = config
        self._turn, self._speed = Pid(config.turn_gains, config.window), Pid(config.speed_gains, config.window)

    def step(self, plan: Plan, speed_mps: float, yaw_rate: float, target: Float64[np.ndarray, "2"]) -> Control:
        """As :class:`Controller`; the yaw rate is not looked at."""
        config, places = self._config, plan[:, XY]
        steps = np.diff(places, axis=0)
        desired = mean_speed(plan)
        middles = np.linalg.norm((places[1:] + places[:-1]) / 2.0, axis=1)
        aim = places[int(np.abs(middles - config.aim_m).argmin())]
        angle, angle_target = turn_of(aim), turn_of(target)
        is_off = abs(angle_target - turn_of(steps[-1])) > config.angle_threshold and target[X] < config.target_m
        steer = self._turn.step(angle_target if abs(angle_target) < abs(angle) or is_off else angle)
        throttle = self._speed.step(min(max(desired - speed_mps, 0.0), config.speed_error_mps))
        if desired < config.stop_mps or speed_mps > config.brake_ratio * desired:
            return limited(steer, 0.0, 1.0)
        return limited(steer, throttle, 0.0, config.max_throttle)


def mean_speed(plan: Plan) -> float:
    """From the first to the last of a plan's poses [m/s]."""
    return float(arc_lengths(plan)[-1]) / ((len(plan) - 1) * POSE_INTERVAL_S)


def turn_of(place: Float64[np.ndarray, "2"]) -> float:
    """Direction of a place of the ego frame, to the right, in units of 90 degrees, -2 to 2.

    The usual agents' runs from -1 to 3, so that they turn to the right for a place that lies behind on the left.
    """
    return float(-np.arctan2(place[Y], place[X]) / (math.pi / 2.0))


@dataclass(frozen=True)
class LqrConfig:
    """How the tracker's steering angle and acceleration become CARLA's pedals; an agent may not ask the car itself.

    CARLA's MKZ turns its front wheels by up to 70 degrees at a standstill. Its pedals act about linearly in town:
    throttle 1 gives some 4 m/s^2, brake 1 some 8 m/s^2, and it takes about 0.02 a m/s to hold a speed. These three are
    coarse, and settings because other cars differ.
    """

    max_steer_deg: float = field(default=70.0, metadata=at_least(1.0))
    throttle_mps2: float = field(default=4.0, metadata=at_least(0.1))
    brake_mps2: float = field(default=8.0, metadata=at_least(0.1))
    hold_per_mps: float = field(default=0.02, metadata=at_least(0.0))
    max_throttle: float = field(default=0.75, metadata=within(0.0, 1.0))
    stop_mps: float = field(default=0.4, metadata=at_least(0.0))


class LqrController:
    """The scorer's LQR tracker and bicycle for one step of 0.1 s from the car's motion of now."""

    def __init__(self, config: LqrConfig) -> None:
        """At the start of a route."""
        self._config = config

    def step(self, plan: Plan, speed_mps: float, yaw_rate: float, target: Float64[np.ndarray, "2"]) -> Control:
        """As :class:`Controller`; the route's point is not looked at."""
        config = self._config
        after = _tracked(plan, speed_mps, yaw_rate)
        steer = -math.degrees(float(after[State.STEERING_ANGLE])) / config.max_steer_deg
        wanted = float(after[State.VELOCITY_X] - speed_mps) / STEP_S
        if mean_speed(plan) < config.stop_mps:
            return limited(steer, 0.0, 1.0)
        pedal = wanted / config.throttle_mps2 + config.hold_per_mps * speed_mps
        if pedal >= 0.0:
            return limited(steer, pedal, 0.0, config.max_throttle)
        return limited(steer, 0.0, -wanted / config.brake_mps2)


def _tracked(plan: Plan, speed_mps: float, yaw_rate: float) -> Float64[np.ndarray, "11"]:
    """The state 0.1 s from now; the wheels' angle of now is what the bicycle needs for the yaw rate."""
    start = torch.zeros(1, len(State), dtype=torch.float64)
    start[0, State.VELOCITY_X] = speed_mps
    start[0, State.STEERING_ANGLE] = math.atan2(WHEEL_BASE_M * yaw_rate, max(speed_mps, 1.0))
    origin = torch.zeros(1, 3, dtype=torch.float64)
    poses = torch.from_numpy(extended(plan))[None, None]
    knots = exact_times_us(NUM_POSES + 1, POSE_INTERVAL_S)[None]
    reference = reference_poses(poses, origin, origin, knots, exact_times_us(NUM_STATES, STEP_S)[None])
    states = simulate(reference, start, torch.tensor([CAR], dtype=torch.float64), EPDMS.tracker)
    return states[0, 0, 1].numpy()


def extended(plans: Float64[np.ndarray, "*batch T 3"]) -> Float64[np.ndarray, "*batch P 3"]:
    """Plans carried on to 4 s, which the tracker and the comparison of plans look at."""
    return continued(torch.from_numpy(plans), NUM_POSES).numpy()
