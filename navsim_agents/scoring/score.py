"""Scores planned trajectories of one scene or a batch of scenes; the top of the scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Optional

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.conventions import EPDMS_NAME, POSE_INTERVAL_S
from navsim_agents.common.extras import require_extras
from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring.aggregate import COLUMNS, SCORE, excuse_by_human, gate_product, weighted_score
from navsim_agents.scoring.axes import POSE
from navsim_agents.scoring.config import LOG_REPLAY, MetricConfig, metric_config, refuse_traffic
from navsim_agents.scoring.rules.centerline import lane_keeping, normalized_progress, raw_progress
from navsim_agents.scoring.rules.collisions import no_at_fault_collision, time_to_collision, track_contacts
from navsim_agents.scoring.rules.comfort import comfort
from navsim_agents.scoring.rules.ego import (
    EgoAreas,
    Motion,
    drivable_area,
    driving_direction,
    locate_ego,
    traffic_light,
)
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_batch import SceneBatch, collate_scenes, refuse_other_horizon, refuse_trajectories
from navsim_agents.scoring.simulation.reference import reference_poses
from navsim_agents.scoring.simulation.tracker import simulate
from navsim_agents.scoring.traffic.checks import require_traffic
from navsim_agents.scoring.traffic.scored import (
    LARGEST_CHUNK,
    batch_in_traffic,
    no_collision_with_each,
    with_blind_first,
)

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
    traffic: str = LOG_REPLAY,
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
        traffic: ``log_replay``, or ``reactive``: vehicles react to each trajectory (epdms, scenes exported with
            traffic; they are simulated on the CPU in float64). PDM-Closed is judged in the traffic of the trajectory
            that is compared with it, the human of the filter in the human's own.

    Returns:
        The devkit's columns [N], ``simulated_states`` [N, 41, 11], ``collision_step`` and ``ttc_step`` [N].

    Raises:
        TrajectoryError: wrong shape, interval or values, an unknown metric or traffic, or one that does not fit the
            other.
        SceneError: the scene has too few track columns for the metric, or lacks what reactive traffic needs.
        MissingPackageError: traffic is reactive, and shapely is not installed.
    """
    if trajectories.ndim != 3:
        raise TrajectoryError(
            f"trajectories has shape {tuple(trajectories.shape)}, but one scene takes [N, P, 3]; add the missing axis"
        )
    scores = score_scenes(
        [scene], trajectories[None], interval_length, metric, human_penalty_filter, dtype, chunk, traffic
    )
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
    traffic: str = LOG_REPLAY,
) -> Scores:
    """The same for B scenes at once: ``trajectories`` [B, N, P, 3], row b in the frame of scene b.

    Raises:
        TrajectoryError, SceneError: as :func:`score_trajectories`.
    """
    config = metric_config(metric)
    refuse_traffic(traffic, config)
    refuse_other_horizon(trajectories, len(scenes), interval_length)
    if traffic == LOG_REPLAY or not scenes:
        batch = collate_scenes(scenes, config, trajectories.shape[2], interval_length, dtype)
        return score_batch(batch, trajectories, human_penalty_filter=human_penalty_filter, chunk=chunk)
    require_extras("traffic")
    for scene in scenes:
        require_traffic(scene)
    parts = []
    for scene, rows in zip(scenes, trajectories):
        batch = collate_scenes([scene], config, trajectories.shape[2], interval_length, dtype)
        parts.append(_score_in_traffic(scene, batch, rows[None], human_penalty_filter, chunk))
    return _joined_scores(parts)


@torch.no_grad()
def score_batch(
    batch: SceneBatch,
    trajectories: Tensor,
    *,
    human_penalty_filter: bool = False,
    chunk: int = CHUNK,
) -> Scores:
    """The same for scenes that are padded or unpacked already, by the metric they were prepared for; no gradients flow.

    Traffic is the log's. ``trajectories`` [B, N, P, 3] may be on another device than the batch, whose device and dtype
    are worked in.

    Raises:
        TrajectoryError: as :func:`score_trajectories`, or P is not what the batch was prepared for.
    """
    refuse_trajectories(trajectories, batch)
    _check_options(batch.metric, human_penalty_filter, chunk)
    sampled = _references(batch, trajectories, human_penalty_filter)
    parts = [_judge(batch, _drive(batch, rows)) for rows in sampled.split(max(1, chunk // len(batch)), dim=1)]
    whole, count = _joined(parts), trajectories.shape[1]
    human = whole.rows(slice(count + 1, None)) if human_penalty_filter else None
    return _finish(whole.rows(slice(count)), whole.rows(slice(count, count + 1)), human, batch)


@torch.no_grad()
def _score_in_traffic(
    scene: ScoringScene, batch: SceneBatch, trajectories: Tensor, human_penalty_filter: bool, chunk: int
) -> Scores:
    """As :func:`score_batch`, of one scene whose traffic reacts to each trajectory.

    Of PDM-Closed, collisions are those in the traffic of each trajectory; the human meets the human's own.
    """
    refuse_trajectories(trajectories, batch)
    _check_options(batch.metric, human_penalty_filter, chunk)
    sampled, count = _references(batch, trajectories, human_penalty_filter), trajectories.shape[1]
    pdm_closed = sampled[:, count : count + 1]
    others = torch.cat((sampled[:, :count], sampled[:, count + 1 :]), dim=1).split(min(chunk, LARGEST_CHUNK), dim=1)
    first = _drive(batch, torch.cat((pdm_closed, others[0]), dim=1))
    reference, parts, collisions = first.rows(slice(1)), [], []
    for number, rows in enumerate(others):
        driven = first.rows(slice(1, None)) if number == 0 else _drive(batch, rows)
        crowd = batch_in_traffic(batch, scene, driven.states, reference.states)
        collisions.append(no_collision_with_each(crowd, reference.motion, reference.areas))
        parts.append(_judge(crowd, driven) if number else _judge(with_blind_first(crowd), first))
    judged, met = _joined(parts), torch.cat(collisions, dim=1).split(count, dim=1)
    compared = judged.rows(slice(1)).with_column("no_at_fault_collisions", met[0])
    human = judged.rows(slice(count + 1, None)) if human_penalty_filter else None
    return _finish(judged.rows(slice(1, count + 1)), compared, human, batch)


def _check_options(metric: MetricConfig, human_penalty_filter: bool, chunk: int) -> None:
    """Raises TrajectoryError where an option fits no metric or no number of trajectories."""
    if human_penalty_filter and not metric.uses_history:
        raise TrajectoryError(
            f"human_penalty_filter is set, but {metric.name} has no human filter; score epdms or unset it"
        )
    if chunk < 1:
        raise TrajectoryError(f"chunk is {chunk}, but must be 1 or more trajectories at once; raise it")


def _references(batch: SceneBatch, trajectories: Tensor, with_human: bool) -> Float[Tensor, "B N S 3"]:
    """What is tracked: the trajectories, PDM-Closed, and with the human filter the human."""
    start, trajectories = batch.ego_state[:, POSE].double(), trajectories.to(batch.ego_pose)

    def sample(poses: Tensor, knots: Tensor) -> Tensor:
        return reference_poses(poses, start, batch.ego_pose, knots, batch.sample_times_us)

    rows = [sample(trajectories, batch.model_knots_us), batch.pdm_trajectory[:, None].double()]
    if with_human:
        rows.append(sample(batch.human_trajectory[:, None].double(), batch.human_knots_us))
    return torch.cat(rows, dim=1).to(batch.ego_state)


@dataclass(frozen=True)
class _Driven:
    """Simulated trajectories, and the areas that they are in."""

    states: Float[Tensor, "B N S 11"]
    motion: Motion
    areas: EgoAreas

    def rows(self, rows: slice) -> _Driven:
        """Some of the trajectories."""
        return _Driven(self.states[:, rows], self.motion.rows(rows), self.areas.rows(rows))


@dataclass(frozen=True)
class _Judged:
    """Sub-scores [B, N] under the devkit's names, all but progress, and what they rest on."""

    columns: dict[str, Tensor]
    states: Float[Tensor, "B N S 11"]
    areas: Bool[Tensor, "B N S 3"]
    raw_progress: Float[Tensor, "B N"]  # m
    collision_step: Float[Tensor, "B N"]
    collision_track: Int[Tensor, "B N"]
    ttc_step: Float[Tensor, "B N"]
    ttc_track: Int[Tensor, "B N"]

    def rows(self, rows: slice) -> _Judged:
        """Some of the trajectories."""
        columns = {name: value[:, rows] for name, value in self.columns.items()}
        return _Judged(columns, *(getattr(self, name)[:, rows] for name in _TENSORS))

    def with_column(self, name: str, values: Float[Tensor, "B N"]) -> _Judged:
        """The same sub-scores but for one; of a single trajectory where there are N values, N times the others."""
        return replace(
            self, columns={**{key: value.expand_as(values) for key, value in self.columns.items()}, name: values}
        )


_TENSORS = tuple(field.name for field in fields(_Judged) if field.name != "columns")


def _drive(batch: SceneBatch, reference: Float[Tensor, "B N S 3"]) -> _Driven:
    """Drive along sampled poses."""
    states = simulate(reference, batch.ego_state, batch.vehicle, batch.metric.tracker)
    motion = Motion.of(states, batch.vehicle)
    return _Driven(states, motion, locate_ego(motion, batch.index))


def _judge(batch: SceneBatch, driven: _Driven) -> _Judged:
    """What the rules of the batch's metric say."""
    metric, states, motion, areas = batch.metric, driven.states, driven.motion, driven.areas
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
    return _Judged(columns, states, areas.stacked(), progress, *steps)


def _joined(parts: list[_Judged]) -> _Judged:
    """The trajectories of one after those of the other."""
    if len(parts) == 1:
        return parts[0]
    columns = {name: torch.cat([part.columns[name] for part in parts], dim=1) for name in parts[0].columns}
    return _Judged(columns, *(torch.cat([getattr(part, name) for part in parts], dim=1) for name in _TENSORS))


def _finish(plans: _Judged, reference: _Judged, human: Optional[_Judged], batch: SceneBatch) -> Scores:
    """Normalise progress by the reference driver's, weigh, and filter by the human."""
    metric = batch.metric
    gates, best = gate_product(plans.columns, metric), reference.raw_progress * gate_product(reference.columns, metric)
    columns = {
        **plans.columns,
        "ego_progress": normalized_progress(plans.raw_progress, gates, best, metric),
    }
    columns[SCORE[metric.name]] = weighted_score(columns, metric)
    own: dict[str, Tensor] = {}
    if human is not None:
        own = _human_columns(human, metric)
        excused = {name: value[:, None] for name, value in own.items()}
        columns = excuse_by_human(columns, excused, batch.human_may_excuse[:, None])
    return Scores(
        columns={name: columns[name] for name in COLUMNS[metric.name]},
        simulated_states=plans.states,
        ego_areas=plans.areas,
        raw_progress=plans.raw_progress,
        collision_step=plans.collision_step,
        collision_track=plans.collision_track,
        ttc_step=plans.ttc_step,
        ttc_track=plans.ttc_track,
        reference_progress=reference.raw_progress.squeeze(1),
        human_columns=own,
    )


def _human_columns(judged: _Judged, metric: MetricConfig) -> dict[str, Tensor]:
    """The human's sub-scores, scored alone (so progress compares to itself) and without history."""
    human = {**judged.columns, "history_comfort": torch.ones_like(judged.columns["history_comfort"])}
    raw, gates = judged.raw_progress, gate_product(human, metric)
    human["ego_progress"] = normalized_progress(raw, gates, raw * gates, metric)
    return {name: value[:, 0] for name, value in human.items()}


def _joined_scores(parts: list[Scores]) -> Scores:
    """Scenes one after the other."""

    def of(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        if isinstance(values[0], Tensor):
            return torch.cat(values)
        return {key: torch.cat([value[key] for value in values]) for key in values[0]}

    return Scores(**{field.name: of(field.name) for field in fields(Scores)})
