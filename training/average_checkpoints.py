"""Averages the weights of several checkpoints of one agent into one file.

    drive-jepa average-checkpoints 'checkpoints=RUN/checkpoints/epoch*.ckpt' output=averaged.ckpt

The file loads wherever its sources do: ``agent.checkpoint_path``, ``drive-jepa evaluate``, NAVSIM's scripts.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import torch

from navsim_agents.common.command import command
from navsim_agents.common.files import whole_file
from navsim_agents.common.settings import READS, SEED, writes_file
from navsim_agents.drive_jepa.checkpoint_average import AVERAGED, average_checkpoints, moving_statistics
from navsim_agents.drive_jepa.checkpoint_files import find_checkpoints
from navsim_agents.errors import InputError
from training.batch_norm import recompute_statistics

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AverageCheckpointsConfig:
    """Configuration of ``drive-jepa average-checkpoints``."""

    checkpoints: Any = field(metadata=READS)  # a path, a pattern, or a list of these
    output: str = field(metadata=writes_file(".ckpt"))
    recompute_batch_norm: Optional[str] = field(default=None, metadata=READS)  # output of drive-jepa train
    seed: int = field(default=0, metadata=SEED)  # of the batches that statistics are computed over


def average(config: AverageCheckpointsConfig) -> dict[str, Any]:
    """Write the average; return what is in the file.

    Raises:
        InputError: a pattern fits nothing, or the output is among what is averaged.
        CheckpointError: a file cannot be read, or is not of the same agent as the first.
    """
    paths = find_checkpoints(config.checkpoints)
    output = Path(config.output)
    if output.resolve() in {path.resolve() for path in paths}:
        raise InputError(
            f"output={output} is also one of checkpoints={config.checkpoints}, and what is read must not be written "
            "over; name another output"
        )
    contents = average_checkpoints(paths)
    if config.recompute_batch_norm is not None:
        run = Path(config.recompute_batch_norm)
        contents = recompute_statistics(contents, paths[-1], run, config.seed)
    elif moved := moving_statistics(paths):
        logger.warning(
            "the running statistics of %d batch norms (such as %s) differ between the files; their mean is not what "
            "the averaged weights would measure: set recompute_batch_norm=<output of drive-jepa train>",
            len(moved),
            moved[0],
        )
    with whole_file(output) as unfinished:
        torch.save(contents, unfinished)
    return contents


@command(AverageCheckpointsConfig, "training.conf.average_checkpoints")
def main(config: AverageCheckpointsConfig) -> None:
    """Average as configured and say of what."""
    names = average(config)[AVERAGED]["files"]
    print(f"{config.output}: mean of {len(names)} checkpoints: {', '.join(names)}")


if __name__ == "__main__":
    main()
