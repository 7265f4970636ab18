"""Several scenes padded to common sizes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.conventions import NUM_POSES, NUM_STATES, PDMS_NAME, POSE_INTERVAL_S, STEP_S
from navsim_agents.errors import SceneError
from navsim_agents.scoring.axes import POSE
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.scene import SceneIndex, ScoringScene
from navsim_agents.scoring.scene_fields import ORIGINAL
from navsim_agents.scoring.simulation.reference import exact_times_us, knot_times_us


@dataclass(frozen=True)
class SceneBatch:
    """B scenes for one metric: padding tracks and lights are never valid or active, padding points repeat the last one.

    History is padded in front, so that it ends where the simulation begins.
    """

    metric: MetricConfig  # the one that the scenes are fit for
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

    def __len__(self) -> int:
        return len(self.ego_pose)


class Paddable(ABC):
    """B scenes whose fields can be brought to common sizes; numbers are float64, times int64 [us]."""

    @abstractmethod
    def check(self, metric: MetricConfig) -> None:
        """Raises SceneError where a scene lacks what ``metric`` reads."""

    @abstractmethod
    def stacked(self, name: str) -> Tensor:
        """A field that has one shape in all scenes, [B, ...]."""

    @abstractmethod
    def padded(self, name: str, columns: int = 0) -> Tensor:
        """A field with zeros (False) behind, [B, most, ...]; the second axis cut or padded to ``columns`` if given."""

    @abstractmethod
    def padded_in_front(self, name: str) -> Tensor:
        """A field with zeros in front, [B, most, ...]."""

    @abstractmethod
    def continued(self, name: str) -> Tensor:
        """Points [B, most, 2], the last one repeated."""

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
        SceneError: a scene is of a devkit or has fewer track columns than the metric can do with.
    """
    scenes.check(metric)
    columns = metric.track_steps
    return SceneBatch(
        metric=metric,
        ego_pose=scenes.stacked("ego_pose").double(),
        ego_state=scenes.stacked("ego_state").to(dtype),
        vehicle=scenes.stacked("vehicle").to(dtype),
        history_states=scenes.padded_in_front("history_states").to(dtype),
        history_length=scenes.history_length(),
        human_trajectory=scenes.stacked("human_trajectory").nan_to_num().to(dtype),
        human_may_excuse=scenes.is_original(),
        pdm_trajectory=scenes.stacked("pdm_trajectory")[..., POSE].to(dtype),
        centerline=scenes.continued("centerline").to(dtype),
        track_size=scenes.padded("track_size").to(dtype),
        track_speed=scenes.padded("track_speed").to(dtype),
        track_is_agent=scenes.padded("track_is_agent"),
        collided_track=scenes.padded("collided_track"),
        track_poses=scenes.padded("track_poses", columns).nan_to_num().to(dtype),
        track_valid=scenes.padded("track_valid", columns),
        red_light_active=scenes.padded("red_light_active", columns),
        model_knots_us=scenes.knots_us(num_poses, interval_s),
        human_knots_us=scenes.knots_us(NUM_POSES, POSE_INTERVAL_S),
        sample_times_us=scenes.samples_us(),
        index=scenes.index(),
    )


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

    def _values(self, name: str) -> list[Tensor]:
        return [getattr(scene, name) for scene in self.scenes]

    def check(self, metric: MetricConfig) -> None:
        """See :class:`Paddable`."""
        for scene in self.scenes:
            refuse_unknown_inputs(scene.token, scene.devkit, metric)
            if len(scene.track_token) + len(scene.red_light_token):
                refuse_too_few_columns(scene.token, scene.track_valid.shape[1], metric)

    def stacked(self, name: str) -> Tensor:
        """See :class:`Paddable`."""
        return torch.stack(self._values(name))

    def padded(self, name: str, columns: int = 0) -> Tensor:
        """See :class:`Paddable`."""
        values = [value[:, :columns] if columns else value for value in self._values(name)]
        shape = [max(sizes) for sizes in zip(*(value.shape for value in values))]
        if columns:
            shape[1] = columns
        padded = values[0].new_zeros((len(values), *shape))
        for row, value in zip(padded, values):
            row[tuple(slice(size) for size in value.shape)] = value
        return padded

    def padded_in_front(self, name: str) -> Tensor:
        """See :class:`Paddable`."""
        values = self._values(name)
        longest = max(map(len, values))
        return torch.stack([torch.nn.functional.pad(rows, (0, 0, longest - len(rows), 0)) for rows in values])

    def continued(self, name: str) -> Tensor:
        """See :class:`Paddable`."""
        lines = self._values(name)
        longest = max(map(len, lines))
        return torch.stack([torch.cat((line, line[-1:].expand(longest - len(line), -1))) for line in lines])

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
    """Raises SceneError where the metric reads what scene ``name`` of ``devkit`` does not hold."""
    if devkit == "v1.1" and metric.uses_history:
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
