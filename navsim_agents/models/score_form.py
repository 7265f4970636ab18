"""How foreseen sub-scores become one foreseen score: as the metric has it, gates times a weighted mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from navsim_agents.errors import InputError

LARGEST_LOG_SCORE = -1e-6
"""Keeps the logit of a score that rounds to 1 finite: at most 13.8."""


@dataclass(frozen=True)
class ScoreForm:
    """Names of a metric's sub-scores: those that multiply, and those that are averaged, with their weights."""

    gates: tuple[str, ...]
    parts: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        if not self.gates or not self.parts or not all(weight > 0.0 for _, weight in self.parts):
            raise InputError(f"gates={self.gates} and parts={self.parts}: a score needs both, and weights above 0")

    @property
    def names(self) -> tuple[str, ...]:
        """Gates, then parts: the order of logits."""
        return (*self.gates, *(name for name, _ in self.parts))

    def whole_logit(self, logits: Float[Tensor, "*batch K"]) -> Float[Tensor, "*batch"]:
        """Logit of product(sigmoid(gates)) * mean(sigmoid(parts)); in logarithms, so that small scores keep apart."""
        gates, parts = logits.split((len(self.gates), len(self.parts)), dim=-1)
        weights = logits.new_tensor([weight for _, weight in self.parts])
        log_mean = torch.logsumexp(logsigmoid(parts) + (weights / weights.sum()).log(), dim=-1)
        log_score = (logsigmoid(gates).sum(-1) + log_mean).clamp(max=LARGEST_LOG_SCORE)
        return log_score - (-torch.expm1(log_score)).log()

    def stacked(self, sub_scores: Mapping[str, Tensor]) -> Float[Tensor, "*batch K"]:
        """The named sub-scores in the order of :attr:`names`.

        Raises:
            InputError: one is missing.
        """
        missing = [name for name in self.names if name not in sub_scores]
        if missing:
            raise InputError(f"sub-scores lack {missing}; label by the metric that the planner foresees")
        return torch.stack([sub_scores[name] for name in self.names], dim=-1)
