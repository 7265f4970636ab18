"""What the evaluation measures: groups of per-scene columns, registered by name.

To add a group, write a function from :class:`PlannedScenes` to named columns and decorate it with ``@columns("name")``;
``python -m training.evaluate columns=[displacement,name]`` then writes and averages it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable

import numpy as np
import numpy.typing as npt

from navsim_agents.errors import InputError
from navsim_agents.poses import wrap_angle
from training.sources import SceneSource

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlannedScenes:
    """One agent's plans beside what the human drove; poses (x, y, heading) in each scene's ego frame."""

    tokens: Sequence[str]
    log_names: Sequence[str]
    planned: FloatArray  # [B, T, 3] m, m, rad
    human: FloatArray  # [B, T, 3]
    source: SceneSource  # for groups that need more of the scene than this


Columns = Mapping[str, FloatArray]
ColumnGroup = Callable[[PlannedScenes], Columns]

COLUMN_GROUPS: dict[str, ColumnGroup] = {}


def columns(name: str) -> Callable[[ColumnGroup], ColumnGroup]:
    """Register a column group under ``name``."""

    def register(group: ColumnGroup) -> ColumnGroup:
        COLUMN_GROUPS[name] = group
        return group

    return register


def compute_columns(names: Sequence[str], scenes: PlannedScenes) -> dict[str, FloatArray]:
    """All columns [B] of the groups ``names``, in order."""
    unknown = [name for name in names if name not in COLUMN_GROUPS]
    if unknown:
        raise InputError(f"columns {unknown} are unknown; choose from {sorted(COLUMN_GROUPS)}")
    return {column: values for name in names for column, values in COLUMN_GROUPS[name](scenes).items()}


@columns("displacement")
def displacement(scenes: PlannedScenes) -> Columns:
    """Errors against the human: average and final displacement [m] and mean absolute heading error [rad]."""
    return {
        "ade_m": average_displacement(scenes.planned, scenes.human),
        "fde_m": final_displacement(scenes.planned, scenes.human),
        "heading_error_rad": heading_error(scenes.planned, scenes.human),
    }


def average_displacement(planned: FloatArray, human: FloatArray) -> FloatArray:
    """Mean distance [...] in m between the planned and driven positions of poses [..., T, 3]."""
    return _distances(planned, human).mean(-1)


def final_displacement(planned: FloatArray, human: FloatArray) -> FloatArray:
    """Distance [...] in m between the last positions of poses [..., T, 3]."""
    return _distances(planned, human)[..., -1]


def heading_error(planned: FloatArray, human: FloatArray) -> FloatArray:
    """Mean absolute difference [...] in rad between headings of poses [..., T, 3], over the shorter way round."""
    return np.abs(wrap_angle(planned[..., 2] - human[..., 2])).mean(-1)


def _distances(planned: FloatArray, human: FloatArray) -> FloatArray:
    if planned.shape != human.shape:
        raise InputError(f"planned poses have shape {planned.shape}, the human's {human.shape}; plan the same times")
    return np.linalg.norm(planned[..., :2] - human[..., :2], axis=-1)
