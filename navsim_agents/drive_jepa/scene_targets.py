"""Targets that let the training step score and teach proposals: scoring scenes and rows of pseudo-teachers.

An exception costs one scene in ``training.train``. NAVSIM's own caching stops at the first one; what is cached stays,
so it goes on from there once the scene is exported or left out by ``train_test_split.scene_filter.tokens``.
"""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor

from navsim_agents.common.conventions import NUM_POSES
from navsim_agents.devkit.bases import AbstractTargetBuilder
from navsim_agents.drive_jepa.given import GivenBuilder
from navsim_agents.drive_jepa.label_source import LabelSource
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from navsim_agents.drive_jepa.targets import HumanTrajectoryBuilder
from navsim_agents.errors import InputError, SceneError
from navsim_agents.scenes import KINDS, shared_scenes
from navsim_agents.scoring.config import METRICS
from navsim_agents.scoring.packed import pack_scene
from navsim_agents.scoring.packed_text import PackedText
from navsim_agents.scoring.scene_batch import refuse_unknown_inputs

SCORING_SCENE = "scoring_scene"
TEACHERS = "teachers"

OWN_LENGTH = 0
"""``num_bytes`` of scenes that are kept as long as they are."""


class ScoringSceneBuilder(AbstractTargetBuilder):
    """``scoring_scene``: all that the metrics need of the scene, packed, as a text of its own length.

    With ``num_bytes`` it is uint8 [``num_bytes``] instead, as earlier releases cached it; longer scenes are refused.
    """

    unstamped = frozenset({"_metric", "_scenes", "_scene_store", "_metric_cache_path"})
    """What changes nothing of a cache beyond its name: the metric refuses scenes, and the name tells their source.

    The last two are former names of the source, which stand in the stamps of earlier releases' caches.
    """

    def __init__(self, scenes: str, num_bytes: int = OWN_LENGTH, metric: Optional[str] = None) -> None:
        """Read scenes where ``open_scenes`` finds them; ``metric`` is what they must be fit for."""
        super().__init__()
        self._scenes, self._num_bytes, self._metric = scenes, num_bytes, metric

    def get_unique_name(self) -> str:
        """Name of the cached file; changes with the length and the scenes, not with their path."""
        length = "" if self._num_bytes == OWN_LENGTH else f"{self._num_bytes}_"
        return f"drive_jepa_scoring_scene_{length}{shared_scenes(self._scenes).digest}"

    def compute_targets(self, scene: Any) -> dict[str, Any]:
        """Find the scene and pack it.

        Raises:
            InputError: there is no scoring scene of this token.
            SceneError: the scoring scene is damaged, longer than ``num_bytes``, or not fit for the metric.
            DevkitError: its metric cache cannot be read.
        """
        token = scene.scene_metadata.initial_token
        try:
            found = shared_scenes(self._scenes).scene(token)
            if self._metric is not None:
                refuse_unknown_inputs(token, found.devkit, METRICS[self._metric])
            if self._num_bytes == OWN_LENGTH:
                return {SCORING_SCENE: PackedText.of(pack_scene(found))}
            return {SCORING_SCENE: pack_scene(found, self._num_bytes)}
        except SceneError as error:
            raise SceneError(
                f"scene {token} of log {scene.scene_metadata.log_name}: {error} (num_bytes and metric are "
                "agent.config.scene_bytes and agent.config.metric)"
            ) from error


class TeachersBuilder(AbstractTargetBuilder):
    """``teachers``: int64 [``cap``] rows of the vocabulary that score well in this scene, padded with -1."""

    def __init__(self, source: LabelSource) -> None:
        super().__init__()
        self._source = source

    def get_unique_name(self) -> str:
        """Name of the cached file; changes with threshold, cap, seed and labels."""
        return f"drive_jepa_teachers_{self._source.digest()}"

    def compute_targets(self, scene: Any) -> dict[str, Tensor]:
        """Choose the scene's teachers.

        Raises:
            InputError: the label store does not have the scene, or belongs to another vocabulary or metric.
        """
        return {TEACHERS: torch.as_tensor(self._source.rows(scene.scene_metadata.initial_token))}


def target_builders(config: ProposalAgentConfig, num_poses: int = NUM_POSES) -> list[Any]:
    """The human's trajectory, the scoring scene, with distillation the pseudo-teachers, and what is scored beside.

    Raises:
        InputError: ``config`` names no source of scoring scenes.
    """
    if config.scenes is None:
        raise InputError(
            "agent.config.scenes is null, but training scores its proposals in scoring scenes; set "
            f"agent.config.scenes=… to {KINDS}"
        )
    scenes = ScoringSceneBuilder(config.scenes, config.scene_bytes, config.scored_metric)
    builders: list[Any] = [HumanTrajectoryBuilder(num_poses), scenes]
    if config.teachers.distils:
        builders.append(TeachersBuilder(LabelSource.of(config)))
    if config.teachers.scored:
        builders.append(GivenBuilder(LabelSource.of(config)))
    return builders
