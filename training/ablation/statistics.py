"""Rows against each other: differences paired over scenes and seeds, and whether they exceed the noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

NOISE = 2.0
"""Standard errors that a difference must exceed: some 95 % of what chance does."""
LOWER_IS_BETTER = frozenset(("ade_m", "fde_m", "heading_error_rad", "choice_gap"))


@dataclass(frozen=True)
class Comparison:
    """How much one row exceeds another in one metric."""

    metric: str
    row: str
    other: str
    difference: float  # mean over seeds and scenes
    standard_error: float  # NaN where there is one drive alone
    seeds_better: int  # in how many seeds the row is the better one
    seeds_worse: int
    seeds: int

    @property
    def is_noise(self) -> bool:
        """Whether chance may explain it."""
        return not abs(self.difference) > NOISE * self.standard_error

    @property
    def is_better(self) -> bool:
        """Whether the row is the better one in the mean."""
        return better(self.metric, self.difference) > 0


def compare(
    metric: str,
    row: str,
    other: str,
    values: Float64[np.ndarray, "S B"],
    others: Float64[np.ndarray, "S B"],
    drives: Sequence[str],
) -> Comparison:
    """Compare two rows' values of every seed and scene.

    Args:
        metric: says which is better, more or less.
        row: name.
        other: name of what it is compared with.
        values: of ``row``; NaN where a scene has none.
        others: of ``other`` in the same seeds and scenes.
        drives: the drive of every scene, [B]; scenes of one drive are not independent of each other.
    """
    differences = values - others
    is_there = np.isfinite(differences).all(0)  # the same scenes in every seed
    if not is_there.any():
        return Comparison(metric, row, other, math.nan, math.nan, 0, 0, len(values))
    differences = differences[:, is_there]
    by_seed = [float(mean) for mean in differences.mean(1)]
    kept = [drive for drive, there in zip(drives, is_there) if there]
    error = math.hypot(seeds_error(by_seed), drives_error(differences.mean(0), kept))
    signs = [better(metric, value) for value in by_seed]
    return Comparison(
        metric,
        row,
        other,
        statistics.fmean(by_seed),
        error,
        sum(sign > 0 for sign in signs),
        sum(sign < 0 for sign in signs),
        len(signs),
    )


def better(metric: str, difference: float) -> float:
    """Positive where ``difference`` is to the advantage of what is compared."""
    return -difference if metric in LOWER_IS_BETTER else difference


def seeds_error(by_seed: Sequence[float]) -> float:
    """Standard error of the mean over seeds; 0 for one seed, which cannot tell."""
    return statistics.stdev(by_seed) / math.sqrt(len(by_seed)) if len(by_seed) > 1 else 0.0


def drives_error(values: Float64[np.ndarray, "B"], drives: Sequence[str]) -> float:
    """Standard error of the mean over scenes, those of a drive taken as one: NaN for one drive, which cannot tell.

    The cluster-robust estimate sqrt(L / (L - 1) · Σ_l (Σ_{i in l} (v_i - mean))²) / B; with one scene a drive it is the
    usual standard deviation / sqrt(B).
    """
    names, of_drive = np.unique(list(drives), return_inverse=True)
    if len(names) < 2:
        return math.nan
    sums = np.bincount(of_drive.reshape(-1), weights=values - values.mean(), minlength=len(names))
    return math.sqrt(len(names) / (len(names) - 1) * float(np.square(sums).sum())) / len(values)
