"""Which convention the scores of a file follow, by its own arithmetic: PDMS, EPDMS, or EPDMS before issue 151's fix.

Until that fix the human filter changed the columns of a table, but not the products and weighted parts behind its
score: such a score, EPDMS*, is lower than what its columns add up to wherever the filter excused what counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jaxtyping import Bool, Float64

from navsim_agents.common.conventions import EPDMS_NAME
from navsim_agents.errors import InputError
from navsim_agents.evaluation.plan_scores import EPDMS_STAR
from navsim_agents.evaluation.score_files import STAGE, ScoreFile, parts_of
from navsim_agents.evaluation.two_stage import SCORE_NAME, STAGE_TWO
from navsim_agents.poses import FloatArray
from navsim_agents.scoring.aggregate import EXTENDED_COMFORT, epdms, weighted_score
from navsim_agents.scoring.config import PDMS

NEITHER = "neither"
ISSUE = "NAVSIM's issue 151"
PROGRESS = "ego_progress"
EXCUSABLE = {
    "no_at_fault_collisions": (1.0, 0.5, 0.0),
    "drivable_area_compliance": (1.0, 0.0),
    "driving_direction_compliance": (1.0, 0.5, 0.0),
    "traffic_light_compliance": (1.0, 0.0),
    "time_to_collision_within_bound": (1.0, 0.0),
    "lane_keeping": (1.0, 0.0),
}
"""What a column may have been before the human filter made it 1. Progress may have been anything; history comfort is
never excused, as the human is judged without its history, and extended comfort is not the filter's."""


@dataclass(frozen=True)
class Convention:
    """What the scores of a file are."""

    name: str  # pdms, epdms, epdms_star or neither
    num_rows: int
    num_telling: int  # rows that show it alone: of epdms those whose EPDMS* stands beside it and differs
    words: str


def recomputed(columns: Float64[np.ndarray, "B K"], metric: str) -> Float64[np.ndarray, "B"]:
    """What the parts [B, K] of a score, in the order of :func:`parts_of`, add up to by today's rule."""
    named = {name: torch.from_numpy(columns[:, at].copy()) for at, name in enumerate(parts_of(metric))}
    if metric == EPDMS_NAME:
        return np.asarray(epdms(named, named[EXTENDED_COMFORT]).numpy())
    return np.asarray(weighted_score(named, PDMS).numpy())


def parts(table: pd.DataFrame, metric: str) -> FloatArray:
    """Parts [B, K] of the score of every row."""
    return table[list(parts_of(metric))].to_numpy(dtype=np.float64)


def tell_convention(file: ScoreFile, tolerance: float = 1e-6) -> Convention:
    """Compare the scores of a file with what its columns add up to.

    Args:
        file: at least one row.
        tolerance: of scores, for files that were rounded.
    """
    scores = file.table[SCORE_NAME].to_numpy(dtype=np.float64)
    columns = parts(file.table, file.metric)
    sums = recomputed(columns, file.metric)
    differs = np.abs(scores - sums) > tolerance
    if not differs.any():
        return _as_added(file, sums, tolerance)
    is_odd = differs.copy()
    if file.metric == EPDMS_NAME:
        may_be = differs & (file.table[STAGE] != STAGE_TWO).to_numpy(dtype=bool)  # no human drove in the second stage
        rows = np.flatnonzero(may_be)
        is_odd[rows] = ~may_be_unexcused(columns[rows], scores[rows], tolerance)
    first = int((is_odd if is_odd.any() else differs).argmax())
    example = f"{file.table.index[first]} has {scores[first]:.6f}, its columns add up to {sums[first]:.6f}"
    if is_odd.any():
        known = "PDMS" if file.metric != EPDMS_NAME else "EPDMS or EPDMS*"
        words = f"{int(is_odd.sum())} of {len(scores)} scores are not {known} of their columns: {example}"
        return Convention(NEITHER, len(scores), int(is_odd.sum()), words)
    words = (
        f"{int(differs.sum())} of {len(scores)} scores are lower than their columns add up to, each as one that the "
        f"human filter has not reached: EPDMS*, from before the fix of {ISSUE} ({example})"
    )
    return Convention(EPDMS_STAR, len(scores), int(differs.sum()), words)


def _as_added(file: ScoreFile, sums: FloatArray, tolerance: float) -> Convention:
    """Of a file whose every score is what its columns add up to."""
    number = len(sums)
    if file.metric != EPDMS_NAME:
        return Convention(file.metric, number, number, f"all {number} scores are PDMS of their columns")
    words = f"all {number} scores are EPDMS of their columns, as since the fix of {ISSUE}"
    if EPDMS_STAR in file.table:
        star = file.table[EPDMS_STAR].to_numpy(dtype=np.float64)
        telling = int((np.abs(star - sums) > tolerance).sum())
        return Convention(EPDMS_NAME, number, telling, f"{words}; EPDMS* beside them differs in {telling} rows")
    words += "; rows alone cannot tell whether the fix was in, for where the filter excuses nothing both are the same"
    return Convention(EPDMS_NAME, number, 0, words)


def may_be_unexcused(
    columns: Float64[np.ndarray, "B K"], scores: Float64[np.ndarray, "B"], tolerance: float
) -> Bool[np.ndarray, "B"]:
    """Whether scores can be EPDMS of what columns were before the human filter made some of them 1."""
    at = {name: place for place, name in enumerate(parts_of(EPDMS_NAME))}
    found: npt.NDArray[np.bool_] = np.zeros(len(scores), dtype=bool)
    if not len(scores):
        return found
    for before in product(*EXCUSABLE.values()):
        earlier, is_possible = columns.copy(), np.ones(len(scores), dtype=bool)
        for name, value in zip(EXCUSABLE, before):
            if value < 1.0:
                is_possible &= columns[:, at[name]] == 1.0
                earlier[:, at[name]] = value
        most = recomputed(earlier, EPDMS_NAME)
        earlier[:, at[PROGRESS]] = np.where(columns[:, at[PROGRESS]] == 1.0, 0.0, columns[:, at[PROGRESS]])
        least = recomputed(earlier, EPDMS_NAME)
        found |= is_possible & (scores >= least - tolerance) & (scores <= most + tolerance)
    return found


def scores_by(file: ScoreFile, convention: Convention, wanted: str, tolerance: float) -> tuple[FloatArray, str]:
    """Scores [B] of a file by the convention that is wanted, and how they were come by.

    Raises:
        InputError: the file cannot give them.
    """
    if wanted != NEITHER and convention.name == wanted:
        return file.table[SCORE_NAME].to_numpy(dtype=np.float64), "its own scores"
    if file.metric == wanted:
        return recomputed(parts(file.table, wanted), wanted), "recomputed from its columns"
    if wanted == EPDMS_STAR and EPDMS_STAR in file.table:
        return file.table[EPDMS_STAR].to_numpy(dtype=np.float64), f"its column {EPDMS_STAR}"
    if wanted == EPDMS_STAR and file.metric == EPDMS_NAME:
        raise InputError(
            f"{file.path} follows {convention.name}, and does not hold what its columns were before the human filter, "
            f"so there is no way to {EPDMS_STAR}; compare by metric={EPDMS_NAME}, which all columns add up to"
        )
    raise InputError(
        f"{file.path} holds {file.metric}, whose parts are judged by other rules, so there is no way to {wanted}; "
        f"compare files of one metric"
    )
