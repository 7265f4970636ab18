"""The training curve: one row an epoch, kept inside the checkpoint so that a resumed run continues its own curve."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl

from navsim_agents.common.files import write_text
from training.lightning_module import VAL_ADE

COLUMNS = {
    "train_loss": "train/loss_epoch",
    "val_loss": "val/loss_epoch",
    "val_ade_m": VAL_ADE,
    "val_score": "val/score",  # of agents that are scored as they learn
    "val_best_score": "val/best_score",
}


class History(pl.Callback):
    """Writes ``path`` (csv) after every training epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._epoch_start = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._epoch_start = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a row; validation, if any, has already run."""
        row: dict[str, float] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        for column, metric in COLUMNS.items():
            if metric in trainer.callback_metrics:
                row[column] = float(trainer.callback_metrics[metric])
        row["lr"] = float(trainer.optimizers[0].param_groups[-1]["lr"])
        row["seconds"] = time.monotonic() - self._epoch_start
        self.rows.append(row)
        if trainer.is_global_zero:
            write_text(self.path, pd.DataFrame(self.rows).to_csv(index=False))

    def state_dict(self) -> dict[str, Any]:
        """Rows so far, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Rows of the run that is resumed."""
        self.rows = list(state_dict["rows"])
