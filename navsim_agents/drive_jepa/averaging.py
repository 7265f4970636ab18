"""An average of the weights: what is validated, kept in checkpoints and planned with, beside what is trained."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Optional

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from navsim_agents.drive_jepa.config import EMA, EQUAL, OptimiserConfig
from navsim_agents.errors import InputError

logger = logging.getLogger(__name__)

TRAINED = "navsim_drive_jepa_trained"
"""Where a checkpoint holds the weights that the training goes on with; its ``state_dict`` holds their average."""
SUMS = "navsim_drive_jepa_sums"
"""Where it holds, of an equal average, what a resumed training adds to."""

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


class MeanWeights:
    """The mean of several sets of weights, summed up in float64 on the CPU; what is no fraction is the last set's."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: State = {}
        self._last: State = {}

    @torch.no_grad()
    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Take one more set in."""
        for name, value in weights.items():
            if not value.is_floating_point():
                continue
            if self.count:
                self._sums[name] += value.to("cpu", torch.float64)
            else:
                self._sums[name] = value.detach().to("cpu", torch.float64, copy=True)
        self._last = {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}
        self.count += 1

    def mean(self) -> State:
        """Every weight in its own dtype, on the CPU; at least one set was added."""
        sums = self._sums
        return {name: (sums[name] / self.count).to(last) if name in sums else last for name, last in self._last.items()}

    def state(self) -> dict[str, Any]:
        """What :meth:`restored` needs beside a checkpoint's weights."""
        return {"count": self.count, "sums": self._sums}

    @classmethod
    def restored(cls, state: Mapping[str, Any], mean: Mapping[str, Tensor]) -> MeanWeights:
        """As it was when it had this ``state`` and made this ``mean``."""
        found = cls()
        found.count, found._sums = state["count"], copied(state["sums"])
        found._last = {name: value.detach().to("cpu", copy=True) for name, value in mean.items()}
        return found


class WeightAverage(pl.Callback):
    """Keeps an average of the weights; validation and checkpoints have it from when it begins.

    A checkpoint holds both, so that a resumed training ends as an uninterrupted one does, and so that whatever reads
    its ``state_dict`` plans with the average. Outside of a fit (``trainer.validate``, ``trainer.test``) nothing is put
    in or out: the module has the weights that it was given.
    """

    def __init__(self, from_epoch: int = 0) -> None:
        """Begin with epoch ``from_epoch``, counted from 0."""
        self._from_epoch = from_epoch
        self._average: State = {}
        self._trained: State = {}  # while the average stands in the module

    @abstractmethod
    def _has_begun(self) -> bool:
        """Whether there is an average."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on with the weights that are trained, and say what an average of them cannot do."""
        self._put_back(pl_module)
        self._average = {name: value.to(pl_module.device) for name, value in self._average.items()}
        warn_of_batch_norms(pl_module)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse an average of nothing.

        Raises:
            InputError: it would begin after the last step.
        """
        refuse_late_start(trainer, self._from_epoch)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average into the module."""
        if is_fitting(trainer):
            self._put_in(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the trained weights back."""
        if is_fitting(trainer):
            self._put_back(pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """As after a validation."""
        if is_fitting(trainer):
            self._put_back(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the module: it is what the training made."""
        if not self._has_begun():
            logger.warning(
                "training ended before epoch %d, from which the weights were to be averaged: they are the last step's",
                self._from_epoch,
            )
        self._put_in(pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """As after the training, where a checkpoint said that it was at its end already."""
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
        if self._average and is_fitting(trainer):
            checkpoint[TRAINED] = self._trained or checkpoint["state_dict"]
            checkpoint["state_dict"] = self._average

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on from both; a checkpoint of a training without an average begins one.

        Lightning calls this for a test too (from 2.6 on): that is of the weights that were validated.
        """
        if not is_fitting(trainer):
            return
        self._average, self._trained = {}, {}
        if TRAINED in checkpoint:
            self._average = copied(checkpoint["state_dict"])
            pl_module.load_state_dict(checkpoint[TRAINED])


class AveragedWeights(WeightAverage):
    """A moving average, taken after every optimiser step."""

    def __init__(self, decay: float, from_epoch: int = 0) -> None:
        """Keep ``decay`` of the average at each step; begin with the weights at the start of epoch ``from_epoch``."""
        super().__init__(from_epoch)
        self._decay = decay
        self._steps = 0

    def _has_begun(self) -> bool:
        return bool(self._average)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """As every average; count steps from where the training is."""
        super().on_fit_start(trainer, pl_module)
        self._steps = trainer.global_step
        if not self._from_epoch:
            self._begin(pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin, where this is the epoch."""
        if trainer.current_epoch >= self._from_epoch:
            self._begin(pl_module)

    def _begin(self, pl_module: pl.LightningModule) -> None:
        """With the weights that there are, unless a checkpoint or an earlier fit brought an average."""
        if not self._average:
            self._average = copied(pl_module.state_dict())

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the step in; a batch that only gathers gradients is none."""
        if trainer.global_step != self._steps:
            self._steps = trainer.global_step
            update(self._average, pl_module.state_dict(), decay_at(self._steps, self._decay))


class EqualWeights(WeightAverage):
    """The mean of the weights as they were at the end of each epoch, every one with the same share.

    It is, to the last bit, what :func:`navsim_agents.drive_jepa.checkpoint_average.average_checkpoints` makes of
    checkpoints of these epochs.
    """

    def __init__(self, from_epoch: int = 0) -> None:
        super().__init__(from_epoch)
        self._mean = MeanWeights()
        self._last_epoch: Optional[int] = None

    def _has_begun(self) -> bool:
        return self._mean.count > 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """As every average."""
        super().on_fit_start(trainer, pl_module)
        self._last_epoch = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the epoch in after its last batch, before it is validated."""
        if trainer.is_last_batch:
            self._take_in(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take in an epoch that ended before its last batch; checkpoints of the epoch are written after this."""
        self._take_in(trainer, pl_module)

    def _take_in(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch
        if epoch < self._from_epoch or epoch == self._last_epoch:
            return
        self._last_epoch = epoch
        self._mean.add(pl_module.state_dict())
        self._average = {name: value.to(pl_module.device) for name, value in self._mean.mean().items()}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """As every average, and the sums that it is of."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if TRAINED in checkpoint:
            checkpoint[SUMS] = self._mean.state()

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on from the sums; an average of another kind is left, and one of this kind begun."""
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        if not is_fitting(trainer):
            return
        if SUMS in checkpoint:
            self._mean = MeanWeights.restored(checkpoint[SUMS], self._average)
        else:
            self._mean, self._average = MeanWeights(), {}


def average_callbacks(config: OptimiserConfig) -> list[pl.Callback]:
    """What averages the weights as ``config`` asks for: one callback, or none."""
    if config.averaging_in_use == EMA:
        return [AveragedWeights(config.ema_decay, config.average_from_epoch)]
    return [EqualWeights(config.average_from_epoch)] if config.averaging_in_use == EQUAL else []


def is_fitting(trainer: pl.Trainer) -> bool:
    """Whether the trainer was last asked to train, with the validations of that training."""
    return trainer.state.fn == "fit"


def refuse_late_start(trainer: pl.Trainer, from_epoch: int) -> None:
    """Refuse an average that would begin when the training is over.

    Raises:
        InputError: the training has no epoch ``from_epoch``, counted from 0.
    """
    epochs: list[float] = [trainer.max_epochs] if trainer.max_epochs not in (None, -1) else []
    if trainer.max_steps != -1:
        steps = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches) if _is_finite(trainer) else 0
        epochs += [math.ceil(trainer.max_steps / steps)] if steps else []
    if epochs and from_epoch >= min(epochs):
        raise InputError(
            f"average_from_epoch={from_epoch}, but this training has the epochs 0 to {min(epochs) - 1}, so nothing "
            f"would be averaged; set agent.config.optimiser.average_from_epoch={min(epochs) - 1} or less"
        )


def _is_finite(trainer: pl.Trainer) -> bool:
    return math.isfinite(trainer.num_training_batches)


def warn_of_batch_norms(module: nn.Module) -> None:
    """Say that running statistics which are averaged are not those of the averaged weights."""
    norms = [part for part in module.modules() if getattr(part, "running_mean", None) is not None and part.training]
    if norms:
        logger.warning(
            "the weights are averaged, and so are the running statistics of %d batch norms, which is not what the "
            "averaged weights would measure; for that: drive-jepa average-checkpoints checkpoints=<the file> "
            "recompute_batch_norm=<this run> output=<file>",
            len(norms),
        )
