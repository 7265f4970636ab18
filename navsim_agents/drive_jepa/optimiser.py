"""Optimiser and learning-rate schedule, in the form that NAVSIM hands on to Lightning."""

from __future__ import annotations

from functools import partial
from typing import Any, Optional, Union

from torch import nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from navsim_agents.common.annealing import cosine
from navsim_agents.drive_jepa.config import OptimiserConfig
from navsim_agents.errors import InputError

ENCODER_PREFIXES = ("encoder.",)


def parameter_groups(
    planner: nn.Module, config: OptimiserConfig, encoder_prefixes: tuple[str, ...] = ENCODER_PREFIXES
) -> list[dict[str, Any]]:
    """Trainable parameters by learning rate and decay; frozen ones are in no group, empty groups are left out.

    Args:
        planner: module to train.
        config: rates.
        encoder_prefixes: parameters whose names start with one of these learn at ``lr · encoder_lr_factor``.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in planner.named_parameters():
        if parameter.requires_grad:
            factor = config.encoder_lr_factor if name.startswith(encoder_prefixes) else 1.0
            is_matrix = parameter.ndim > 1 and not name.endswith("embedding")
            decay = config.weight_decay if is_matrix else 0.0
            groups.setdefault((config.lr * factor, decay), []).append(parameter)
    return [{"params": params, "lr": lr, "weight_decay": decay} for (lr, decay), params in groups.items()]


def lr_factor(step: int, config: OptimiserConfig, total_steps: Optional[int]) -> float:
    """Fraction of the learning rate at optimiser step ``step``: linear warm-up, then the schedule."""
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    if config.schedule == "constant" or total_steps is None:
        return 1.0
    progress = (step - config.warmup_steps) / max(1, total_steps - config.warmup_steps)
    return cosine(1.0, config.final_lr_factor, progress)


def build_optimiser(
    planner: nn.Module,
    config: OptimiserConfig,
    total_steps: Optional[int],
    encoder_prefixes: tuple[str, ...] = ENCODER_PREFIXES,
) -> Union[Optimizer, dict[str, Any]]:
    """Adam (AdamW where there is decay), with a schedule by optimiser step where one is asked for.

    Args:
        planner: module to train.
        config: rates and schedule.
        total_steps: optimiser steps of the whole training; only the cosine schedule needs it.
        encoder_prefixes: what learns at the encoder's rate.

    Raises:
        InputError: a cosine schedule without ``total_steps``, or a warm-up longer than the training.
    """
    groups = parameter_groups(planner, config, encoder_prefixes)
    optimiser = (AdamW if config.weight_decay else Adam)(groups, lr=config.lr)
    if config.schedule == "constant" and not config.warmup_steps:
        return optimiser
    if config.schedule == "cosine":
        check_length(config, total_steps)
    factor = partial(lr_factor, config=config, total_steps=total_steps)
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": LambdaLR(optimiser, factor), "interval": "step"}}


def check_length(config: OptimiserConfig, total_steps: Optional[int]) -> None:
    """Refuse a cosine schedule that does not know its end, or has none left after the warm-up.

    Raises:
        InputError: the number of steps is unknown, or not larger than that of the warm-up.
    """
    if total_steps is None:
        raise InputError(
            "schedule='cosine' needs the number of optimiser steps; train with agent.get_training_callbacks(), which "
            "read it from the trainer, or set agent.progress.total_steps before agent.get_optimizers()"
        )
    if total_steps <= config.warmup_steps:
        raise InputError(
            f"warmup_steps={config.warmup_steps} must be fewer than the {total_steps} optimiser steps of this training"
        )
