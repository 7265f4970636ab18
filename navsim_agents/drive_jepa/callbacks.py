"""Lightning callbacks of the agents. They reach the agent as ``pl_module.agent``, NAVSIM's name for it."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from navsim_agents.drive_jepa.checkpoints import RECORD, training_record
from navsim_agents.drive_jepa.kept_weights import KeptWeights
from navsim_agents.errors import InputError

VALIDATION_LOSS = "val/loss_epoch"
"""Lightning's name of the loss that NAVSIM's module logs, averaged over the validation set."""


class LossTermLogger(pl.Callback):
    """Logs the mean over an epoch of every term of the loss; NAVSIM's module logs their sum alone."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log ``train/<term>``."""
        self.log_terms(pl_module, batch, "train")

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Log ``val/<term>``."""
        self.log_terms(pl_module, batch, "val")

    def log_terms(self, pl_module: pl.LightningModule, batch: Any, stage: str) -> None:
        """Log what the agent kept of its last loss; the set of terms never varies, so all processes agree."""
        features, _ = batch
        batch_size = len(next(iter(features.values())))
        agent: Any = pl_module.agent
        terms = {f"{stage}/{name}": value for name, value in agent.progress.step.terms.items()}
        pl_module.log_dict(terms, on_step=False, on_epoch=True, sync_dist=True, batch_size=batch_size)


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
