"""Drivable area (0/1): every corner stays in drivable polygons."""

from __future__ import annotations

from jaxtyping import Bool
from torch import Tensor

from navsim_agents.scoring.rules.ego_areas import EgoAreas


def drivable_area(areas: EgoAreas) -> Bool[Tensor, "B N"]:
    """Whether no state leaves the drivable area."""
    return ~areas.non_drivable.any(-1)
