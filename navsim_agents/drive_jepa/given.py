"""Trajectories of the vocabulary that are scored beside the planner's own proposals; their labels lie in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

import torch
from torch import Tensor

from navsim_agents.common.conventions import NUM_POSES
from navsim_agents.devkit.bases import AbstractTargetBuilder
from navsim_agents.distillation.teachers import scene_generator
from navsim_agents.drive_jepa.label_source import LabelSource, open_vocabulary
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from navsim_agents.drive_jepa.record import Key
from navsim_agents.models.score_form import ScoreForm
from navsim_agents.scoring.aggregate import EXTENDED_COMFORT, GATES, weighted_parts
from navsim_agents.scoring.config import metric_config

GIVEN_ROWS, GIVEN_LABELS = "given_rows", "given_labels"
LARGER_THAN_ANY_LOT = 2.0

Judge = Callable[[Tensor], Tensor]
"""Trajectories [B, G, T, 3] → score logits [B, G, K]."""


def metric_form(metric: str) -> ScoreForm:
    """What a metric's score of one frame consists of: extended comfort needs two."""
    parts = weighted_parts(metric_config(metric))
    return ScoreForm(GATES[metric], tuple(item for item in parts.items() if item[0] != EXTENDED_COMFORT))


def mixed_rows(scores: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` of V rows, int64 [B, count]: half among those that score above 0, the others among all left.

    Most of a vocabulary leaves the road; drawn evenly, little of it would tell good plans from better ones.

    Args:
        scores: [B, V] on the CPU; V is ``count`` at least.
        count: how many.
        generator: on the CPU.
    """
    lots = torch.rand(scores.shape, generator=generator)
    good = torch.where(scores > 0.0, lots, lots + LARGER_THAN_ANY_LOT).argsort(dim=1)[:, : count // 2]
    others = lots.scatter(1, good, LARGER_THAN_ANY_LOT).argsort(dim=1)[:, : count - count // 2]
    return torch.cat((good, others), dim=1)


@dataclass(frozen=True)
class GivenBuilder(AbstractTargetBuilder):
    """``given_rows`` int64 [R] of the vocabulary, and ``given_labels`` float32 [R, 1 + K]: score, then sub-scores.

    R is the cap on teachers, or the vocabulary's size where that is smaller.
    """

    source: LabelSource

    def get_unique_name(self) -> str:
        """Name of the cached file; changes with cap, seed and labels."""
        return f"drive_jepa_given_{self.source.digest()}"

    def compute_targets(self, scene: Any) -> dict[str, Tensor]:
        """Choose the scene's trajectories and look their labels up.

        Raises:
            InputError: the label store does not have the scene.
            LabelError: it belongs to another vocabulary or metric, or is damaged.
        """
        token = scene.scene_metadata.initial_token
        scores, sub_scores = self.source.labels(token)
        count = min(self.source.cap, len(scores))
        rows = mixed_rows(scores[None], count, scene_generator(f"given/{token}", self.source.seed))[0]
        parts = metric_form(self.source.metric).stacked(sub_scores)
        return {GIVEN_ROWS: rows, GIVEN_LABELS: torch.cat((scores[:, None], parts), dim=1)[rows]}


@dataclass(frozen=True)
class GivenScores:
    """Trajectories of a step that the planner did not propose, and what they are worth."""

    trajectories: Tensor  # [B, G, T, 3] m, m, rad in the ego frame of now
    score: Tensor  # [B, G]
    sub_scores: Tensor  # [B, G, K] in the order of the metric's form


@dataclass(frozen=True)
class GivenDraw:
    """Draws the trajectories of a step that are scored beside the proposals."""

    vocabulary: str  # path
    number: int  # of a scene
    seed: int
    num_poses: int = NUM_POSES

    @classmethod
    def of(cls, config: ProposalAgentConfig, num_poses: int = NUM_POSES) -> Optional[GivenDraw]:
        """As ``config`` says; None where only proposals are scored."""
        teachers = config.teachers
        return cls(str(teachers.vocabulary), teachers.scored, config.seed, num_poses) if teachers.scored else None

    def __call__(self, targets: Mapping[str, Any], key: Key) -> GivenScores:
        """Those of the scenes whose ``targets`` are collated; ``key`` names the step."""
        rows, labels = targets[GIVEN_ROWS], targets[GIVEN_LABELS]
        generator = scene_generator("/".join(("given", *map(str, key))), self.seed)
        number = min(self.number, rows.shape[1])
        places = mixed_rows(labels[..., 0].cpu(), number, generator).to(rows.device)
        poses = open_vocabulary(self.vocabulary).planned(self.num_poses).to(rows.device)[rows.gather(1, places)]
        drawn = labels.gather(1, places.unsqueeze(-1).expand(-1, -1, labels.shape[-1]))
        return GivenScores(poses, drawn[..., 0], drawn[..., 1:])
