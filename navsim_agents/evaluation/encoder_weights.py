"""Weights of encoders that are compared: a checkpoint, or ``random`` ones that are drawn from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from navsim_agents.errors import InputError
from navsim_agents.models.weight_file import weights_file

RANDOM = "random"


def weights_stamp(checkpoint: str) -> Optional[str]:
    """Changes when the checkpoint does; None for random weights.

    Raises:
        InputError: no such file.
        CheckpointError: a folder without weights.
    """
    if checkpoint == RANDOM:
        return None
    path = weights_file(Path(checkpoint).expanduser())
    if not path.is_file():
        raise InputError(f"encoder checkpoint {path} is no file; give a .pt file of pretraining, or {RANDOM}")
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"
