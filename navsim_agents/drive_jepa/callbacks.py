"""Lightning callbacks of the agents. They reach the agent as ``pl_module.agent``, NAVSIM's name for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from navsim_agents.drive_jepa.checkpoints import RECORD, training_record
from navsim_agents.drive_jepa.kept_weights import KeptWeights
from navsim_agents.errors import InputError

VALIDATION_LOSS = "val/loss_epoch"
"""Lightning's name of the loss that NAVSIM's module logs, averaged over the validation set."""


class EpochMeans:
    """Weighted means over an epoch, logged once: Lightning takes milliseconds for every number it is given."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._sums: Optional[Tensor] = None
        self._weight = 0

    def add(self, values: Mapping[str, Tensor], weight: int) -> None:
        """Count a batch's means, of ``weight`` scenes; every batch has the same names."""
        batch = torch.stack([value.detach().float() for value in values.values()]) * weight
        self._names, self._weight = tuple(values), self._weight + weight
        self._sums = batch if self._sums is None else self._sums + batch

    def log(self, pl_module: pl.LightningModule, prefix: str) -> None:
        """Log ``<prefix>/<name>`` over all processes, and begin anew; without any batch, nothing."""
        if self._sums is not None:
            means = dict(zip((f"{prefix}/{name}" for name in self._names), self._sums / self._weight))
            pl_module.log_dict(means, on_step=False, on_epoch=True, sync_dist=True, batch_size=self._weight)
        self.clear()

    def clear(self) -> None:
        """Forget what was counted."""
        self._names, self._sums, self._weight = (), None, 0


class LossTermLogger(pl.Callback):
    """Logs the mean over an epoch of every term of the loss; NAVSIM's module logs their sum alone."""

    def __init__(self) -> None:
        self._train, self._val = EpochMeans(), EpochMeans()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin anew."""
        self._train.clear()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch's ``train/<term>``."""
        self._count(self._train, pl_module, batch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log them."""
        self._train.log(pl_module, "train")

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin anew."""
        self._val.clear()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a batch's ``val/<term>``."""
        self._count(self._val, pl_module, batch)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log them."""
        self._val.log(pl_module, "val")

    def _count(self, means: EpochMeans, pl_module: pl.LightningModule, batch: Any) -> None:
        """What the agent kept of its last loss; the set of terms never varies, so all processes agree."""
        features, _ = batch
        agent: Any = pl_module.agent
        means.add(agent.progress.step.terms, len(next(iter(features.values()))))


class TrainingRecorder(pl.Callback):
    """Writes into every checkpoint which settings its weights were trained with."""

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the record that ``load_agent_weights`` compares with an agent's config."""
        agent: Any = pl_module.agent
        checkpoint[RECORD] = training_record(agent.config)


class TrainingLength(pl.Callback):
    """Tells the agent how many optimiser steps the training has, before it makes its schedule."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Read it from the trainer.

        Raises:
            InputError: the training has no end.
        """
        if stage != "fit":
            return
        steps = trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise InputError("schedule='cosine' needs a training that ends; set trainer.params.max_epochs")
        agent: Any = pl_module.agent
        agent.progress.total_steps = int(steps)


def checkpoint_callbacks() -> list[ModelCheckpoint]:
    """Keep the best weights by validation loss, and the last ones.

    File names have no '=', which Hydra would take for an assignment in ``agent.checkpoint_path=…``. Two callbacks,
    because Lightning's ``save_last`` writes only when the best weights change.
    """
    best = KeptWeights(
        filename="best-epoch{epoch:03d}", auto_insert_metric_name=False, monitor=VALIDATION_LOSS, mode="min"
    )
    return [best, last_weights()]


def last_weights() -> ModelCheckpoint:
    """Keep the weights of the last epoch, as ``last.ckpt``."""
    return KeptWeights(filename="last", save_on_train_epoch_end=True)
