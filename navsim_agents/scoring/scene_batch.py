"""Several scenes padded to common sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.conventions import NUM_POSES, PDMS_NAME, POSE_INTERVAL_S
from navsim_agents.errors import SceneError
from navsim_agents.scoring.config import NUM_STATES, STEP_S, MetricConfig
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_index import SceneIndex
from navsim_agents.scoring.simulation.reference import exact_times_us, knot_times_us


@dataclass(frozen=True)
class SceneBatch:
    """B scenes: padding tracks and lights are never valid or active, padding points repeat the last one.

    History is padded in front, so that it ends where the simulation begins.
    """

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


def collate_scenes(
    scenes: Sequence[ScoringScene], metric: MetricConfig, num_poses: int, interval_s: float, dtype: torch.dtype
) -> SceneBatch:
    """Pad scenes, all on one device, for plans of ``num_poses`` poses ``interval_s`` apart.

    Raises:
        SceneError: there is no scene, or one is of a devkit or has fewer track columns than the metric can do with.
    """
    if not scenes:
        raise SceneError("there are 0 scenes, but a batch needs one; give at least one scene")
    columns = metric.track_steps
    for scene in scenes:
        refuse_unknown_inputs(scene.token, scene.devkit, metric)
        if len(scene.track_token) + len(scene.red_light_token):
            refuse_too_few_columns(scene.token, scene.track_valid.shape[1], metric)

    def pad(name: str, length: int = 0) -> Tensor:
        return _pad([getattr(scene, name) for scene in scenes], length, dtype)

    def knots(scene: ScoringScene, num_poses: int, interval_s: float) -> Tensor:
        return plan_times_us(scene.model_knots_us, scene.timestamp_us, num_poses, interval_s).to(scene.device)

    return SceneBatch(
        ego_pose=torch.stack([scene.ego_pose for scene in scenes]).double(),
        ego_state=pad("ego_state"),
        vehicle=pad("vehicle"),
        history_states=_pad_front([scene.history_states for scene in scenes], dtype),
        history_length=tuple(len(scene.history_states) for scene in scenes),
        human_trajectory=torch.nan_to_num(pad("human_trajectory")),
        human_may_excuse=torch.tensor([scene.scene_type == "original" for scene in scenes], device=scenes[0].device),
        pdm_trajectory=pad("pdm_trajectory")[..., :3],
        centerline=_pad_with_last([scene.centerline for scene in scenes], dtype),
        track_size=pad("track_size"),
        track_speed=pad("track_speed"),
        track_is_agent=pad("track_is_agent"),
        collided_track=pad("collided_track"),
        track_poses=torch.nan_to_num(pad("track_poses", columns)),
        track_valid=pad("track_valid", columns),
        red_light_active=pad("red_light_active", columns),
        model_knots_us=torch.stack([knots(scene, num_poses, interval_s) for scene in scenes]),
        human_knots_us=torch.stack([knots(scene, NUM_POSES, POSE_INTERVAL_S) for scene in scenes]),
        sample_times_us=torch.stack([sample_times_of(scene) for scene in scenes]),
        index=scenes[0].index if len(scenes) == 1 else SceneIndex.concatenate([scene.index for scene in scenes]),
    )


def _pad(values: list[Tensor], columns: int, dtype: torch.dtype) -> Tensor:
    """Stack with zeros (False) at the ends; ``columns`` > 0 cuts or pads the second axis to that length."""
    if columns:
        values = [value[:, :columns] for value in values]
    shape = [max(sizes) for sizes in zip(*(value.shape for value in values))]
    if columns:
        shape[1] = columns
    first = values[0]
    padded = first.new_zeros((len(values), *shape), dtype=dtype if first.is_floating_point() else first.dtype)
    for row, value in zip(padded, values):
        row[tuple(slice(size) for size in value.shape)] = value
    return padded


def _pad_front(histories: list[Tensor], dtype: torch.dtype) -> Tensor:
    longest = max(len(history) for history in histories)
    return torch.stack([torch.nn.functional.pad(states, (0, 0, longest - len(states), 0)) for states in histories]).to(
        dtype
    )


def _pad_with_last(lines: list[Tensor], dtype: torch.dtype) -> Tensor:
    longest = max(len(line) for line in lines)
    return torch.stack([torch.cat((line, line[-1:].expand(longest - len(line), -1))) for line in lines]).to(dtype)


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
