"""The kernels of reactive traffic."""

from __future__ import annotations

from pathlib import Path

from navsim_agents.scoring.machine_code import CodeRoom, inlined

HERE = Path(__file__).resolve().parent
TRAFFIC, COMMON = HERE.parent, HERE.parents[2] / "common"
ROOM = CodeRoom(
    "reactive traffic",
    HERE,
    *(TRAFFIC / name for name in ("following.py", "roles.py")),
    TRAFFIC.parent / "plane.py",
    *(COMMON / name for name in ("conventions.py", "poses.py")),
)
kernel = ROOM.kernel
part = inlined
