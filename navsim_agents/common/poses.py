"""Planar poses (x, y, heading) on bare NumPy arrays of any batch shape; metres and radians, counter-clockwise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def wrap_angle(angle: npt.ArrayLike) -> FloatArray:
    """The same angle in [-pi, pi)."""
    return np.mod(np.asarray(angle, dtype=np.float64) + np.pi, 2.0 * np.pi) - np.pi


def rotate(points: FloatArray, angle: npt.ArrayLike) -> FloatArray:
    """Turn ``points`` [..., 2] by ``angle`` [...] about the origin."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = points[..., 0], points[..., 1]
    return np.stack((cos * x - sin * y, sin * x + cos * y), axis=-1)


def points_to_local(points: FloatArray, origin: FloatArray) -> FloatArray:
    """Global ``points`` [..., 2] in the frame of the pose ``origin`` [3]."""
    return rotate(points - origin[:2], -origin[2])


def points_to_global(points: FloatArray, origin: FloatArray) -> FloatArray:
    """Inverse of :func:`points_to_local`."""
    return rotate(points, origin[2]) + origin[:2]


def poses_to_local(poses: FloatArray, origin: FloatArray) -> FloatArray:
    """Global ``poses`` [..., 3] in the frame of the pose ``origin`` [3]; headings in [-pi, pi)."""
    xy = points_to_local(poses[..., :2], origin)
    return np.concatenate((xy, wrap_angle(poses[..., 2:] - origin[2])), axis=-1)


def poses_to_global(poses: FloatArray, origin: FloatArray) -> FloatArray:
    """Inverse of :func:`poses_to_local`."""
    xy = points_to_global(poses[..., :2], origin)
    return np.concatenate((xy, wrap_angle(poses[..., 2:] + origin[2])), axis=-1)
