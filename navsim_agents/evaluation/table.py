"""The table of a summary, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from navsim_agents.evaluation.plan_scores import is_sub_score

COUNTS = ("num_planned", "num_failed")


def metric_names(summary: Mapping[str, Any]) -> list[str]:
    """Every averaged metric of any agent, in the order of first appearance; sub-scores are not among them."""
    return [name for name in _names(summary) if not is_sub_score(name)]


def sub_score_names(summary: Mapping[str, Any]) -> list[str]:
    """Every averaged sub-score of any agent, as ``epdms.lane_keeping``."""
    return [name for name in _names(summary) if is_sub_score(name)]


def is_headline(name: str) -> bool:
    """Whether a metric has a column in tables: no sub-score, no count."""
    return name not in COUNTS and not is_sub_score(name)


def _names(summary: Mapping[str, Any]) -> list[str]:
    names = [name for metrics in summary["agents"].values() for name in metrics]
    return [name for name in dict.fromkeys(names) if name not in COUNTS]


def summary_table(summary: Mapping[str, Any]) -> str:
    """One line an agent, one column a metric, and the number of scenes planned; sub-scores are in the summary."""
    names = metric_names(summary)
    rows = [["agent", *names, "scenes"]]
    for agent, metrics in summary["agents"].items():
        values = [f"{metrics[name]:.3f}" if name in metrics else "–" for name in names]
        rows.append([agent, *values, str(metrics["num_planned"])])
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as text, a line under the first; the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
