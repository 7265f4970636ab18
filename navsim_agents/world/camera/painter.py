"""In which order upright solids are painted so that nearer ones cover farther ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64, Int64

from navsim_agents.common.poses import X, Y
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.polygons import IntArray

TOUCH_M = 0.02  # footprints that overlap by less count as separate


def painting_order(footprints: Sequence[FloatArray], eye: FloatArray) -> Int64[np.ndarray, " N"]:
    """Indices from first to last painted of solids on convex, counter-clockwise ``footprints`` ([K, 2] each).

    Two solids that some edge's line separates are ordered exactly: what lies on the eye's side of that line may cover
    the other, never the other way. Where that leaves a choice, the farther solid comes first.
    """
    if not footprints:
        return np.zeros(0, dtype=np.int64)
    corners = _padded(footprints)
    distance = np.linalg.norm(corners - eye, axis=-1).min(axis=1)
    return _sorted(_must_precede(corners, eye), distance)


def _padded(footprints: Sequence[FloatArray]) -> Float64[np.ndarray, "N K 2"]:
    """Corners; short footprints repeat their last corner."""
    most = max(len(footprint) for footprint in footprints)
    return np.stack([np.concatenate((f, np.repeat(f[-1:], most - len(f), axis=0))) for f in footprints])


def _must_precede(corners: FloatArray, eye: FloatArray) -> Bool[np.ndarray, "N N"]:
    """Whether solid i has to be painted before solid j, at [i, j]."""
    edges = np.roll(corners, -1, axis=1) - corners  # [N, K, 2]
    length = np.linalg.norm(edges, axis=-1)
    outward = np.stack((edges[..., Y], -edges[..., X]), axis=-1) / np.maximum(length, 1e-9)[..., None]
    offset = (outward * corners).sum(axis=-1)  # [N, K]
    count = len(corners)
    beyond = (outward.reshape(-1, 2) @ corners.reshape(-1, 2).T).reshape(*offset.shape, count, -1).min(axis=-1)
    separates = (beyond - offset[..., None] > -TOUCH_M) & (length > 1e-6)[..., None]  # [N, K, N]
    eye_beyond = (outward @ eye - offset > 0.0)[..., None]  # the eye is on the other solid's side of the edge
    other_may_cover = ~(separates & ~eye_beyond).any(axis=1)  # [i, j]: j may cover i as far as the edges of i tell
    self_may_cover = ~(separates & eye_beyond).any(axis=1)  # [i, j]: i may cover j as far as the edges of i tell
    covered_by = other_may_cover & self_may_cover.T  # j may cover i by both solids' edges
    return np.asarray(covered_by & ~covered_by.T)


def _sorted(precedes: npt.NDArray[np.bool_], distance: FloatArray) -> IntArray:
    """Topological order, farthest first among the free; a cycle is cut at its farthest member."""
    waiting_for = precedes.sum(axis=0).astype(np.float64)
    order = np.empty(len(distance), dtype=np.int64)
    urgency = distance.copy()
    for place in range(len(order)):
        free = np.where(waiting_for <= 0.0, urgency, -np.inf)
        chosen = int(np.argmax(free))
        if free[chosen] == -np.inf:
            chosen = int(np.argmax(urgency))
        order[place] = chosen
        urgency[chosen] = -np.inf
        waiting_for -= precedes[chosen]
    return order
