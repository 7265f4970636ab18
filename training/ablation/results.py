"""What the evaluation of the rows says: averages by row and seed, spreads, comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64

from navsim_agents.evaluation.seeds import spread
from navsim_agents.evaluation.table import COUNTS, is_headline
from training.ablation.statistics import Comparison, compare
from training.report.results import read_scenes


@dataclass(frozen=True)
class RowResults:
    """A row of the table: a training's with its seeds, or a baseline, which has none."""

    name: str
    seeds: tuple[int, ...]
    averages: list[dict[str, float]]  # of each seed; of a baseline one
    scenes: list[pd.DataFrame]  # the same, a line a scene

    @property
    def spread(self) -> dict[str, dict[str, Any]]:
        """Mean and standard deviation of each metric over the seeds."""
        return spread(self.averages)

    def values(self, metric: str, count: int) -> Float64[np.ndarray, "S B"]:
        """Scene by scene for ``count`` seeds; a baseline's are the same in each."""
        found = [_numbers(table, metric) for table in self.scenes]
        return np.stack(found if len(found) == count else found * count)


@dataclass(frozen=True)
class AblationResults:
    """All rows, in the table's order."""

    rows: list[RowResults]

    @property
    def metrics(self) -> list[str]:
        """Those with a column in the table."""
        names = dict.fromkeys(name for row in self.rows for name in row.averages[0])
        return [name for name in names if is_headline(name)]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the trained rows."""
        return max((row.seeds for row in self.rows), key=len, default=())

    def comparisons(self, metric: str) -> list[Comparison]:
        """Every two rows, the later one against the earlier one; those without this metric are left out."""
        rows = [row for row in self.rows if metric in row.averages[0]]
        count = max(1, len(self.seeds))
        drives = list(self.rows[0].scenes[0]["log_name"]) if self.rows else []
        return [
            compare(metric, row.name, other.name, row.values(metric, count), other.values(metric, count), drives)
            for other, row in combinations(rows, 2)
        ]

    def by_seed(self) -> pd.DataFrame:
        """A line a row and seed, a column a metric, sub-scores too."""
        return pd.DataFrame(
            [
                {"row": row.name, "seed": seed, **averages}
                for row in self.rows
                for seed, averages in zip(row.seeds or ("",), row.averages)
            ]
        )

    def by_row(self) -> pd.DataFrame:
        """A line a row: mean and standard deviation of every metric."""
        lines = []
        for row in self.rows:
            line: dict[str, Any] = {"row": row.name, "seeds": len(row.seeds)}
            for name, its in row.spread.items():
                line |= {name: its["mean"]} if name in COUNTS else {name: its["mean"], f"{name}.sd": its["sd"]}
            lines.append(line)
        return pd.DataFrame(lines)


def read_rows(
    evaluation: Path,
    agents: Mapping[str, Mapping[str, float]],
    rows: Mapping[str, Mapping[int, str]],
    others: Sequence[str],
) -> AblationResults:
    """Gather what ``drive-jepa evaluate`` wrote.

    Args:
        evaluation: its folder.
        agents: averages of its summary, by the agent's name.
        rows: name of a row → seed → the agent's name.
        others: baselines.
    """

    def read(name: str, seeds: tuple[int, ...], names: Sequence[str]) -> RowResults:
        tables = [read_scenes(evaluation / f"{its}.csv") for its in names]
        return RowResults(name, seeds, [dict(agents[its]) for its in names], tables)

    found = [read(name, tuple(names), list(names.values())) for name, names in rows.items()]
    return AblationResults([*found, *(read(name, (), [name]) for name in others)])


def _numbers(table: pd.DataFrame, metric: str) -> Float64[np.ndarray, "B"]:
    if metric not in table:
        return np.full(len(table), math.nan)
    return np.where(table["valid"], table[metric].to_numpy(dtype=np.float64), math.nan)
