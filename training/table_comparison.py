"""Tables of scores against each other, scene by scene: differences, wins and losses, and what decides them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float64

from navsim_agents.evaluation.score_convention import parts, recomputed
from navsim_agents.evaluation.score_files import LOG_NAME, STAGE, ScoreFile, parts_of
from navsim_agents.poses import FloatArray
from training.ablation.statistics import Comparison, compare

HIDDEN = "hidden by the human filter"
"""What decides where the columns do not: EPDMS* rests on what they were before the filter."""


@dataclass(frozen=True)
class ScoredTable:
    """One method's table, and its scores by the convention that all are compared by."""

    name: str
    file: ScoreFile
    scores: pd.Series  # by token

    def of(self, tokens: Sequence[str]) -> FloatArray:
        """Scores [B]."""
        return self.scores.loc[list(tokens)].to_numpy(dtype=np.float64)

    def parts_of(self, tokens: Sequence[str]) -> FloatArray:
        """Parts [B, K] of the scores."""
        return parts(self.file.table.loc[list(tokens)], self.file.metric)


@dataclass(frozen=True)
class Pair:
    """One method against another, on the scenes of one stage."""

    stage: str  # empty where there is one stage alone
    comparison: Comparison
    num_scenes: int
    wins: int
    ties: int
    losses: int
    won_by: dict[str, int]  # sub-score → wins that it decides
    lost_by: dict[str, int]
    largest: list[dict[str, Any]]  # scenes, the largest difference first

    @property
    def record(self) -> dict[str, Any]:
        """For JSON, which has no NaN."""
        error = self.comparison.standard_error
        return {
            "row": self.comparison.row,
            "other": self.comparison.other,
            "stage": self.stage,
            "difference": self.comparison.difference,
            "standard_error": error if np.isfinite(error) else None,
            **{name: getattr(self, name) for name in ("num_scenes", "wins", "ties", "losses", "won_by", "lost_by")},
            "largest": self.largest,
        }


def common_tokens(tables: Sequence[ScoredTable]) -> list[str]:
    """Tokens that every table has a score of, in the order of the first."""
    shared = set.intersection(*(set(table.scores.index) for table in tables))
    return [token for token in tables[0].scores.index if token in shared]


def compare_all(
    tables: Sequence[ScoredTable], tokens: Sequence[str], log_names: Mapping[str, str], tolerance: float, most: int
) -> list[Pair]:
    """Every two tables, stage by stage.

    Args:
        tables: two at least.
        tokens: scenes that each of them has.
        log_names: token → drive; scenes of one drive are not independent. A scene that is not in it counts as a drive.
        tolerance: of scores; what differs by less is a tie.
        most: how many scenes of each pair are listed.
    """
    stages = tables[0].file.table.loc[list(tokens), STAGE]
    return [
        _pair(row, other, stage, [token for token in tokens if stages[token] == stage], log_names, tolerance, most)
        for stage in dict.fromkeys(stages)
        for row, other in combinations(tables, 2)
    ]


def _pair(
    row: ScoredTable,
    other: ScoredTable,
    stage: str,
    tokens: list[str],
    log_names: Mapping[str, str],
    tolerance: float,
    most: int,
) -> Pair:
    metric = row.file.metric
    ours, theirs = row.of(tokens), other.of(tokens)
    drives = [log_names.get(token, f"scene {token}") for token in tokens]
    comparison = compare(metric, row.name, other.name, ours[None], theirs[None], drives)
    difference = ours - theirs
    is_won, is_lost = difference > tolerance, difference < -tolerance
    mine, others = row.parts_of(tokens), other.parts_of(tokens)
    decided = np.full(len(tokens), "", dtype=object)
    decided[is_won] = deciding(mine[is_won], others[is_won], metric, tolerance)
    decided[is_lost] = deciding(others[is_lost], mine[is_lost], metric, tolerance)
    order = sorted(np.flatnonzero(is_won | is_lost), key=lambda at: (-round(float(abs(difference[at])), 9), tokens[at]))
    largest = [
        {
            "token": tokens[at],
            "log_name": log_names.get(tokens[at], ""),
            "difference": float(difference[at]),
            "decided_by": decided[at],
            "rows": {
                row.name: _row(ours[at], mine[at], metric),
                other.name: _row(theirs[at], others[at], metric),
            },
        }
        for at in order[:most]
    ]
    return Pair(
        stage,
        comparison,
        len(tokens),
        int(is_won.sum()),
        int((~is_won & ~is_lost).sum()),
        int(is_lost.sum()),
        dict(Counter(decided[is_won]).most_common()),
        dict(Counter(decided[is_lost]).most_common()),
        largest,
    )


def deciding(
    better: Float64[np.ndarray, "B K"], worse: Float64[np.ndarray, "B K"], metric: str, tolerance: float
) -> npt.NDArray[np.object_]:
    """Name [B] of the part of the worse row that, put into the better row, costs that one most.

    The first in the order of :func:`parts_of`, multipliers first, where several cost the same.
    """
    names = parts_of(metric)
    if not len(better):
        return np.zeros(0, dtype=object)
    before, costs = recomputed(better, metric), np.zeros(better.shape)
    for at in range(len(names)):
        changed = better.copy()
        changed[:, at] = worse[:, at]
        costs[:, at] = before - recomputed(changed, metric)
    is_seen = costs.max(axis=1) > tolerance
    first = (costs >= costs.max(axis=1, keepdims=True) - 1e-12).argmax(axis=1)
    return np.where(is_seen, np.array(names, dtype=object)[first], HIDDEN)


def _row(score: float, values: FloatArray, metric: str) -> dict[str, Any]:
    """A method's row of one scene."""
    named = {name: float(value) if np.isfinite(value) else None for name, value in zip(parts_of(metric), values)}
    return {"score": float(score), **named}


def averages(table: ScoredTable, tokens: Sequence[str]) -> dict[str, float]:
    """Mean score and mean parts over some scenes; what no scene has is left out."""
    columns = pd.DataFrame(table.parts_of(tokens), columns=list(parts_of(table.file.metric)))
    means = {"score": float(table.of(tokens).mean()), **columns.mean()}
    return {name: float(value) for name, value in means.items() if np.isfinite(value)}


def scene_table(tables: Sequence[ScoredTable], tokens: Sequence[str], log_names: Mapping[str, str]) -> pd.DataFrame:
    """A row a scene: every table's score and parts as ``<name>.<column>``."""
    columns: dict[str, Any] = {
        "token": list(tokens),
        LOG_NAME: [log_names.get(token, "") for token in tokens],
        STAGE: tables[0].file.table.loc[list(tokens), STAGE].to_numpy(),
    }
    for table in tables:
        columns[f"{table.name}.score"] = table.of(tokens)
        values = table.parts_of(tokens)
        columns.update({f"{table.name}.{name}": values[:, at] for at, name in enumerate(parts_of(table.file.metric))})
    return pd.DataFrame(columns)
