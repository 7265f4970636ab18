"""Teaches the video encoder on driving videos, without labels (V-JEPA).

    drive-jepa pretrain output=RUN data=…                                                 one GPU, or the CPU
    torchrun --nproc_per_node 8 --no-python drive-jepa pretrain output=RUN data=…         eight GPUs

Ctrl-C ends the run after the step under way and saves it; the same command goes on.
"""

from __future__ import annotations

import sys
from typing import Any

from navsim_agents.common.command import command
from navsim_agents.video.loader import build_clip_loader
from training.pretraining.config import PretrainConfig
from training.pretraining.loop import Pretrainer
from training.pretraining.processes import Processes

SIGNAL_EXIT = 128
"""Shells report a process that a signal ended as 128 + its number."""


@command(PretrainConfig, "training.conf.pretrain")
def main(config: PretrainConfig) -> None:
    """Pretrain as configured."""
    result = pretrain(config)
    if result["signal"] is not None:
        print(f"stopped after step {result['steps']} and saved; the same command goes on", file=sys.stderr)
        sys.exit(SIGNAL_EXIT + result["signal"])


def pretrain(config: PretrainConfig) -> dict[str, Any]:
    """Run or go on; returns what is also written to ``<output>/result.json``."""
    processes = Processes.join(config.processes)
    try:
        loader = build_clip_loader(
            config.data,
            batch_size=config.batch_size,
            rank=processes.rank,
            world_size=processes.world_size,
            seed=config.seed,
            workers=config.workers,
        )
        return Pretrainer(config, loader, processes).run()
    finally:
        processes.leave()


if __name__ == "__main__":
    main()
