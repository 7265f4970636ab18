"""A device by the name that a setting gives it."""

from __future__ import annotations

import torch

from navsim_agents.common.errors import InputError, NavsimDriveJepaError


def named_device(name: str, error: type[NavsimDriveJepaError] = InputError) -> torch.device:
    """``cpu`` or ``cuda``, or one of several such as ``cuda:1``.

    Raises:
        NavsimDriveJepaError: an ``error`` where it is neither, or torch finds no such device.
    """
    try:
        device = torch.device(name)
    except RuntimeError as reason:
        raise error(f"device is {name!r}, but must be cpu or cuda, with an index if need be") from reason
    if device.type not in ("cpu", "cuda"):
        raise error(f"device is {name!r}, but must be cpu or cuda, with an index if need be")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise error(f"device is {name!r}, but torch finds no CUDA device; use cpu")
    return device
