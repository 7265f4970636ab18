"""Runs that differ in their seed alone: mean and standard deviation of every metric."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from navsim_agents.evaluation.table import COUNTS, aligned, is_headline

SEED = re.compile(r"-seed\d+$")


def seeded(name: str, seed: int) -> str:
    """Name of a run among those that differ in their seed."""
    return f"{name}-seed{seed}"


def runs_by_name(names: Sequence[str]) -> dict[str, list[str]]:
    """Names that end in ``-seed`` and a number, grouped by the part before it; others are left out."""
    groups: dict[str, list[str]] = {}
    for name in names:
        if SEED.search(name):
            groups.setdefault(SEED.sub("", name), []).append(name)
    return groups


def spread(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Of each metric that every run has: mean, standard deviation (of a sample; None for one run), values."""
    metrics = [metric for metric in runs[0] if all(metric in run for run in runs)]
    columns = {metric: [run[metric] for run in runs] for metric in metrics}
    return {
        metric: {
            "mean": statistics.fmean(values),
            "sd": statistics.stdev(values) if len(values) > 1 else None,
            "values": values,
        }
        for metric, values in columns.items()
    }


def spreads(agents: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Spread of every group of runs; empty where no name ends in ``-seed`` and a number."""
    return {name: spread([agents[run] for run in runs]) for name, runs in runs_by_name(list(agents)).items()}


def spread_table(
    first_column: str,
    groups: Mapping[str, Mapping[str, Mapping[str, Any]]],
    baselines: Mapping[str, Mapping[str, float]],
) -> str:
    """One line a group: mean ± standard deviation over its seeds; below them, in brackets, what has no seeds."""
    names = dict.fromkeys(name for metrics in groups.values() for name in metrics if is_headline(name))
    rows = [[first_column, *names, "seeds", "scenes"]]
    for group, metrics in groups.items():
        scenes = metrics[COUNTS[0]]
        values = [_plus_minus(metrics[name]) if name in metrics else "–" for name in names]
        rows.append([group, *values, str(len(scenes["values"])), f"{scenes['mean']:.0f}"])
    for name, its in baselines.items():
        values = [f"{its[metric]:.3f}" if metric in its else "–" for metric in names]
        rows.append([f"({name})", *values, "", str(its[COUNTS[0]])])
    return aligned(rows)


def _plus_minus(metric: Mapping[str, Any]) -> str:
    deviation = "" if metric["sd"] is None else f" ± {metric['sd']:.3f}"
    return f"{metric['mean']:.3f}{deviation}"
