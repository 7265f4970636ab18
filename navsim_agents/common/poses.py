"""Planar poses (x, y, heading) on bare NumPy arrays of any batch shape; metres and radians, counter-clockwise."""

from __future__ import annotations

from typing import Any, Union

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

FloatArray = npt.NDArray[np.float64]
X, Y, HEADING = 0, 1, 2
"""Columns of a pose; boxes, paths and states begin with them."""
XY, POSE = slice(X, Y + 1), slice(X, HEADING + 1)
"""Columns of a place, and of a pose in what holds more."""
Numbers = Union[float, FloatArray]
"""One number, or an array of any shape."""
LARGEST_M = 1e12
"""A pose farther away than this is not taken for a position; up to it, squared distances stay finite in float32 too."""


def are_poses(poses: npt.NDArray[Any]) -> bool:
    """Whether all numbers of an array can be a pose's: finite, and no larger than :data:`LARGEST_M`."""
    return bool((np.abs(poses) <= LARGEST_M).all())


def wrap_angle(angle: Numbers) -> Float64[np.ndarray, "..."]:
    """The same angle in [-pi, pi)."""
    return np.asarray(np.mod(np.asarray(angle, dtype=np.float64) + np.pi, 2.0 * np.pi) - np.pi)


def rotate(points: Float64[np.ndarray, "*batch 2"], angle: Numbers) -> Float64[np.ndarray, "*batch 2"]:
    """Turn ``points`` by ``angle`` [...] about the origin."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = points[..., X], points[..., Y]
    return np.stack((cos * x - sin * y, sin * x + cos * y), axis=-1)


def points_to_local(
    points: Float64[np.ndarray, "*batch 2"], origin: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "*batch 2"]:
    """Global ``points`` in the frame of the pose ``origin``."""
    return rotate(points - origin[XY], -origin[HEADING])


def points_to_global(
    points: Float64[np.ndarray, "*batch 2"], origin: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "*batch 2"]:
    """Inverse of :func:`points_to_local`."""
    return rotate(points, origin[HEADING]) + origin[XY]


def poses_to_local(
    poses: Float64[np.ndarray, "*batch 3"], origin: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "*batch 3"]:
    """Global ``poses`` in the frame of the pose ``origin``; headings in [-pi, pi)."""
    xy = points_to_local(poses[..., XY], origin)
    return np.concatenate((xy, wrap_angle(poses[..., HEADING, None] - origin[HEADING])), axis=-1)


def poses_to_global(
    poses: Float64[np.ndarray, "*batch 3"], origin: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "*batch 3"]:
    """Inverse of :func:`poses_to_local`."""
    xy = points_to_global(poses[..., XY], origin)
    return np.concatenate((xy, wrap_angle(poses[..., HEADING, None] + origin[HEADING])), axis=-1)
