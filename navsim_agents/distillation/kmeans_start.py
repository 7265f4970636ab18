"""Where k-means begins: greedy k-means++ (Arthur and Vassilvitskii 2007)."""

from __future__ import annotations

import math
from typing import Union

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32
from tqdm import tqdm

FloatArray = npt.NDArray[np.float32]


def plus_plus(points: FloatArray, weights: FloatArray, num_clusters: int, seed: int) -> npt.NDArray[np.int64]:
    """Rows of ``num_clusters`` different points, far from each other where there are many.

    Each is the best of 2 + ln k, drawn with the square of the distance to those chosen before, as scikit-learn draws.

    Args:
        points: [N, D], all different, centred on 0 so that single precision will do.
        weights: [N] how often each point is there.
        num_clusters: k, at most N.
        seed: of the draws.
    """
    draw, trials = np.random.default_rng(seed), 2 + int(math.log(num_clusters))
    squares = (points**2).sum(axis=1)
    chosen = [int(draw.choice(len(points), p=weights / weights.sum(dtype=np.float64)))]
    left = _distances(points, squares, chosen)[0]
    for _ in tqdm(range(1, num_clusters), desc="k-means++", unit="centre", mininterval=1.0):
        left[chosen[-1]] = 0.0
        bounds = np.cumsum(left * weights, dtype=np.float64)
        if bounds[-1] <= 0.0:  # the others are as good as equal to chosen ones
            others = np.setdiff1d(np.arange(len(points)), chosen)
            return np.concatenate((chosen, others[: num_clusters - len(chosen)]))
        rows = np.searchsorted(bounds, draw.random(trials) * bounds[-1], side="right").clip(max=len(points) - 1)
        would_be_left = np.minimum(_distances(points, squares, rows), left)
        best = int((would_be_left @ weights).argmin())
        chosen.append(int(rows[best]))
        left = would_be_left[best]
    return np.array(chosen)


def _distances(
    points: FloatArray, squares: FloatArray, rows: Union[list[int], npt.NDArray[np.int64]]
) -> Float32[np.ndarray, "R N"]:
    """Squared distances of all points from those of ``rows``."""
    found = squares[rows][:, None] - 2.0 * (points[rows] @ points.T) + squares
    return np.maximum(found, 0.0)
