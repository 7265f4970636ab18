"""The kernels of reactive traffic."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Callable

from navsim_agents.scoring.machine_code import CodeRoom, Kernel, inlined

HERE = Path(__file__).resolve().parent
TRAFFIC, COMMON = HERE.parent, HERE.parents[2] / "common"
ROOM = CodeRoom(
    "reactive traffic",
    HERE,
    *(TRAFFIC / name for name in ("following.py", "roles.py")),
    TRAFFIC.parent / "plane.py",
    *(COMMON / name for name in ("conventions.py", "poses.py")),
)
part = inlined


def kernel(function: Callable[..., None]) -> Kernel:
    """What Python calls; it is put into its entry, so that all is optimised once alone."""
    return ROOM.kernel(inlined(inspect.unwrap(function)))
