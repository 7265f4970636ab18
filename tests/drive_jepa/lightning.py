"""A Lightning module like NAVSIM's."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from navsim_agents.drive_jepa import PerceptionFreeAgent


class Module(pl.LightningModule):
    """Calls the agent as the devkit's module does: one loss tensor, logged as ``loss``."""

    def __init__(self, agent: PerceptionFreeAgent) -> None:
        super().__init__()
        self.agent = agent

    def step(self, batch: Any, stage: str) -> torch.Tensor:
        features, targets = batch
        loss = self.agent.compute_loss(features, targets, self.agent.forward(features))
        self.log(f"{stage}/loss", loss, on_step=True, on_epoch=True, sync_dist=True)
        return loss

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.step(batch, "val")

    def configure_optimizers(self) -> Any:
        return self.agent.get_optimizers()
