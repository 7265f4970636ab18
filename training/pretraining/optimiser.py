"""AdamW over V-JEPA 2's four groups of parameters, in its order, so that both read each other's state."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer

from navsim_agents.models.video_jepa import VideoJepa
from training.pretraining.config import OptimiserConfig
from training.pretraining.schedules import StepSettings

NO_DECAY = "WD_exclude"
"""V-JEPA 2's mark of a group that its weight-decay schedule leaves alone."""


def build_optimiser(jepa: VideoJepa, config: OptimiserConfig) -> AdamW:
    """Groups: matrices of encoder and predictor, then their one-dimensional parameters, which do not decay.

    Mask tokens are [1, 1, width] and so count as matrices, as in V-JEPA 2.
    """
    parts = (jepa.encoder, jepa.predictor)
    groups: list[dict[str, Any]] = [{"params": _parameters(part, is_matrix=True)} for part in parts]
    groups += [{"params": _parameters(part, is_matrix=False), NO_DECAY: True, "weight_decay": 0.0} for part in parts]
    first, second = config.betas
    return AdamW(groups, betas=(first, second), eps=config.eps)


def apply_settings(optimiser: Optimizer, settings: StepSettings) -> None:
    """Set the rates of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = settings.lr
        if not group.get(NO_DECAY, False):
            group["weight_decay"] = settings.weight_decay


def _parameters(module: nn.Module, *, is_matrix: bool) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if (parameter.ndim > 1) == is_matrix]
