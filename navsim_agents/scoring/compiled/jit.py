"""The kernels of the scorer's rules."""

from __future__ import annotations

from pathlib import Path

from navsim_agents.scoring.machine_code import CodeRoom
from navsim_agents.scoring.machine_code import part as part
from navsim_agents.scoring.machine_code import pasted as pasted

HERE = Path(__file__).resolve().parent
SCORING, COMMON = HERE.parent, HERE.parents[1] / "common"
ROOM = CodeRoom(
    "the scorer's rules",
    HERE,
    *(SCORING / name for name in ("axes.py", "plane.py")),
    *(SCORING / "rules" / name for name in ("collisions.py", "comfort.py")),
    *(COMMON / name for name in ("conventions.py", "poses.py")),
)
kernel = ROOM.kernel
