"""The kernels of reactive traffic."""

from __future__ import annotations

from pathlib import Path

from navsim_agents.scoring.kernels import Room, pasted
from navsim_agents.scoring.kernels import part as part
from navsim_agents.scoring.plane import boxes_intersect as plain_boxes_intersect
from navsim_agents.scoring.plane import squared_distance as plain_squared_distance

HERE = Path(__file__).resolve().parent
TRAFFIC, COMMON = HERE.parent, HERE.parents[2] / "common"
ROOM = Room(
    __name__,
    "reactive traffic",
    HERE,
    *(TRAFFIC / name for name in ("following.py", "roles.py")),
    TRAFFIC.parent / "plane.py",
    *(COMMON / name for name in ("conventions.py", "poses.py")),
)
kernel = ROOM.kernel
boxes_intersect, squared_distance = pasted(plain_boxes_intersect), pasted(plain_squared_distance)
