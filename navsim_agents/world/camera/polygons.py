"""Many polygons of different vertex counts in two arrays, so that a whole picture projects at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64, Int64

from navsim_agents.world.camera.model import DEPTH, FloatArray

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Polygons:
    """Polygon i has the vertices ``vertices[starts[i]:starts[i + 1]]``."""

    vertices: Float64[np.ndarray, "V 3"]  # m
    starts: Int64[np.ndarray, " edges"]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def counts(self) -> Int64[np.ndarray, " F"]:
        """Vertices of each polygon."""
        return np.diff(self.starts)

    def select(self, indices: Int64[np.ndarray, " G"]) -> Polygons:
        """The polygons at ``indices``, in that order."""
        counts = self.counts[indices]
        starts = _running_total(counts)
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        return Polygons(self.vertices[np.repeat(self.starts[:-1][indices], counts) + within], starts)


def make_polygons(rings: Sequence[FloatArray]) -> Polygons:
    """Polygons from rings [., 3]."""
    vertices = np.concatenate([np.zeros((0, 3)), *rings])
    return Polygons(vertices, _running_total(np.array([len(ring) for ring in rings], dtype=np.int64)))


def join_polygons(groups: Sequence[Polygons]) -> Polygons:
    """All polygons of ``groups``, in order."""
    vertices = np.concatenate([np.zeros((0, 3)), *(group.vertices for group in groups)])
    return Polygons(vertices, _running_total(np.concatenate([np.zeros(0, np.int64), *(g.counts for g in groups)])))


def clip_near(ring: FloatArray, near_m: float) -> Float64[np.ndarray, "_ 3"]:
    """The part of a polygon [., 3] in camera axes that lies deeper than ``near_m`` (Sutherland-Hodgman)."""
    following = np.roll(ring, -1, axis=0)
    is_inside, next_inside = ring[:, DEPTH] >= near_m, following[:, DEPTH] >= near_m
    kept: list[FloatArray] = []
    for start, end, start_in, end_in in zip(ring, following, is_inside, next_inside):
        if start_in:
            kept.append(start)
        if start_in != end_in:
            share = (near_m - start[DEPTH]) / (end[DEPTH] - start[DEPTH])
            kept.append(start + share * (end - start))
    return np.array(kept).reshape(-1, 3)


def _running_total(counts: IntArray) -> IntArray:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)))
