"""Tiny runs: moving bars on a few grey levels, and a loader that a run can go on with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from navsim_agents.models.masks import MaskFamily
from training.pretraining.config import (
    HealthConfig,
    MasksConfig,
    ModelConfig,
    OptimiserConfig,
    PretrainConfig,
    ProcessConfig,
    SavingConfig,
)
from training.pretraining.loop import Pretrainer
from training.pretraining.processes import Processes
from training.pretraining.schedules import ScheduleConfig

FRAMES, HEIGHT, WIDTH = 4, 48, 80
FAMILIES = [MaskFamily("few", 2, 0.3, 0.3), MaskFamily("many", 4, 0.15, 0.2)]


def moving_bar(number: int) -> Tensor:
    """Clip ``number`` [3, T, H, W] uint8: a bright bar that moves over a pattern."""
    generator = torch.Generator().manual_seed(number)
    start, speed, grey = torch.randint(1, 17, (3,), generator=generator).tolist()
    column = torch.arange(WIDTH)
    pattern = (torch.arange(HEIGHT)[:, None] * (grey % 5 + 1) + column * (grey % 3)) % 97
    frames = [torch.where((column - start - speed * time) % 40 < 10, 250, pattern + grey) for time in range(FRAMES)]
    return torch.stack(frames).to(torch.uint8).expand(3, -1, -1, -1)


class Bars:
    """Process ``rank`` gets its rows of batches that do not depend on the number of processes."""

    def __init__(
        self, batch_size: int, rank: int = 0, world_size: int = 1, batches: int = 7, distinct: int = 1000
    ) -> None:
        self.batch_size, self.rank, self.world_size = batch_size, rank, world_size
        self.batches = batches
        self.distinct = distinct  # clips, after which they come again
        self.handed_out = 0

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            self.handed_out += 1
            first = ((self.handed_out - 1) * self.world_size + self.rank) * self.batch_size
            yield torch.stack([moving_bar((first + index) % self.distinct) for index in range(self.batch_size)])
            if self.handed_out % self.batches == 0:
                return

    def state_dict(self) -> dict[str, Any]:
        return {"clips": self.handed_out * self.batch_size * self.world_size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.handed_out = state["clips"] // (self.batch_size * self.world_size)

    def report(self) -> dict[str, str]:
        return {f"{self.rank}.mp4": "torn"}


def tiny_config(folder: Path, **changes: Any) -> PretrainConfig:
    """Twelve steps of two clips, float32."""
    config = PretrainConfig(
        output=str(folder),
        data=None,
        masks=MasksConfig(FAMILIES, cut_over="all"),
        batch_size=2,
        workers=0,
        seed=3,
        precision="float32",
        model=ModelConfig("tiny", "tiny", num_mask_tokens=2, activation_checkpointing=False),
        schedule=ScheduleConfig(
            epochs=3, iterations_per_epoch=4, warmup_epochs=1, lr_start=1e-3, lr=4e-3, lr_end=1e-3, ema_start=0.9
        ),
        optimiser=OptimiserConfig(clip_grad_norm=5.0),
        health=HealthConfig(every=3, max_tokens=50),
        saving=SavingConfig(every=5, keep=2),
        processes=ProcessConfig(device="cpu"),
    )
    return replace(config, **changes)


def pretrainer(config: PretrainConfig, loader: Any = None) -> Pretrainer:
    """A run of one process."""
    return Pretrainer(config, loader or Bars(config.batch_size), Processes.join(config.processes))


def history(folder: Path) -> pd.DataFrame:
    """What a run wrote of its steps."""
    return pd.read_csv(folder / "history.csv")
