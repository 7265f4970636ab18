"""Scores planned trajectories of one scene or a batch of scenes; the top of the scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.conventions import EPDMS_NAME, HORIZON_S, NUM_POSES, NUM_STEPS, POSE_INTERVAL_S, STEP_S
from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring.aggregate import COLUMNS, SCORE, excuse_by_human, gate_product, weighted_score
from navsim_agents.scoring.axes import POSE
from navsim_agents.scoring.config import METRICS, MetricConfig
from navsim_agents.scoring.rules.centerline import lane_keeping, normalized_progress, raw_progress
from navsim_agents.scoring.rules.collisions import no_at_fault_collision, time_to_collision, track_contacts
from navsim_agents.scoring.rules.comfort import comfort
from navsim_agents.scoring.rules.ego import Motion, drivable_area, driving_direction, locate_ego, traffic_light
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_batch import SceneBatch, collate_scenes
from navsim_agents.scoring.simulation.reference import reference_poses
from navsim_agents.scoring.simulation.tracker import simulate

# Trajectories (of all scenes together) that are scored at once: few enough for the caches, enough for the cores.
CHUNK = 2048
EXTRA_COLUMNS = ("simulated_states", "collision_step", "ttc_step")


@dataclass(frozen=True)
class Scores:
    """Answers for B scenes of N trajectories; ``columns`` carry the devkit's names, [B, N] each."""

    columns: dict[str, Tensor]
    simulated_states: Float[Tensor, "B N S 11"]
    ego_areas: Bool[Tensor, "B N S 3"]  # columns of EgoArea
    raw_progress: Float[Tensor, "B N"]  # m
    collision_step: Float[Tensor, "B N"]  # first at-fault collision; inf if none
    collision_track: Int[Tensor, "B N"]  # -1 if none
    ttc_step: Float[Tensor, "B N"]
    ttc_track: Int[Tensor, "B N"]
    reference_progress: Float[Tensor, " B"]  # PDM-Closed's raw progress [m]
    human_columns: dict[str, Tensor]  # the human's own sub-scores [B]; empty without the human filter


def score_trajectories(
    scene: ScoringScene,
    trajectories: Tensor,
    interval_length: float = POSE_INTERVAL_S,
    metric: str = EPDMS_NAME,
    human_penalty_filter: bool = False,
    dtype: torch.dtype = torch.float64,
    chunk: int = CHUNK,
) -> dict[str, Tensor]:
    """Score each of [N, P, 3] trajectories alone against PDM-Closed, as the devkit's ``pdm_score`` does.

    Args:
        scene: the scene; its device is where the work is done.
        trajectories: poses x, y, heading (m, rad, ego frame at t0), the first one ``interval_length`` after t0.
        interval_length: s between poses; they cover 4 s.
        metric: ``pdms`` (v1.1's rules) or ``epdms`` (v2.2's).
        human_penalty_filter: excuse sub-scores on which the human scores 0 (epdms, original scenes).
        dtype: of everything but interpolation and point location, which are float64.
        chunk: trajectories at once; memory grows with it, the answers do not change.

    Returns:
        The devkit's columns [N], ``simulated_states`` [N, 41, 11], ``collision_step`` and ``ttc_step`` [N].

    Raises:
        TrajectoryError: wrong shape, interval or values, or an unknown metric.
        SceneError: the scene has too few track columns for the metric.
    """
    if trajectories.ndim != 3:
        raise TrajectoryError(
            f"trajectories has shape {tuple(trajectories.shape)}, but one scene takes [N, P, 3]; add the missing axis"
        )
    scores = score_scenes([scene], trajectories[None], interval_length, metric, human_penalty_filter, dtype, chunk)
    columns = {name: scores.columns[name][0] for name in COLUMNS[metric]}
    return {**columns, **{name: getattr(scores, name)[0] for name in EXTRA_COLUMNS}}


def score_scenes(
    scenes: Sequence[ScoringScene],
    trajectories: Tensor,
    interval_length: float = POSE_INTERVAL_S,
    metric: str = EPDMS_NAME,
    human_penalty_filter: bool = False,
    dtype: torch.dtype = torch.float64,
    chunk: int = CHUNK,
) -> Scores:
    """The same for B scenes at once: ``trajectories`` [B, N, P, 3], row b in the frame of scene b.

    Raises:
        TrajectoryError, SceneError: as :func:`score_trajectories`.
    """
    config = metric_config(metric)
    _check_interval(trajectories, len(scenes), interval_length)
    batch = collate_scenes(scenes, config, trajectories.shape[2], interval_length, dtype)
    return score_batch(batch, trajectories, human_penalty_filter=human_penalty_filter, chunk=chunk)


@torch.no_grad()
def score_batch(
    batch: SceneBatch,
    trajectories: Tensor,
    *,
    human_penalty_filter: bool = False,
    chunk: int = CHUNK,
) -> Scores:
    """The same for scenes that are padded or unpacked already, by the metric they were prepared for; no gradients flow.

    ``trajectories`` [B, N, P, 3] may be on another device than the batch, whose device and dtype are worked in.

    Raises:
        TrajectoryError: as :func:`score_trajectories`, or P is not what the batch was prepared for.
    """
    _check_trajectories(trajectories, batch)
    if human_penalty_filter and not batch.metric.uses_history:
        metric = batch.metric.name
        raise TrajectoryError(f"human_penalty_filter is set, but {metric} has no human filter; score epdms or unset it")
    reference = _references(batch, trajectories.to(batch.ego_pose), human_penalty_filter).to(batch.ego_state)
    if chunk < 1:
        raise TrajectoryError(f"chunk is {chunk}, but must be 1 or more trajectories at once; raise it")
    size = max(1, chunk // len(batch))
    parts = [_evaluate(batch, rows) for rows in reference.split(size, dim=1)]
    return _finish(_join(parts), batch, human_penalty_filter)


def metric_config(name: str) -> MetricConfig:
    """The metric of that name.

    Raises:
        TrajectoryError: no metric has that name.
    """
    if name not in METRICS:
        raise TrajectoryError(f"metric is {name!r}, but must be one of {', '.join(METRICS)}")
    return METRICS[name]


def _check_interval(trajectories: Tensor, num_scenes: int, interval_s: float) -> None:
    """Raises TrajectoryError where the shape is wrong or the poses do not cover the horizon."""
    shape = tuple(trajectories.shape)
    if len(shape) != 4 or shape[0] != num_scenes or shape[1] < 1 or shape[3] != 3:
        raise TrajectoryError(
            f"trajectories has shape {shape}, but {num_scenes} scenes take [{num_scenes}, N, P, 3] with N of 1 or more"
        )
    if not abs(shape[2] * interval_s - HORIZON_S) <= 1e-6:
        raise TrajectoryError(
            f"trajectories has {shape[2]} poses {interval_s} s apart, which cover {shape[2] * interval_s:g} s, but the "
            f"metric needs {HORIZON_S} s; sample it with num_poses={NUM_POSES} and interval_length={POSE_INTERVAL_S}, "
            f"or {NUM_STEPS} and {STEP_S}"
        )


LARGEST_M = 1e12
"""A pose farther away than this is not taken for a position; up to it, squared distances stay finite in float32 too."""


def _check_trajectories(trajectories: Tensor, batch: SceneBatch) -> None:
    """Raises TrajectoryError where shape or values are wrong."""
    num_poses = batch.model_knots_us.shape[1] - 1
    shape, wanted = tuple(trajectories.shape), (len(batch), num_poses, 3)
    if len(shape) != 4 or (shape[0], *shape[2:]) != wanted or shape[1] < 1:
        raise TrajectoryError(
            f"trajectories has shape {shape}, but the batch takes [{len(batch)}, N, {num_poses}, 3] with N of 1 or "
            "more; prepare the batch for the sampling of the trajectories"
        )
    finite = (trajectories.abs() <= LARGEST_M).flatten(2).all(-1)
    if not trajectories.is_floating_point() or not bool(finite.all()):
        bad = torch.nonzero(~finite).tolist()
        where = f"{len(bad)} trajectories that are not finite or beyond {LARGEST_M:g} m, the first at " if bad else ""
        where += f"[scene, trajectory] {bad[0]}" if bad else ""
        raise TrajectoryError(
            f"trajectories holds {where or trajectories.dtype}, but poses must be finite floating-point numbers; "
            "drop or repair them"
        )


def _references(batch: SceneBatch, trajectories: Tensor, with_human: bool) -> Float[Tensor, "B N S 3"]:
    """What is tracked: the trajectories, PDM-Closed, and with the human filter the human."""
    start = batch.ego_state[:, POSE].double()

    def sample(poses: Tensor, knots: Tensor) -> Tensor:
        return reference_poses(poses, start, batch.ego_pose, knots, batch.sample_times_us)

    rows = [sample(trajectories, batch.model_knots_us), batch.pdm_trajectory[:, None].double()]
    if with_human:
        rows.append(sample(batch.human_trajectory[:, None].double(), batch.human_knots_us))
    return torch.cat(rows, dim=1)


@dataclass(frozen=True)
class _Part:
    """What is known of each trajectory without looking at the others."""

    columns: dict[str, Tensor]
    states: Tensor
    areas: Tensor
    raw_progress: Tensor
    collision_step: Tensor
    collision_track: Tensor
    ttc_step: Tensor
    ttc_track: Tensor


def _evaluate(batch: SceneBatch, reference: Tensor) -> _Part:
    """Simulate and judge some trajectories of every scene."""
    metric = batch.metric
    states = simulate(reference, batch.ego_state, batch.vehicle, metric.tracker)
    motion = Motion.of(states, batch.vehicle)
    areas = locate_ego(motion, batch.index)
    contacts = track_contacts(motion, batch, metric)
    no_collision, collision_step, collision_track = no_at_fault_collision(motion, batch, areas, contacts, metric)
    ttc, ttc_step, ttc_track = time_to_collision(motion, batch, areas, contacts, metric)
    columns = {
        "no_at_fault_collisions": no_collision,
        "drivable_area_compliance": drivable_area(areas).to(states),
        "driving_direction_compliance": driving_direction(motion, areas, metric),
        "time_to_collision_within_bound": ttc,
    }
    is_comfortable = comfort(states, batch, metric).to(states)
    if metric.uses_history:
        columns["history_comfort"] = is_comfortable
        columns["traffic_light_compliance"] = traffic_light(motion, batch, areas).to(states)
        columns["lane_keeping"] = lane_keeping(motion, batch, areas, metric).to(states)
    else:
        columns["comfort"] = is_comfortable
    progress = raw_progress(motion, batch.centerline)
    steps = (collision_step, collision_track, ttc_step, ttc_track)
    return _Part(columns, states, areas.stacked(), progress, *steps)


def _join(parts: list[_Part]) -> _Part:
    """Chunks one after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = {name: torch.cat([part.columns[name] for part in parts], dim=1) for name in parts[0].columns}
    names = [field.name for field in fields(_Part) if field.name != "columns"]
    return _Part(columns, *(torch.cat([getattr(part, name) for part in parts], dim=1) for name in names))


def _finish(part: _Part, batch: SceneBatch, with_human: bool) -> Scores:
    """Normalise progress, weigh, filter, and remove the rows of the reference driver and the human."""
    metric = batch.metric
    extra = 2 if with_human else 1
    count = part.raw_progress.shape[1] - extra
    gates = gate_product(part.columns, metric)
    gated_reference = (part.raw_progress * gates)[:, count : count + 1]
    columns = {name: value[:, :count] for name, value in part.columns.items()}
    progress = normalized_progress(part.raw_progress[:, :count], gates[:, :count], gated_reference, metric)
    columns["ego_progress"] = progress
    columns[SCORE[metric.name]] = weighted_score(columns, metric)
    human: dict[str, Tensor] = {}
    if with_human:
        human = _human_columns(part, metric)
        excused = {name: value[:, None] for name, value in human.items()}
        columns = excuse_by_human(columns, excused, batch.human_may_excuse[:, None])
    return Scores(
        columns={name: columns[name] for name in COLUMNS[metric.name]},
        simulated_states=part.states[:, :count],
        ego_areas=part.areas[:, :count],
        raw_progress=part.raw_progress[:, :count],
        collision_step=part.collision_step[:, :count],
        collision_track=part.collision_track[:, :count],
        ttc_step=part.ttc_step[:, :count],
        ttc_track=part.ttc_track[:, :count],
        reference_progress=part.raw_progress[:, count],
        human_columns=human,
    )


def _human_columns(part: _Part, metric: MetricConfig) -> dict[str, Tensor]:
    """The human's sub-scores, scored alone (so progress compares to itself) and without history."""
    human = {name: value[:, -1:] for name, value in part.columns.items()}
    human["history_comfort"] = torch.ones_like(human["history_comfort"])
    raw, gates = part.raw_progress[:, -1:], gate_product(human, metric)
    human["ego_progress"] = normalized_progress(raw, gates, raw * gates, metric)
    return {name: value[:, 0] for name, value in human.items()}
