"""Pseudo-teachers of a scene from the label store: which trajectories of the vocabulary score well there."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Callable, TypeVar

import torch
from torch import Tensor

from navsim_agents.distillation.label_store import LabelStore
from navsim_agents.distillation.teachers import pad_rows, scene_generator, teacher_rows
from navsim_agents.distillation.vocabulary import Vocabulary, load_vocabulary
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from navsim_agents.errors import InputError
from navsim_agents.scenes import DIGEST_LENGTH

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class LabelSource:
    """Where teachers come from, and which; small enough to travel to workers."""

    label_store: str
    vocabulary: str
    metric: str
    threshold: float
    cap: int  # teachers kept of a scene
    seed: int

    @classmethod
    def of(cls, config: ProposalAgentConfig) -> LabelSource:
        """The source that an agent's config names."""
        teachers = config.teachers
        return cls(
            label_store=str(teachers.label_store),
            vocabulary=str(teachers.vocabulary),
            metric=config.scored_metric,
            threshold=teachers.threshold,
            cap=teachers.cap,
            seed=config.seed,
        )

    def rows(self, token: str) -> Tensor:
        """Rows of the vocabulary, int64 [cap], padded with -1; which ones a cap keeps depends on seed and token only.

        Raises:
            InputError: the store has no labels of this scene.
            LabelError: the labels are damaged, or belong to another vocabulary or metric.
        """
        scores = self._read(token, LabelStore.scores)
        rows = teacher_rows(scores, self.threshold, self.cap, generator=scene_generator(token, self.seed))
        return pad_rows(rows, self.cap)

    def labels(self, token: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Score [V] of every trajectory of the vocabulary, and its sub-scores by the devkit's names, float32.

        Raises:
            InputError, LabelError: as :meth:`rows`.
        """
        sub_scores = self._read(token, LabelStore.sub_scores)
        parts = {name: torch.from_numpy(value) for name, value in sub_scores.items()}
        return torch.from_numpy(self._read(token, LabelStore.scores)), parts

    def _read(self, token: str, read: Callable[[LabelStore, str], Answer]) -> Answer:
        try:
            return read(open_label_store(self.label_store, self.vocabulary, self.metric), token)
        except KeyError as error:
            raise InputError(
                f"label_store={self.label_store} has no labels of scene {token}: {error.args[0]}; label it "
                "(drive-jepa score-vocabulary …), or leave it out by "
                "train_test_split.scene_filter.tokens=[…]"
            ) from error

    def digest(self) -> str:
        """Changes with the labels and with every setting but the paths, so that stores may be moved."""
        stamp = open_label_store(self.label_store, self.vocabulary, self.metric).stamp.to_json()
        settings = {key: value for key, value in asdict(self).items() if key not in ("label_store", "vocabulary")}
        text = repr((stamp, sorted(settings.items())))
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


@cache
def open_vocabulary(path: str) -> Vocabulary:
    """The vocabulary at ``path``, kept for the life of the process."""
    return load_vocabulary(Path(path).expanduser())


@cache
def open_label_store(path: str, vocabulary: str, metric: str) -> LabelStore:
    """The labels at ``path``; refused where they belong to another vocabulary or metric."""
    return LabelStore.open(Path(path).expanduser(), vocabulary=open_vocabulary(vocabulary), metric=metric)
