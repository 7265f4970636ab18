"""The agent as Lightning trains it. Weights have NAVSIM's prefix ``agent.``, so both read each other's checkpoints."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from navsim_agents.scoring.axes import POSITION
from training.dataset import Batch

VAL_ADE = "val/average_displacement_m"
"""Named apart from what an agent's own callbacks may log."""


class AgentModule(pl.LightningModule):
    """Any agent of NAVSIM's interface whose predictions and targets hold ``trajectory`` [B, T, 3]."""

    def __init__(self, agent: Any) -> None:
        super().__init__()
        self.agent = agent

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        loss, _ = self._loss(batch, "train")
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and average displacement of one batch."""
        _, planned = self._loss(batch, "val")
        error = torch.linalg.vector_norm((planned - batch[1]["trajectory"])[..., POSITION], dim=-1)  # [B, T]
        size = len(error)
        self.log(VAL_ADE, error.mean(), prog_bar=True, sync_dist=True, batch_size=size)

    def configure_optimizers(self) -> Any:
        """The agent's own optimiser and schedule."""
        return self.agent.get_optimizers()

    def _loss(self, batch: Batch, prefix: str) -> tuple[Tensor, Tensor]:
        features, targets = batch
        predictions = self.agent.forward(features)
        loss = self.agent.compute_loss(features, targets, predictions)
        size = len(predictions["trajectory"])
        self.log(f"{prefix}/loss", loss, on_step=True, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=size)
        return loss, predictions["trajectory"]
