"""Targets that let the training step score and teach proposals: scoring scenes and rows of pseudo-teachers.

An exception costs one scene in ``training.train``. NAVSIM's own caching stops at the first one; what is cached stays,
so it goes on from there once the scene is exported or left out by ``train_test_split.scene_filter.tokens``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import torch
from torch import Tensor

from navsim_agents.devkit.bases import AbstractTargetBuilder
from navsim_agents.drive_jepa.label_source import LabelSource
from navsim_agents.drive_jepa.stores import metric_cache_digest, open_scene_stores, scene_store_digest
from navsim_agents.errors import InputError, SceneError
from navsim_agents.scoring import ScoringScene
from navsim_agents.scoring.config import METRICS
from navsim_agents.scoring.packed import pack_scene
from navsim_agents.scoring.packed_text import PackedText, stack_texts
from navsim_agents.scoring.scene_batch import refuse_unknown_inputs

SCORING_SCENE = "scoring_scene"
TEACHERS = "teachers"


OWN_LENGTH = 0
"""``num_bytes`` of scenes that are kept as long as they are."""


class ScoringSceneBuilder(AbstractTargetBuilder):
    """``scoring_scene``: all that the metrics need of the scene, packed, as a text of its own length.

    With ``num_bytes`` it is uint8 [``num_bytes``] instead, as earlier releases cached it; longer scenes are refused.
    """

    unstamped = frozenset({"_metric"})
    """Settings that refuse scenes but change nothing of those that are cached, so that a cache serves with any."""

    def __init__(
        self,
        scene_store: Optional[str],
        metric_cache_path: Optional[str],
        num_bytes: int = OWN_LENGTH,
        metric: Optional[str] = None,
    ) -> None:
        """Read scenes from a store or from the devkit's metric cache; ``metric`` is what they must be fit for.

        Raises:
            InputError: neither or both places are given.
        """
        super().__init__()
        if (scene_store is None) == (metric_cache_path is None):
            raise InputError(
                f"scene_store={scene_store} and metric_cache_path={metric_cache_path}, but training scores its "
                "proposals and reads scenes from one of the two; set agent.config.scene_store=… (a SceneStore, or a "
                "world's scoring_scenes folder) or agent.config.metric_cache_path=… (of the devkit)"
            )
        self._scene_store, self._metric_cache_path, self._num_bytes = scene_store, metric_cache_path, num_bytes
        self._metric = metric

    def get_unique_name(self) -> str:
        """Name of the cached file; changes with the length and the scenes, not with their path."""
        if self._scene_store is not None:
            origin = scene_store_digest(self._scene_store)
        else:
            assert self._metric_cache_path is not None  # one of the two is given
            origin = metric_cache_digest(self._metric_cache_path)
        length = "" if self._num_bytes == OWN_LENGTH else f"{self._num_bytes}_"
        return f"drive_jepa_scoring_scene_{length}{origin}"

    def compute_targets(self, scene: Any) -> dict[str, Any]:
        """Find the scene and pack it.

        Raises:
            InputError: there is no scoring scene of this token.
            SceneError: the scoring scene is damaged, longer than ``num_bytes``, or not fit for the metric.
        """
        token = scene.scene_metadata.initial_token
        try:
            found = self._find(token)
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

    def _find(self, token: str) -> ScoringScene:
        if self._scene_store is not None:
            return open_scene_stores(self._scene_store).scene(token)
        from navsim_agents.devkit.metric_cache import load_metric_scene  # imports the devkit, where there is one

        assert self._metric_cache_path is not None  # one of the two is given
        return load_metric_scene(self._metric_cache_path, token)


def packed_batch(scenes: Union[Sequence[str], Tensor], device: torch.device) -> Tensor:
    """``scoring_scene`` of a batch as collated, listed texts or stacked rows, as uint8 [B, longest] on ``device``."""
    stacked = scenes if isinstance(scenes, Tensor) else stack_texts(scenes)
    return stacked.to(device)


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
