"""A moving average of the weights: what is validated, kept in checkpoints and planned with, beside what is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

TRAINED = "navsim_drive_jepa_trained"
"""Where a checkpoint holds the weights that the training goes on with; its ``state_dict`` holds their average."""

State = dict[str, Tensor]


def decay_at(step: int, decay: float) -> float:
    """The decay after ``step`` updates: a short average at first, which forgets the random start."""
    return min(decay, (1.0 + step) / (10.0 + step))


@torch.no_grad()
def update(average: State, weights: Mapping[str, Tensor], decay: float) -> None:
    """Move ``average`` towards ``weights``, in place; what is no fraction (counters, masks) is copied."""
    for name, value in average.items():
        if value.is_floating_point():
            value.lerp_(weights[name].to(value), 1.0 - decay)
        else:
            value.copy_(weights[name])


def copied(weights: Mapping[str, Tensor]) -> State:
    """The same numbers in memory of their own."""
    return {name: value.detach().clone() for name, value in weights.items()}


class AveragedWeights(pl.Callback):
    """Averages the weights after every optimiser step; validation and checkpoints have the average.

    A checkpoint holds both, so that a resumed training ends as an uninterrupted one does, and so that whatever reads
    its ``state_dict`` plans with the average.
    """

    def __init__(self, decay: float) -> None:
        """Keep ``decay`` of the average at each step."""
        self._decay = decay
        self._average: State = {}
        self._trained: State = {}  # while the average stands in the module
        self._steps = 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with the weights that there are, unless a checkpoint or an earlier fit brought an average."""
        self._put_back(pl_module)
        self._steps = trainer.global_step
        if not self._average:
            self._average = copied(pl_module.state_dict())
        self._average = {name: value.to(pl_module.device) for name, value in self._average.items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the step in; a batch that only gathers gradients is none."""
        if trainer.global_step != self._steps:
            self._steps = trainer.global_step
            update(self._average, pl_module.state_dict(), decay_at(self._steps, self._decay))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average into the module."""
        self._put_in(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the trained weights back."""
        self._put_back(pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """As after a validation."""
        self._put_back(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the module: it is what the training made."""
        self._put_in(pl_module)

    def _put_in(self, pl_module: pl.LightningModule) -> None:
        if self._average and not self._trained:
            self._trained = copied(pl_module.state_dict())
            pl_module.load_state_dict(self._average)

    def _put_back(self, pl_module: pl.LightningModule) -> None:
        if self._trained:
            pl_module.load_state_dict(self._trained)
            self._trained = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write the average where weights are looked for, and the trained ones beside it."""
        checkpoint[TRAINED] = self._trained or checkpoint["state_dict"]
        checkpoint["state_dict"] = self._average

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on from both; a checkpoint of a training without an average begins one."""
        self._average, self._trained = copied(checkpoint["state_dict"]), {}
        pl_module.load_state_dict(checkpoint.get(TRAINED, checkpoint["state_dict"]))
