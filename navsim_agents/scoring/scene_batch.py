"""Several scenes padded to common sizes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.conventions import (
    HORIZON_S,
    NUM_POSES,
    NUM_STATES,
    NUM_STEPS,
    PDMS_NAME,
    POSE_INTERVAL_S,
    STEP_S,
)
from navsim_agents.common.poses import LARGEST_M
from navsim_agents.errors import SceneError, TrajectoryError
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.scene import SceneIndex, ScoringScene
from navsim_agents.scoring.scene_fields import (
    BATCHED,
    MISSING_INPUTS,
    ORIGINAL,
    TORCH_DTYPES,
    Filler,
    Kind,
    SceneField,
    SceneFields,
    named_sizes,
)
from navsim_agents.scoring.sight import Sight
from navsim_agents.scoring.simulation.reference import exact_times_us, knot_times_us


@dataclass(frozen=True)
class SceneBatch:
    """B scenes for one metric: padding tracks and lights are never valid or active, padding points repeat the last one.

    History is padded in front, so that it ends where the simulation begins. What has the name of a scene's field is
    filled by that field's row in ``scene_fields``.
    """

    metric: MetricConfig  # the one that the scenes were prepared for
    ego_pose: Float[Tensor, "B 3"]
    ego_state: Float[Tensor, "B 11"]
    vehicle: Float[Tensor, "B 4"]
    history_states: Float[Tensor, "B H 11"]
    history_length: tuple[int, ...]
    human_trajectory: Float[Tensor, "B 8 3"]
    human_may_excuse: Bool[Tensor, " B"]  # original scenes
    pdm_trajectory: Float[Tensor, "B S 3"]  # poses
    centerline: Float[Tensor, "B M 2"]
    track_size: Float[Tensor, "B K 2"]
    track_speed: Float[Tensor, "B K"]
    track_is_agent: Bool[Tensor, "B K"]
    collided_track: Bool[Tensor, "B K"]
    track_poses: Float[Tensor, "B K T 3"]
    track_valid: Bool[Tensor, "B K T"]
    red_light_active: Bool[Tensor, "B L T"]
    model_knots_us: Int[Tensor, "B P1"]
    human_knots_us: Int[Tensor, "B 9"]
    sample_times_us: Int[Tensor, "B S"]
    index: SceneIndex
    sight: Optional[Sight] = None  # who sees which track; None: every trajectory sees all of its scene's

    def __len__(self) -> int:
        return len(self.ego_pose)


class Paddable(ABC):
    """B scenes whose fields can be brought to common sizes; numbers are float64, times int64 [us]."""

    @abstractmethod
    def check(self, metric: MetricConfig) -> None:
        """Raises SceneError where a scene lacks what ``metric`` reads."""

    @abstractmethod
    def stacked(self, row: SceneField) -> Tensor:
        """A field that has one shape in all scenes, [B, ...]."""

    @abstractmethod
    def padded(self, row: SceneField, columns: int) -> Tensor:
        """A field with zeros (False) behind, [B, most, ...]; an axis T of it cut or padded to ``columns``."""

    @abstractmethod
    def padded_in_front(self, row: SceneField) -> Tensor:
        """A field with zeros in front, [B, most, ...]."""

    @abstractmethod
    def continued(self, row: SceneField) -> Tensor:
        """A field with its last row repeated, [B, most, ...]."""

    @abstractmethod
    def history_length(self) -> tuple[int, ...]:
        """Rows of ``history_states`` of each scene."""

    @abstractmethod
    def is_original(self) -> Bool[Tensor, " B"]:
        """Which scenes are not synthetic."""

    @abstractmethod
    def knots_us(self, num_poses: int, interval_s: float) -> Int[Tensor, "B P1"]:
        """Times of the knots of a plan."""

    @abstractmethod
    def samples_us(self) -> Int[Tensor, "B S"]:
        """Times of the simulated states."""

    @abstractmethod
    def index(self) -> SceneIndex:
        """The scenes' index."""


def build_batch(
    scenes: Paddable, metric: MetricConfig, num_poses: int, interval_s: float, dtype: torch.dtype
) -> SceneBatch:
    """The scenes as a batch for ``metric`` and plans of ``num_poses`` poses ``interval_s`` apart.

    Raises:
        SceneError: a scene lacks fields that the metric reads, or has too few track columns for it.
    """
    scenes.check(metric)
    return SceneBatch(
        metric=metric,
        history_length=scenes.history_length(),
        human_may_excuse=scenes.is_original(),
        model_knots_us=scenes.knots_us(num_poses, interval_s),
        human_knots_us=scenes.knots_us(NUM_POSES, POSE_INTERVAL_S),
        sample_times_us=scenes.samples_us(),
        index=scenes.index(),
        sight=None,
        **{name: _filled(scenes, row, metric.track_steps, dtype) for name, row in BATCHED.items()},
    )


def _filled(scenes: Paddable, row: SceneField, columns: int, dtype: torch.dtype) -> Tensor:
    """A field of all scenes as its row of the table says."""
    if not has_rows(row):
        values = scenes.stacked(row)
    elif row.about.filler is Filler.ZEROS_IN_FRONT:
        values = scenes.padded_in_front(row)
    elif row.about.filler is Filler.LAST_ROW:
        values = scenes.continued(row)
    else:
        values = scenes.padded(row, columns)
    if row.about.columns is not None:
        values = values[..., row.about.columns]
    if row.about.has_gaps:
        values = values.nan_to_num()
    if row.kind is not Kind.FLOAT:
        return values
    return values.double() if row.about.is_exact else values.to(dtype)


def has_rows(row: SceneField) -> bool:
    """Whether scenes have different numbers of rows of a field; otherwise it has one shape in all."""
    return isinstance(row.shape[0], str)


def value_of(scene: SceneFields, row: SceneField) -> Tensor:
    """The scene's tensor; where an older file lacks it, zeros of the scene's sizes, and no row of another size."""
    value = getattr(scene, row.name)
    if isinstance(value, Tensor):
        return value
    sizes = named_sizes(vars(scene))
    shape = [size if isinstance(size, int) else sizes[size] or 0 for size in row.shape]
    return torch.zeros(shape, dtype=TORCH_DTYPES[row.kind], device=scene.ego_pose.device)


def collate_scenes(
    scenes: Sequence[ScoringScene], metric: MetricConfig, num_poses: int, interval_s: float, dtype: torch.dtype
) -> SceneBatch:
    """Pad scenes, all on one device, for ``metric`` and plans of ``num_poses`` poses ``interval_s`` apart.

    Raises:
        SceneError: there is no scene, or as :func:`build_batch`.
    """
    if not scenes:
        raise SceneError("there are 0 scenes, but a batch needs one; give at least one scene")
    return build_batch(LooseScenes(scenes), metric, num_poses, interval_s, dtype)


@dataclass(frozen=True)
class LooseScenes(Paddable):
    """Scenes, all on one device, to be padded; see :class:`Paddable`."""

    scenes: Sequence[ScoringScene]

    def _values(self, row: SceneField) -> list[Tensor]:
        return [value_of(scene, row) for scene in self.scenes]

    def check(self, metric: MetricConfig) -> None:
        """See :class:`Paddable`."""
        for scene in self.scenes:
            refuse_unknown_inputs(scene.token, scene.devkit, metric)
            if len(scene.track_token) + len(scene.red_light_token):
                refuse_too_few_columns(scene.token, scene.track_valid.shape[1], metric)

    def stacked(self, row: SceneField) -> Tensor:
        """See :class:`Paddable`."""
        return torch.stack(self._values(row))

    def padded(self, row: SceneField, columns: int) -> Tensor:
        """See :class:`Paddable`."""
        values, is_timed = self._values(row), row.shape[1:2] == ("T",)
        values = [value[:, :columns] for value in values] if is_timed else values
        shape = [max(sizes) for sizes in zip(*(value.shape for value in values))]
        if is_timed:
            shape[1] = columns
        padded = values[0].new_zeros((len(values), *shape))
        for one, value in zip(padded, values):
            one[tuple(slice(size) for size in value.shape)] = value
        return padded

    def padded_in_front(self, row: SceneField) -> Tensor:
        """See :class:`Paddable`."""
        values = self._values(row)
        longest = max(map(len, values))
        lacking = [rows.new_zeros((longest - len(rows), *rows.shape[1:])) for rows in values]
        return torch.stack([torch.cat(pair) for pair in zip(lacking, values)])

    def continued(self, row: SceneField) -> Tensor:
        """See :class:`Paddable`."""
        lines = self._values(row)
        longest = max(map(len, lines))
        return torch.stack([torch.cat((line, *[line[-1:]] * (longest - len(line)))) for line in lines])

    def history_length(self) -> tuple[int, ...]:
        """See :class:`Paddable`."""
        return tuple(len(scene.history_states) for scene in self.scenes)

    def is_original(self) -> Bool[Tensor, " B"]:
        """See :class:`Paddable`."""
        return torch.tensor([scene.scene_type == ORIGINAL for scene in self.scenes], device=self.scenes[0].device)

    def knots_us(self, num_poses: int, interval_s: float) -> Int[Tensor, "B P1"]:
        """See :class:`Paddable`."""
        times = [
            plan_times_us(scene.model_knots_us, scene.timestamp_us, num_poses, interval_s).to(scene.device)
            for scene in self.scenes
        ]
        return torch.stack(times)

    def samples_us(self) -> Int[Tensor, "B S"]:
        """See :class:`Paddable`."""
        return torch.stack([sample_times_of(scene) for scene in self.scenes])

    def index(self) -> SceneIndex:
        """See :class:`Paddable`."""
        parts = [scene.index for scene in self.scenes]
        return parts[0] if len(parts) == 1 else SceneIndex.concatenate(parts)


def refuse_unknown_inputs(name: str, devkit: str, metric: MetricConfig) -> None:
    """Raises SceneError where the metric reads fields that scene ``name`` of ``devkit`` does not have."""
    if MISSING_INPUTS[devkit, metric.name]:
        raise SceneError(
            f"scene {name} is of devkit v1.1, whose metric caches hold neither red lights nor the ego's history, but "
            f"{metric.name} reads both; choose metric=pdms, or export the scene from a metric cache of v2.2"
        )


def refuse_too_few_columns(name: str, found: int, metric: MetricConfig) -> None:
    """Raises SceneError where scene ``name`` has fewer track columns than the metric looks at."""
    if found < metric.track_steps:
        raise SceneError(
            f"scene {name} has {found} track columns, but {metric.name} looks at {metric.track_steps}; "
            f"export it with devkit {'v1.1' if metric.name == PDMS_NAME else 'v2.2'}, or choose the other metric"
        )


def plan_times_us(
    recorded: Optional[Int[Tensor, " 9"]], timestamp_us: int, num_poses: int, interval_s: float
) -> Int[Tensor, " P1"]:
    """Times of a plan's knots: the recorded ones, the same truncation for another sampling, or the exact grid."""
    if recorded is None:
        return exact_times_us(num_poses + 1, interval_s)
    if (num_poses, interval_s) == (NUM_POSES, POSE_INTERVAL_S):
        return recorded
    return knot_times_us(num_poses, interval_s, timestamp_us)


def sample_times_of(scene: ScoringScene) -> Int[Tensor, " S"]:
    """Times of the simulated states: the recorded ones or the exact grid."""
    if scene.sample_times_us is None:
        return exact_times_us(NUM_STATES, STEP_S).to(scene.device)
    return scene.sample_times_us


def refuse_trajectories(trajectories: Tensor, batch: SceneBatch) -> None:
    """Raises TrajectoryError where trajectories are not finite poses [B, N, P, 3] of the batch's sampling."""
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


def refuse_other_horizon(trajectories: Tensor, num_scenes: int, interval_s: float) -> None:
    """Raises TrajectoryError where trajectories have no shape [B, N, P, 3] or do not cover the horizon."""
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
