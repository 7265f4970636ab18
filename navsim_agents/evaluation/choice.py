"""How good a choice among trajectories is: foreseen scores beside the simulator's, as pure functions.

A scene has N trajectories with a foreseen and a true score each, in [0, 1]. The one with the highest foreseen score is
chosen; regret is what the best one would have scored more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from navsim_agents.common.conventions import STEP_S
from navsim_agents.drive_jepa.proposal_config import MomentumConfig
from navsim_agents.drive_jepa.selection import with_comfort
from navsim_agents.poses import FloatArray
from navsim_agents.scoring.rules.comfort import MAX_INTERVAL_S, extended_comfort

IntArray = npt.NDArray[np.int64]
NUM_BINS = 10


class Calibration(NamedTuple):
    """Trajectories by their foreseen score: bins of one width over [0, 1]; NaN where a bin is empty."""

    foreseen: Float64[np.ndarray, " bins"]  # mean
    true: Float64[np.ndarray, " bins"]  # mean
    number: Int64[np.ndarray, " bins"]  # of trajectories


def chosen_scores(foreseen: Float64[np.ndarray, "B N"], true: Float64[np.ndarray, "B N"]) -> Float64[np.ndarray, " B"]:
    """The true score of the trajectory that is foreseen to be best; of several the first one."""
    return true[np.arange(len(true)), foreseen.argmax(axis=1)]


def regret(foreseen: Float64[np.ndarray, "B N"], true: Float64[np.ndarray, "B N"]) -> Float64[np.ndarray, " B"]:
    """How much more the best trajectory scores than the chosen one; 0 or more."""
    return true.max(axis=1) - chosen_scores(foreseen, true)


def mean_ranks(values: Float64[np.ndarray, "B N"]) -> Float64[np.ndarray, "B N"]:
    """Rank of each value in its row, from 0; equal values share the mean of their ranks."""
    mine, others = values[:, :, None], values[:, None, :]
    return (mine > others).sum(2) + 0.5 * ((mine == others).sum(2) - 1.0)


def spearman(foreseen: Float64[np.ndarray, "B N"], true: Float64[np.ndarray, "B N"]) -> Float64[np.ndarray, " B"]:
    """Spearman's rank correlation of each scene, -1 to 1; NaN where either side is tied throughout."""
    ranks = [mean_ranks(values) for values in (foreseen, true)]
    one, other = (values - values.mean(axis=1, keepdims=True) for values in ranks)
    return _ratio((one * other).sum(1), np.sqrt((one**2).sum(1) * (other**2).sum(1)))


def kendall(foreseen: Float64[np.ndarray, "B N"], true: Float64[np.ndarray, "B N"]) -> Float64[np.ndarray, " B"]:
    """Kendall's tau-b of each scene, -1 to 1: agreeing less disagreeing pairs; NaN as :func:`spearman`."""
    one, other = (np.sign(values[:, :, None] - values[:, None, :]) for values in (foreseen, true))
    return _ratio((one * other).sum((1, 2)), np.sqrt((one**2).sum((1, 2)) * (other**2).sum((1, 2))))


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0.0)


def calibration(
    foreseen: Float64[np.ndarray, "B N"], true: Float64[np.ndarray, "B N"], num_bins: int = NUM_BINS
) -> Calibration:
    """Mean true beside mean foreseen score, by foreseen score; a calibrated scorer has them equal."""
    places = np.clip((foreseen.ravel() * num_bins).astype(np.int64), 0, num_bins - 1)
    count = np.bincount(places, minlength=num_bins).astype(np.int64)
    sums = [np.bincount(places, weights=values.ravel(), minlength=num_bins) for values in (foreseen, true)]
    means = [_ratio(values.astype(np.float64), count.astype(np.float64)) for values in sums]
    return Calibration(means[0], means[1], count)


def scene_columns(foreseen: Float64[np.ndarray, "B N"], true: Float64[np.ndarray, "B N"]) -> dict[str, FloatArray]:
    """What there is to say of each scene's choice, [B] each."""
    return {
        "chosen": chosen_scores(foreseen, true),
        "best": true.max(axis=1),
        "mean": true.mean(axis=1),
        "regret": regret(foreseen, true),
        "spearman": spearman(foreseen, true),
        "kendall": kendall(foreseen, true),
        "error": np.abs(foreseen - true).mean(axis=1),
        "bias": (foreseen - true).mean(axis=1),
    }


def averages(columns: Mapping[str, FloatArray]) -> dict[str, float]:
    """Means over the scenes in which a column is a number; columns that never are stay out."""
    return {name: float(np.nanmean(values)) for name, values in columns.items() if not np.isnan(values).all()}


def best_fixed(true: Float64[np.ndarray, "B N"]) -> float:
    """The mean true score if one and the same place of N were always chosen, the best such: what no scorer gives."""
    return float(true.mean(axis=0).max())


def lost_to(chosen: Mapping[str, FloatArray], best: Mapping[str, FloatArray]) -> dict[str, float]:
    """By sub-score [B]: by how much the best trajectory's is above the chosen one's, in the mean."""
    return {name: float((best[name] - chosen[name]).mean()) for name in chosen}


def choose_in_sequence(
    scores: Float[Tensor, "B N"],
    states: Float[Tensor, "B N S 11"],
    times_us: Int64[np.ndarray, " B"],
    log_names: Sequence[str],
    momentum: Optional[MomentumConfig],
) -> Int64[np.ndarray, " B"]:
    """The trajectory chosen in each frame, momentum going on from what was chosen in the frame before.

    Args:
        scores: foreseen ones, or the true ones for a choice by an oracle.
        states: simulated.
        times_us: of each frame; rows may come in any order.
        log_names: of each frame; momentum does not reach from one log to another, nor over 0.55 s and more.
        momentum: how comfort counts; None: not at all.
    """
    chosen = np.zeros(len(scores), dtype=np.int64)
    before = -1
    for row in sorted(range(len(scores)), key=lambda row: (log_names[row], times_us[row])):
        found = scores[row]
        if momentum is not None and before >= 0 and log_names[before] == log_names[row]:
            gap_s = float(times_us[row] - times_us[before]) * 1e-6
            if 0.0 < gap_s < MAX_INTERVAL_S:
                steady = _steady(states[row], states[before, chosen[before]], gap_s)
                found = with_comfort(found, steady, momentum)
        chosen[row] = int(found.argmax())
        before = row
    return chosen


def _steady(now: Float[Tensor, "N S 11"], before: Float[Tensor, "S 11"], gap_s: float) -> Bool[Tensor, " N"]:
    """Which trajectories go on as the one before."""
    steps = round(gap_s / STEP_S) * STEP_S
    return extended_comfort(now, before.expand_as(now), steps)


def calibration_table(found: Calibration) -> dict[str, list[Any]]:
    """The calibration in JSON's types; empty bins are left out."""
    filled = found.number > 0
    return {
        "foreseen": found.foreseen[filled].tolist(),
        "true": found.true[filled].tolist(),
        "number": found.number[filled].tolist(),
    }
