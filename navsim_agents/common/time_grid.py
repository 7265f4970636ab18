"""Moments at an even pace out of times that are nearly even."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64


def nearest_to_grid(times: Float64[np.ndarray, " n"], interval: float, tolerance: float) -> Int64[np.ndarray, " k"]:
    """Numbers of the ``times`` nearest to the first one plus whole multiples of ``interval``, rising.

    A multiple from which every time is farther than ``tolerance`` is left out.
    """
    if not len(times):
        return np.zeros(0, dtype=np.int64)
    count = int(np.floor((times[-1] - times[0] + tolerance) / interval)) + 1
    grid = times[0] + interval * np.arange(count)
    behind = np.clip(np.searchsorted(times, grid), 1, max(1, len(times) - 1))
    before = behind - 1
    behind = np.minimum(behind, len(times) - 1)
    nearest = np.where(grid - times[before] <= times[behind] - grid, before, behind)
    return np.unique(nearest[np.abs(times[nearest] - grid) <= tolerance]).astype(np.int64)
