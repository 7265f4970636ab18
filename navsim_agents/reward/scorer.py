"""What each worker does: it scores plans of its scenes, which it keeps with their indices."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from navsim_agents.common.ending import is_machines_fault
from navsim_agents.errors import NavsimDriveJepaError, SceneError
from navsim_agents.scoring import ScoringScene, score_batch
from navsim_agents.scoring.aggregate import COLUMNS, weighted_score
from navsim_agents.scoring.config import metric_config
from navsim_agents.scoring.scene_batch import collate_scenes

SCENES_AT_ONCE = 64
"""Scenes that are padded to common sizes together: enough for the cores, and little memory."""


@dataclass(frozen=True)
class Rules:
    """How plans are scored."""

    metric: str
    interval_length: float  # s between poses
    human_penalty_filter: bool


@dataclass(frozen=True)
class Job:
    """Plans of some scenes, as arrays: these travel between processes by value."""

    tokens: Sequence[str]  # B
    trajectories: npt.NDArray  # [B, N, P, 3], float64
    with_columns: bool


class SceneScorer:
    """Calls with a :class:`Job` are answered by [1, B, N] rewards, or by [1 + C, B, N] with the metric's C columns."""

    def __init__(self, read: Callable[[str], ScoringScene], rules: Rules, kept_scenes: int) -> None:
        """Score by ``rules`` in scenes that ``read`` gives by token; at most ``kept_scenes`` of them stay."""
        self._read, self._rules, self._kept_scenes = read, rules, kept_scenes
        self._kept: OrderedDict[str, ScoringScene] = OrderedDict()

    def __call__(self, job: Job) -> npt.NDArray:
        """Raises SceneError, TrajectoryError: as :meth:`navsim_agents.reward.RewardPool.rewards`."""
        parts = []
        for start in range(0, len(job.tokens), SCENES_AT_ONCE):
            rows = slice(start, start + SCENES_AT_ONCE)
            scenes = [self._scene(token) for token in job.tokens[rows]]
            plans = np.require(job.trajectories[rows], requirements="W")  # Ray's arrays are read only
            parts.append(self._scored(scenes, torch.from_numpy(plans), job.with_columns))
        return np.concatenate(parts, axis=1)

    def _scored(self, scenes: list[ScoringScene], trajectories: Tensor, with_columns: bool) -> npt.NDArray:
        rules, metric = self._rules, metric_config(self._rules.metric)
        batch = collate_scenes(scenes, metric, trajectories.shape[2], rules.interval_length, torch.float64)
        columns = score_batch(batch, trajectories, human_penalty_filter=rules.human_penalty_filter).columns
        answers = [weighted_score(columns, metric)]
        if with_columns:
            answers += [columns[name] for name in COLUMNS[metric.name]]
        return torch.stack(answers).numpy()

    def _scene(self, token: str) -> ScoringScene:
        if token in self._kept:
            self._kept.move_to_end(token)
            return self._kept[token]
        try:
            scene = self._read(token)
            _ = scene.index
        except Exception as error:
            if is_machines_fault(error) or (isinstance(error, NavsimDriveJepaError) and token in str(error)):
                raise
            raise SceneError(
                f"scene {token} cannot be read ({type(error).__name__}: {error}); export it again, or leave it out"
            ) from error
        self._kept[token] = scene
        if len(self._kept) > self._kept_scenes:
            self._kept.popitem(last=False)
        return scene
