"""The devkit's own scores of many trajectories of one scene: what the batched scorer is compared with."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64

from navsim_agents.common.conventions import (
    EPDMS_NAME,
    HORIZON_S,
    NUM_POSES,
    NUM_STATES,
    NUM_STEPS,
    PDMS_NAME,
    POSE_INTERVAL_S,
    STEP_S,
)
from navsim_agents.devkit.metric_cache import cache_variant
from navsim_agents.devkit.variant import Variant
from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring.aggregate import COLUMNS, SCORE
from navsim_agents.scoring.traffic.roles import TRAFFIC

FloatArray = npt.NDArray[np.float64]
Columns = dict[str, FloatArray]

METRIC = {Variant.V1_1: PDMS_NAME, Variant.V2_2: EPDMS_NAME}


@dataclass(frozen=True)
class JointScores:
    """The devkit's answers of one joint call, progress normalised pair by pair."""

    columns: Columns  # [N] each
    simulated_states: Float64[np.ndarray, "N 41 11"]  # map frame
    raw_progress: Float64[np.ndarray, " N"]  # m
    collision_step: Float64[np.ndarray, " N"]  # , inf where there is none
    ttc_step: Float64[np.ndarray, " N"]
    ego_areas: Bool[np.ndarray, "N 41 3"]  # multiple lanes, non-drivable, oncoming


@dataclass(frozen=True)
class _Judge:
    """The devkit's simulator, scorer and (v2.2) traffic, at the sampling of its evaluation."""

    sampling: Any
    simulator: Any
    scorer: Any
    traffic: Any

    @staticmethod
    def build(variant: Variant, human_penalty_filter: bool = False, reactive: bool = False) -> _Judge:
        from navsim.planning.simulation.planner.pdm_planner.scoring.pdm_scorer import PDMScorer, PDMScorerConfig
        from navsim.planning.simulation.planner.pdm_planner.simulation.pdm_simulator import PDMSimulator
        from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

        sampling = TrajectorySampling(num_poses=NUM_STATES - 1, interval_length=STEP_S)
        simulator = PDMSimulator(sampling)
        if variant is not Variant.V2_2:
            return _Judge(sampling, simulator, PDMScorer(sampling), traffic=None)
        from navsim.traffic_agents_policies.log_replay_traffic_agents import LogReplayTrafficAgents

        scorer = PDMScorer(sampling, PDMScorerConfig(human_penalty_filter=human_penalty_filter))
        return _Judge(
            sampling, simulator, scorer, reactive_agents(sampling) if reactive else LogReplayTrafficAgents(sampling)
        )


def reactive_agents(sampling: Any) -> Any:
    """The devkit's traffic that reacts to the ego, as its two-stage script configures it."""
    from navsim.planning.simulation.observation.navsim_idm_agents import NavsimIDMAgents
    from navsim.traffic_agents_policies.navsim_IDM_traffic_agents import NavsimIDMTrafficAgents

    observation = NavsimIDMAgents(
        target_velocity=TRAFFIC.wanted_speed_mps,
        min_gap_to_lead_agent=TRAFFIC.min_gap_m,
        headway_time=TRAFFIC.headway_s,
        accel_max=TRAFFIC.acceleration_mps2,
        decel_max=TRAFFIC.braking_mps2,
        open_loop_detections_types=[],
        minimum_path_length=TRAFFIC.min_path_m,
        radius=TRAFFIC.radius_m,
        add_open_loop_parked_vehicles=True,
        idm_snap_threshold=TRAFFIC.snap_m,
    )
    return NavsimIDMTrafficAgents(sampling, observation)


def score_with_devkit(
    metric_cache: Any,
    trajectories: npt.NDArray[np.floating],
    interval_s: float = POSE_INTERVAL_S,
    human_penalty_filter: bool = False,
    reactive: bool = False,
    traffic_as: Callable[[Any], Any] = lambda policy: policy,
) -> Columns:
    """Score each of [N, P, 3] trajectories alone against PDM-Closed, by the devkit's ``pdm_score``.

    Args:
        metric_cache: of the devkit that is on the path.
        trajectories: poses x, y, heading (m, rad, ego frame at t0), the first one ``interval_s`` after t0.
        interval_s: s between poses; they cover 4 s.
        human_penalty_filter: excuse sub-scores on which the human scores 0 (v2.2; ``pdm_score`` stays as it is).
        reactive: traffic reacts to each plan (v2.2), instead of the log's.
        traffic_as: puts another policy in the place of v2.2's traffic, such as one that looks on.

    Returns:
        The devkit's columns [N], without extended comfort.

    Raises:
        TrajectoryError: wrong shape or interval, or a human filter or reactive traffic with v1.1, which has neither.
    """
    from navsim.evaluate.pdm_score import pdm_score

    _check(trajectories, interval_s)
    variant = cache_variant(metric_cache)
    if human_penalty_filter and variant is not Variant.V2_2:
        raise TrajectoryError("human_penalty_filter is set, but devkit v1.1 has no human filter; unset it")
    if reactive and variant is not Variant.V2_2:
        raise TrajectoryError("reactive is set, but devkit v1.1 replays the log alone; unset it")
    judge = _Judge.build(variant, human_penalty_filter, reactive)
    traffic, names = traffic_as(judge.traffic), COLUMNS[METRIC[variant]]
    rows: list[dict[str, float]] = []
    for poses in trajectories:
        common = (
            _own_tracks(metric_cache),
            _trajectory(poses, interval_s),
            judge.sampling,
            judge.simulator,
            judge.scorer,
        )
        if variant is Variant.V2_2:
            frame, _ = pdm_score(*common, traffic)
            rows.append({name: float(frame[name].iloc[0]) for name in names})
        else:
            result = pdm_score(*common)
            rows.append({name: float(getattr(result, name)) for name in names})
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in names}


def score_jointly_with_devkit(
    metric_cache: Any, trajectories: npt.NDArray[np.floating], interval_s: float = POSE_INTERVAL_S
) -> JointScores:
    """The same scores by one call of the devkit's simulator and scorer, five to ten times as fast.

    A joint call normalises progress by the best of all trajectories; so the devkit's own aggregation is run once
    more on each pair of PDM-Closed and one trajectory. Nothing else depends on the other trajectories.

    Raises:
        TrajectoryError: wrong shape or interval.
    """
    _check(trajectories, interval_s)
    variant = cache_variant(metric_cache)
    judge = _Judge.build(variant)
    states = _simulate(metric_cache, trajectories, interval_s, judge)
    cached = (
        metric_cache.observation,
        metric_cache.centerline,
        metric_cache.route_lane_ids,
        metric_cache.drivable_area_map,
    )
    if variant is Variant.V2_2:
        tracks = judge.traffic.simulate_environment(states[1], metric_cache)
        judge.scorer.score_proposals(
            states, *cached, metric_cache.map_parameters, tracks, metric_cache.past_human_trajectory
        )
    else:
        judge.scorer.score_proposals(states, *cached)
    scorer = judge.scorer
    return JointScores(
        columns=_paired_columns(scorer, variant),
        simulated_states=states[1:],
        raw_progress=scorer._progress_raw[1:].copy(),
        collision_step=scorer._collision_time_idcs[1:].copy(),
        ttc_step=scorer._ttc_time_idcs[1:].copy(),
        ego_areas=scorer._ego_areas[1:].copy(),
    )


def _check(trajectories: npt.NDArray[np.floating], interval_s: float) -> None:
    shape = trajectories.shape
    if len(shape) != 3 or shape[2] != 3 or abs(shape[1] * interval_s - HORIZON_S) > 1e-6:
        raise TrajectoryError(
            f"trajectories has shape {shape} with interval_s={interval_s}, but the devkit scores [N, P, 3] poses over "
            f"{HORIZON_S} s; sample them with {NUM_POSES} poses and {POSE_INTERVAL_S} s, or {NUM_STEPS} and {STEP_S} s"
        )


def _own_tracks(metric_cache: Any) -> Any:
    """The same cache with an observation of its own, whose tracks the scorer puts others in the place of."""
    own = copy.copy(metric_cache)
    own.observation = copy.copy(metric_cache.observation)
    return own


def _trajectory(poses: npt.NDArray[np.floating], interval_s: float) -> Any:
    """The devkit's trajectory; its class wants float32 in v1.1's annotations, but computes in float64."""
    from navsim.common.dataclasses import Trajectory
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    return Trajectory(poses, TrajectorySampling(num_poses=len(poses), interval_length=interval_s))


def _simulate(
    metric_cache: Any, trajectories: npt.NDArray[np.floating], interval_s: float, judge: _Judge
) -> FloatArray:
    """Simulated states [1 + N, 41, 11] on the map, PDM-Closed's first."""
    from navsim.evaluate.pdm_score import get_trajectory_as_array, transform_trajectory

    ego_state = metric_cache.ego_state
    plans = [transform_trajectory(_trajectory(poses, interval_s), ego_state) for poses in trajectories]
    sampled = [
        get_trajectory_as_array(plan, judge.sampling, ego_state.time_point)
        for plan in [metric_cache.trajectory, *plans]
    ]
    return np.asarray(judge.simulator.simulate_proposals(np.stack(sampled), ego_state), dtype=np.float64)


def _paired_columns(scorer: Any, variant: Variant) -> Columns:
    """Columns [N] from the scorer's answers [1 + N], each trajectory aggregated with PDM-Closed alone."""
    from navsim.planning.simulation.planner.pdm_planner.utils.pdm_enums import MultiMetricIndex, WeightedMetricIndex

    multi, weighted, raw = scorer._multi_metrics, scorer._weighted_metrics, scorer._progress_raw
    aggregate = scorer._aggregate_pdm_scores if variant is Variant.V2_2 else scorer._aggregate_scores
    progress, final = np.zeros(len(raw) - 1), np.zeros(len(raw) - 1)
    for row in range(1, len(raw)):
        pair = [0, row]
        scorer._multi_metrics, scorer._weighted_metrics = multi[:, pair], weighted[:, pair].copy()
        scorer._progress_raw = raw[pair]
        final[row - 1] = aggregate()[1]
        progress[row - 1] = scorer._weighted_metrics[WeightedMetricIndex.PROGRESS, 1]
    scorer._multi_metrics, scorer._weighted_metrics, scorer._progress_raw = multi, weighted, raw
    columns = {
        "no_at_fault_collisions": multi[MultiMetricIndex.NO_COLLISION],
        "drivable_area_compliance": multi[MultiMetricIndex.DRIVABLE_AREA],
        "time_to_collision_within_bound": weighted[WeightedMetricIndex.TTC],
    }
    if variant is Variant.V2_2:
        columns["driving_direction_compliance"] = multi[MultiMetricIndex.DRIVING_DIRECTION]
        columns["traffic_light_compliance"] = multi[MultiMetricIndex.TRAFFIC_LIGHT_COMPLIANCE]
        columns["lane_keeping"] = weighted[WeightedMetricIndex.LANE_KEEPING]
        columns["history_comfort"] = weighted[WeightedMetricIndex.HISTORY_COMFORT]
    else:
        columns["comfort"] = weighted[WeightedMetricIndex.COMFORTABLE]
        columns["driving_direction_compliance"] = weighted[WeightedMetricIndex.DRIVING_DIRECTION]
    own = {name: np.asarray(value[1:], dtype=np.float64) for name, value in columns.items()}
    return {**own, "ego_progress": progress, SCORE[METRIC[variant]]: final}
