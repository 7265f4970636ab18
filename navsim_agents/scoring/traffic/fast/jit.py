"""The kernels of reactive traffic."""

from __future__ import annotations

from pathlib import Path

from navsim_agents.scoring import plane
from navsim_agents.scoring.kernels import Room, inlined, pasted

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
part = inlined
boxes_intersect, squared_distance = pasted(plane.boxes_intersect), pasted(plane.squared_distance)
