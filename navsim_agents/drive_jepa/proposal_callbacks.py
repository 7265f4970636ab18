"""Lightning callbacks of the full planner. They reach the agent as ``pl_module.agent``, NAVSIM's name for it."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from navsim_agents.drive_jepa.callbacks import last_weights
from navsim_agents.drive_jepa.kept_weights import KeptWeights
from navsim_agents.scoring.diversity import Diversity, diversity

VALIDATION_SCORE = "val/score"
"""The simulator's score of the proposal that the planner would drive, averaged over the validation set."""


class StepKey(pl.Callback):
    """Tells the agent which step this is, so that what it draws at random is the same after an interruption.

    Validation draws the same in every epoch: its loss is comparable from one to the next.
    """

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Epoch, batch and process."""
        agent: Any = pl_module.agent
        agent.progress.key = ("train", trainer.current_epoch, batch_idx, trainer.global_rank)

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Batch and process."""
        agent: Any = pl_module.agent
        agent.progress.key = ("val", batch_idx, trainer.global_rank)


class TeacherCounter(pl.Callback):
    """Logs how many scenes of an epoch had no teacher, over all processes: ``train/scenes_without_teachers``."""

    def __init__(self) -> None:
        self._count = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin anew."""
        self._count = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add those of a batch."""
        agent: Any = pl_module.agent
        self._count += agent.progress.step.scenes_without_teachers

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log them."""
        count = torch.as_tensor(float(self._count), device=pl_module.device)
        name = "train/scenes_without_teachers"
        pl_module.log(name, count, on_step=False, on_epoch=True, reduce_fx="sum", sync_dist=True)


class DiversityLogger(pl.Callback):
    """Logs the mean diversity of the validation scenes' proposals, by both definitions.

    ``val/diversity`` is the paper's, ``val/pairwise_diversity`` the released code's.
    """

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure the proposals that the agent kept of this batch."""
        agent: Any = pl_module.agent
        proposals = agent.progress.step.proposals
        measured = Diversity(*(torch.stack(values) for values in zip(*map(diversity, proposals))))
        means = {"val/diversity": measured.union.mean(), "val/pairwise_diversity": measured.pairwise.mean()}
        pl_module.log_dict(means, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(proposals))


def training_callbacks(logging: list[Any], *, distils: bool) -> list[Any]:
    """All of the full planner's: ``logging`` among them, and what keeps the best weights by score and the last ones."""
    measures: list[Any] = [StepKey(), DiversityLogger()]
    if distils:
        measures.append(TeacherCounter())
    return [*measures, *logging, *score_checkpoint_callbacks()]


def score_checkpoint_callbacks() -> list[ModelCheckpoint]:
    """Keep the best weights by validation score, and the last ones; file names as ``checkpoint_callbacks`` has them."""
    best = KeptWeights(
        filename="best-epoch{epoch:03d}", auto_insert_metric_name=False, monitor=VALIDATION_SCORE, mode="max"
    )
    return [best, last_weights()]
