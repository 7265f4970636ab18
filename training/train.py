"""Trains an agent on logs in NAVSIM's on-disk formats, without the devkit."""

from __future__ import annotations

from navsim_agents.common.command import command
from training.config import TrainConfig
from training.fitting import train


@command(TrainConfig, "training.conf.train")
def main(config: TrainConfig) -> None:
    """Train as configured."""
    train(config)


if __name__ == "__main__":
    main()
