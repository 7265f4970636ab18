"""Scores planned trajectories of one scene or a batch of scenes; the top of the scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Optional

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.conventions import EPDMS_NAME, POSE_INTERVAL_S
from navsim_agents.common.extras import require_extras
from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring.aggregate import (
    COLUMNS,
    SCORE,
    TENSORS,
    Judged,
    excuse_by_human,
    gate_product,
    weighted_score,
)
from navsim_agents.scoring.axes import POSE
from navsim_agents.scoring.config import LOG_REPLAY, MetricConfig, metric_config, refuse_traffic
from navsim_agents.scoring.engines import Engine, engine_for, torch_threads
from navsim_agents.scoring.rules.centerline import normalized_progress
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_batch import SceneBatch, collate_scenes, refuse_other_horizon, refuse_trajectories
from navsim_agents.scoring.simulation.reference import reference_poses
from navsim_agents.scoring.traffic.checks import require_traffic
from navsim_agents.scoring.traffic.scored import LARGEST_CHUNK, batch_in_traffic, with_blind

# Trajectories (of all scenes together) that are scored at once: few enough for the caches, enough for the cores.
CHUNK = 2048
NOBODY = slice(0)
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
    unexcused_columns: dict[str, Tensor]  # ``columns`` [B, N] as they were before the human filter


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
        chunk: trajectories at once; torch's memory grows with it, the answers do not change.
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
        engine = engine_for(batch, trajectories.shape[:2].numel())
        with torch.no_grad(), torch_threads(engine.torch_threads):
            return _score_in_log(engine, batch, trajectories, human_penalty_filter, chunk)
    require_extras("traffic")
    for scene in scenes:
        require_traffic(scene)
    parts = []
    for scene, rows in zip(scenes, trajectories):
        batch = collate_scenes([scene], config, trajectories.shape[2], interval_length, dtype)
        engine = engine_for(batch, trajectories.shape[:2].numel())  # all of the call
        with torch.no_grad(), torch_threads(engine.torch_threads):
            parts.append(_score_in_traffic(engine, scene, batch, rows[None], human_penalty_filter, chunk))
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

    Traffic is the log's. Compiled code is loaded for any number of trajectories: whoever prepares batches scores many,
    as a training does. ``trajectories`` [B, N, P, 3] may be on another device than the batch, whose device and dtype
    are worked in.

    Raises:
        TrajectoryError: as :func:`score_trajectories`, or P is not what the batch was prepared for.
    """
    engine = engine_for(batch, trajectories.shape[:2].numel(), is_repeated=True)
    with torch_threads(engine.torch_threads):
        return _score_in_log(engine, batch, trajectories, human_penalty_filter, chunk)


def _score_in_log(
    engine: Engine, batch: SceneBatch, trajectories: Tensor, human_penalty_filter: bool, chunk: int
) -> Scores:
    """As :func:`score_batch`, by an engine."""
    refuse_trajectories(trajectories, batch)
    _check_options(batch.metric, human_penalty_filter, chunk)
    size = max(1, chunk // len(batch)) if engine.works_on_all else trajectories.shape[1]
    parts: list[tuple[Tensor, Judged]] = []
    others = _others(batch, human_penalty_filter)
    for rows in trajectories.split(size, dim=1):
        parts.append(engine.drive_and_judge(batch, rows, others[:, NOBODY] if parts else others))
    first, plans = parts[0][1], trajectories[:, :size].shape[1]
    reference, human = first.rows(slice(plans, plans + 1)), first.rows(slice(plans + 1, None))
    parts[0] = (parts[0][0][:, :plans], first.rows(slice(plans)))
    states, judged = _joined(parts)
    return _finish(judged, states, reference, human if human_penalty_filter else None, batch)


def _score_in_traffic(
    engine: Engine,
    scene: ScoringScene,
    batch: SceneBatch,
    trajectories: Tensor,
    human_penalty_filter: bool,
    chunk: int,
) -> Scores:
    """As :func:`_score_in_log`, of one scene whose traffic reacts to each trajectory.

    Of PDM-Closed, collisions are those in the traffic of each trajectory; the human meets the human's own.
    """
    refuse_trajectories(trajectories, batch)
    _check_options(batch.metric, human_penalty_filter, chunk)
    parts: list[tuple[Tensor, Judged]] = []
    collisions, others = [], _others(batch, human_penalty_filter)
    for rows in trajectories.split(min(chunk, LARGEST_CHUNK), dim=1):
        is_first, num_plans = not parts, rows.shape[1]
        states = engine.drive(batch, rows, others if is_first else others[:, NOBODY])
        if is_first:  # the others are driven and judged with it, which is cheaper than alone
            reference = states[:, num_plans : num_plans + 1]
        met = torch.cat((states[:, :num_plans], states[:, num_plans + 1 :]), dim=1)
        crowd = batch_in_traffic(batch, scene, met, reference, engine.threads)
        collisions.append(engine.no_collision_with_each(crowd, reference)[:, :num_plans])
        parts.append((states, engine.judge(with_blind(crowd, num_plans) if is_first else crowd, states)))
    first, plans = parts[0][1], trajectories[:, : min(chunk, LARGEST_CHUNK)].shape[1]
    compared = first.rows(slice(plans, plans + 1)).with_column("no_at_fault_collisions", torch.cat(collisions, dim=1))
    human = first.rows(slice(plans + 1, None)) if human_penalty_filter else None
    parts[0] = (parts[0][0][:, :plans], first.rows(slice(plans)))
    states, judged = _joined(parts)
    return _finish(judged, states, compared, human, batch)


def _check_options(metric: MetricConfig, human_penalty_filter: bool, chunk: int) -> None:
    """Raises TrajectoryError where an option fits no metric or no number of trajectories."""
    if human_penalty_filter and not metric.uses_history:
        raise TrajectoryError(
            f"human_penalty_filter is set, but {metric.name} has no human filter; score epdms or unset it"
        )
    if chunk < 1:
        raise TrajectoryError(f"chunk is {chunk}, but must be 1 or more trajectories at once; raise it")


def _others(batch: SceneBatch, with_human: bool) -> Float[Tensor, "B E S 3"]:
    """Sampled poses of who is driven besides: PDM-Closed, and with the human filter the human."""
    rows = [batch.pdm_trajectory[:, None].double()]
    if with_human:
        start, human = batch.ego_state[:, POSE].double(), batch.human_trajectory[:, None].double()
        rows.append(reference_poses(human, start, batch.ego_pose, batch.human_knots_us, batch.sample_times_us))
    return torch.cat(rows, dim=1)


def _joined(parts: list[tuple[Tensor, Judged]]) -> tuple[Float[Tensor, "B N S 11"], Judged]:
    """States and answers, the trajectories of one part after those of the other."""
    if len(parts) == 1:
        return parts[0]
    judged = [part for _, part in parts]
    columns = {name: torch.cat([part.columns[name] for part in judged], dim=1) for name in judged[0].columns}
    tensors = (torch.cat([getattr(part, name) for part in judged], dim=1) for name in TENSORS)
    return torch.cat([states for states, _ in parts], dim=1), Judged(columns, *tensors)


def _finish(
    plans: Judged, states: Float[Tensor, "B N S 11"], reference: Judged, human: Optional[Judged], batch: SceneBatch
) -> Scores:
    """Normalise progress by the reference driver's, weigh, and filter by the human."""
    metric = batch.metric
    gates, best = gate_product(plans.columns, metric), reference.raw_progress * gate_product(reference.columns, metric)
    columns = {
        **plans.columns,
        "ego_progress": normalized_progress(plans.raw_progress, gates, best, metric),
    }
    columns[SCORE[metric.name]] = weighted_score(columns, metric)
    own, unexcused = {}, columns
    if human is not None:
        own = _human_columns(human, metric)
        excused = {name: value[:, None] for name, value in own.items()}
        columns = excuse_by_human(columns, excused, batch.human_may_excuse[:, None])
    return Scores(
        columns={name: columns[name] for name in COLUMNS[metric.name]},
        simulated_states=states,
        ego_areas=plans.areas,
        raw_progress=plans.raw_progress,
        collision_step=plans.collision_step,
        collision_track=plans.collision_track,
        ttc_step=plans.ttc_step,
        ttc_track=plans.ttc_track,
        reference_progress=reference.raw_progress.squeeze(1),
        human_columns=own,
        unexcused_columns={name: unexcused[name] for name in COLUMNS[metric.name]},
    )


def _human_columns(judged: Judged, metric: MetricConfig) -> dict[str, Tensor]:
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
