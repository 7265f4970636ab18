"""Directions, polylines and oriented boxes in the plane, as NumPy arrays; metres and radians.

Boxes are arrays [..., 5]: centre x, y, heading, length, width.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from navsim_agents.common.poses import HEADING, XY, Numbers, X, Y

LENGTH, WIDTH = 3, 4
SIZE = slice(LENGTH, WIDTH + 1)
"""Columns of a box behind its pose."""


def unit(heading: Numbers) -> Float64[np.ndarray, "..."]:
    """Unit vectors along ``heading`` [...]."""
    return np.stack((np.cos(heading), np.sin(heading)), axis=-1)


def left_normal(heading: Numbers) -> Float64[np.ndarray, "..."]:
    """Unit vectors a quarter turn to the left of ``heading`` [...]."""
    return np.stack((-np.sin(heading), np.cos(heading)), axis=-1)


def arc_lengths(points: Float64[np.ndarray, "M columns"]) -> Float64[np.ndarray, " M"]:
    """Distance travelled from the first of ``points`` along the polyline."""
    steps = points[1:, XY] - points[:-1, XY]
    return np.concatenate(([0.0], np.cumsum(np.hypot(steps[:, X], steps[:, Y]))))


def corners(boxes: Float64[np.ndarray, "*batch 5"]) -> Float64[np.ndarray, "*batch 4 2"]:
    """Corners, counter-clockwise from front left."""
    along = unit(boxes[..., HEADING]) * boxes[..., LENGTH, None] / 2
    across = left_normal(boxes[..., HEADING]) * boxes[..., WIDTH, None] / 2
    offsets = np.stack((along + across, across - along, -along - across, along - across), axis=-2)
    return boxes[..., None, XY] + offsets


def overlaps(
    first: Float64[np.ndarray, "*batch 5"], second: Float64[np.ndarray, "*batch 5"]
) -> Bool[np.ndarray, "*batch"]:
    """Whether boxes share a point, pair by pair (separating axes)."""
    points = corners(first), corners(second)
    is_apart = np.zeros(first.shape[:-1], dtype=bool)
    for boxes in (first, second):
        for axis in (unit(boxes[..., HEADING]), left_normal(boxes[..., HEADING])):
            low, high = ((points_of * axis[..., None, :]).sum(axis=-1) for points_of in points)
            is_apart |= (low.max(-1) < high.min(-1)) | (high.max(-1) < low.min(-1))
    return ~is_apart
