"""Rotations in space: unit quaternions (w, x, y, z) and what they are on the ground."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import X, Y


def matrices(quaternions: Float64[np.ndarray, "n 4"]) -> Float64[np.ndarray, "n 3 3"]:
    """Rotation matrices; quaternions may have any length but 0."""
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def headings(rotations: Float64[np.ndarray, "n 3 3"]) -> Float64[np.ndarray, " n"]:
    """Direction [rad] of the turned x axis on the ground."""
    ahead = rotations[..., X]
    return np.arctan2(ahead[:, Y], ahead[:, X])


def turned_together(quaternions: Float64[np.ndarray, "n 4"]) -> Float64[np.ndarray, "n 4"]:
    """The same rotations, each with the sign that is nearer to the one before: so they may be interpolated."""
    flips = np.where((quaternions[1:] * quaternions[:-1]).sum(1) < 0.0, -1.0, 1.0)
    return quaternions * np.concatenate(([1.0], np.cumprod(flips)))[:, None]
