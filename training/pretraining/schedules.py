"""Learning rate, weight decay and averaging momentum as functions of the step, so that no state has to be saved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from navsim_agents.common.annealing import cosine
from navsim_agents.common.settings import at_least
from navsim_agents.errors import InputError


@dataclass(frozen=True)
class ScheduleConfig:
    """Length of the training and how its settings change; defaults are V-JEPA 2's stock ViT-L recipe."""

    epochs: int = 10
    iterations_per_epoch: int = 300
    stretch: float = 1.25  # cosines are laid out for ``stretch`` times the length of the training, and cut off
    warmup_epochs: float = field(default=40.0, metadata=at_least(0))  # to lr; longer than the training: it only rises
    lr_start: float = field(default=1e-4, metadata=at_least(0))
    lr: float = field(default=5.25e-4, metadata=at_least(0))
    lr_end: float = field(default=5.25e-4, metadata=at_least(0))  # after a cosine; equal to lr: constant
    weight_decay: float = field(default=0.04, metadata=at_least(0))
    weight_decay_end: float = field(default=0.04, metadata=at_least(0))
    ema_start: float = 0.99925
    ema_end: float = 0.99925  # linear

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.iterations_per_epoch < 1:
            raise InputError(
                f"epochs={self.epochs}, iterations_per_epoch={self.iterations_per_epoch}; both must be 1 at least"
            )
        if self.stretch < 1.0:
            raise InputError(f"stretch={self.stretch} would end the schedules before the training; use 1.0 or more")
        if not all(0.0 <= momentum <= 1.0 for momentum in (self.ema_start, self.ema_end)):
            raise InputError(
                f"ema_start={self.ema_start}, ema_end={self.ema_end}; a moving average needs momenta within 0 … 1"
            )

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.epochs * self.iterations_per_epoch

    @property
    def horizon(self) -> int:
        """Steps over which the cosines and the momentum are laid out."""
        return int(self.stretch * self.total_steps)


class StepSettings(NamedTuple):
    """What one optimiser step uses."""

    lr: float
    weight_decay: float
    ema: float


def settings_at(config: ScheduleConfig, step: int) -> StepSettings:
    """Settings of optimiser step ``step``, counted from 1 (V-JEPA 2 counts rates from 1 and momenta from 0)."""
    progress = step / config.horizon
    return StepSettings(
        lr=_learning_rate(config, step),
        weight_decay=cosine(config.weight_decay, config.weight_decay_end, progress),
        ema=config.ema_start + (config.ema_end - config.ema_start) * (step - 1) / config.horizon,
    )


def _learning_rate(config: ScheduleConfig, step: int) -> float:
    warmup_steps = int(config.warmup_epochs * config.iterations_per_epoch)
    if step < warmup_steps:
        return config.lr_start + (config.lr - config.lr_start) * step / warmup_steps
    return cosine(config.lr, config.lr_end, (step - warmup_steps) / max(1, config.horizon - warmup_steps))
