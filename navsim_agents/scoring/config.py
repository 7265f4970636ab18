"""Every threshold and weight of both metrics, with unit and source."""

from __future__ import annotations

from dataclasses import dataclass, field

from navsim_agents.common.conventions import EPDMS_NAME, NUM_STATES, PDMS_NAME
from navsim_agents.errors import TrajectoryError

# Whose traffic plans are scored in.
LOG_REPLAY = "log_replay"  # the log's, whatever the ego does; the devkit's policy non_reactive
REACTIVE = "reactive"  # vehicles that react to each plan, as the devkit's two-stage script has them
TRAFFIC_NAMES = (LOG_REPLAY, REACTIVE)


@dataclass(frozen=True)
class TrackerConfig:
    """LQR tracker and kinematic bicycle (NAVSIM's BatchLQRTracker and BatchKinematicBicycleModel defaults)."""

    velocity_weight: float = 10.0
    acceleration_weight: float = 1.0
    lateral_error_weight: float = 1.0
    heading_error_weight: float = 10.0
    steering_rate_weight: float = 1.0
    horizon_steps: int = 10
    jerk_penalty: float = 1e-4
    curvature_rate_penalty: float = 1e-2
    initial_curvature_penalty: float = 1e-10
    stopping_gain_per_s: float = 0.5
    stopping_speed_mps: float = 0.2
    max_steering_rad: float = 1.0471975511965976
    acceleration_lag_s: float = 0.2
    steering_lag_s: float = 0.05


@dataclass(frozen=True)
class ComfortBounds:
    """Open bounds of nuPlan's comfort metric."""

    min_longitudinal_acceleration: float = -4.05  # m/s^2
    max_longitudinal_acceleration: float = 2.40  # m/s^2
    max_lateral_acceleration: float = 4.89  # m/s^2
    max_jerk: float = 8.37  # m/s^3
    max_longitudinal_jerk: float = 4.13  # m/s^3
    max_yaw_rate: float = 0.95  # rad/s
    max_yaw_acceleration: float = 1.93  # rad/s^2


@dataclass(frozen=True)
class ExtendedComfortBounds:
    """Closed bounds on root mean square differences between two plans (NAVSIM v2.2)."""

    acceleration: float = 0.7  # m/s^2
    jerk: float = 0.5  # m/s^3
    yaw_rate: float = 0.1  # rad/s
    yaw_acceleration: float = 0.1  # rad/s^2


@dataclass(frozen=True)
class Weights:
    """Weights of the averaged sub-scores; a weight of zero leaves the sub-score out."""

    progress: float = 5.0
    time_to_collision: float = 5.0
    comfort: float = 2.0
    lane_keeping: float = 0.0
    extended_comfort: float = 0.0


@dataclass(frozen=True)
class MetricConfig:
    """What distinguishes PDMS (v1.1) from EPDMS (v2.2), and the thresholds that they share."""

    name: str
    weights: Weights
    ttc_steps: int  # number of states that time to collision is evaluated at
    uses_history: bool  # comfort: logged history in front, accelerations at the vehicle's centre
    ignores_tracks_hit_at_start: bool
    intersection_excuses_direction: bool
    normalizes_gated_progress: bool  # the numerator of progress is raw * gates instead of raw
    ttc_offsets: tuple[int, ...] = (0, 3, 6, 9)  # steps of look-ahead
    stopped_speed_mps: float = 5e-2  # at-fault collision: ego or track stands
    ttc_stopped_speed_mps: float = 5e-3
    ahead_angle_deg: float = 30.0
    behind_angle_deg: float = 150.0
    direction_window_steps: int = 11  # the last second, both ends included
    direction_compliance_m: float = 2.0
    direction_violation_m: float = 6.0
    progress_threshold_m: float = 5.0
    lane_deviation_m: float = 0.5
    lane_deviation_steps: int = 20
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    comfort: ComfortBounds = field(default_factory=ComfortBounds)
    extended_comfort: ExtendedComfortBounds = field(default_factory=ExtendedComfortBounds)

    @property
    def track_steps(self) -> int:
        """Track columns that the rules look at, 0.1 s apart."""
        return max(NUM_STATES, self.ttc_steps + max(self.ttc_offsets))


PDMS = MetricConfig(
    name=PDMS_NAME,
    weights=Weights(),
    ttc_steps=NUM_STATES,
    uses_history=False,
    ignores_tracks_hit_at_start=True,
    intersection_excuses_direction=False,
    normalizes_gated_progress=True,
)
EPDMS = MetricConfig(
    name=EPDMS_NAME,
    weights=Weights(lane_keeping=2.0, extended_comfort=2.0),
    ttc_steps=NUM_STATES - 9,
    uses_history=True,
    ignores_tracks_hit_at_start=False,
    intersection_excuses_direction=True,
    normalizes_gated_progress=False,
)
METRICS = {metric.name: metric for metric in (PDMS, EPDMS)}


def metric_config(name: str) -> MetricConfig:
    """The metric of that name.

    Raises:
        TrajectoryError: no metric has that name.
    """
    if name not in METRICS:
        raise TrajectoryError(f"metric is {name!r}, but must be one of {', '.join(METRICS)}")
    return METRICS[name]


def refuse_traffic(traffic: str, metric: MetricConfig) -> None:
    """Raises TrajectoryError unless plans can be scored by the metric in this traffic."""
    if traffic not in TRAFFIC_NAMES:
        raise TrajectoryError(f"traffic is {traffic!r}, but must be one of {', '.join(TRAFFIC_NAMES)}")
    if traffic == REACTIVE and metric.name != EPDMS_NAME:
        raise TrajectoryError(
            f"traffic is {REACTIVE}, but {metric.name} (devkit v1.1) replays the log alone; choose metric={EPDMS_NAME} "
            f"or traffic={LOG_REPLAY}"
        )
