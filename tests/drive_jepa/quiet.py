"""A trainer that says and logs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl


def quiet_trainer(folder: Path, callbacks: Sequence[pl.Callback], **changes: Any) -> pl.Trainer:
    """Two epochs on the CPU, unless ``changes`` say otherwise."""
    return pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
        **{"max_epochs": 2, **changes},
    )
