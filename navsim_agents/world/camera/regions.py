"""Which points keep clear of a set of polygons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64

from navsim_agents.common.poses import X, Y
from navsim_agents.world.camera.model import FloatArray

BoolArray = npt.NDArray[np.bool_]


class Regions:
    """Polygons [M, 2] (any orientation) that test many points at once."""

    def __init__(self, rings: Sequence[FloatArray]) -> None:
        self._rings = rings

    def clear_of(self, points: Float64[np.ndarray, "N 2"], margin_m: float) -> Bool[np.ndarray, " N"]:
        """Whether each point lies outside all polygons and farther than ``margin_m`` from their sides."""
        is_clear = np.ones(len(points), dtype=bool)
        for ring in self._rings:
            low, high = ring.min(axis=0) - margin_m, ring.max(axis=0) + margin_m
            near = np.flatnonzero(is_clear & (points >= low).all(axis=1) & (points <= high).all(axis=1))
            if len(near):
                close = distance_to_sides(points[near], ring) <= margin_m
                is_clear[near] = ~(close | inside(points[near], ring))
        return is_clear


def inside(points: Float64[np.ndarray, "N 2"], ring: Float64[np.ndarray, "M 2"]) -> Bool[np.ndarray, " N"]:
    """Whether each point lies within ``ring`` (crossing number)."""
    following = np.roll(ring, -1, axis=0)
    x, y = points[:, X, None], points[:, Y, None]
    spans = (ring[:, Y] > y) != (following[:, Y] > y)
    rise = np.where(following[:, Y] == ring[:, Y], 1.0, following[:, Y] - ring[:, Y])
    crossing_x = ring[:, X] + (y - ring[:, Y]) / rise * (following[:, X] - ring[:, X])
    return np.asarray((spans & (x < crossing_x)).sum(axis=1) % 2 == 1)


def distance_to_sides(
    points: Float64[np.ndarray, "N 2"], ring: Float64[np.ndarray, "M 2"]
) -> Float64[np.ndarray, " N"]:
    """Distance of each point [N, 2] from the outline of ``ring``."""
    sides = np.roll(ring, -1, axis=0) - ring
    offsets = points[:, None] - ring
    share = (offsets * sides).sum(-1) / np.maximum((sides**2).sum(-1), 1e-12)
    nearest = np.clip(share, 0.0, 1.0)[..., None] * sides
    return np.asarray(np.linalg.norm(offsets - nearest, axis=-1).min(axis=1))
