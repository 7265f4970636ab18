"""The ablation in words: a table in Markdown, which differences are noise, in how many seeds a row is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from training.ablation.results import AblationResults, RowResults
from training.ablation.statistics import NOISE, Comparison
from training.labels import METRIC_LABELS


def label(metric: str) -> str:
    """A metric's name in tables."""
    return METRIC_LABELS.get(metric, metric)


def markdown_table(results: AblationResults) -> str:
    """A line a row: mean ± standard deviation over its seeds."""
    metrics = results.metrics
    header = ["", *map(label, metrics), "seeds"]
    lines = [header, ["---"] * len(header)]
    lines += [
        [row.name, *(_cell(row, metric) for metric in metrics), str(len(row.seeds) or "")] for row in results.rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(row: RowResults, metric: str) -> str:
    its = row.spread.get(metric)
    if its is None or not math.isfinite(its["mean"]):
        return ""
    return f"{its['mean']:.3f}" + (f" ± {its['sd']:.3f}" if its["sd"] is not None else "")


def in_words(results: AblationResults, metric: str) -> str:
    """What the differences in one metric are worth."""
    comparisons = results.comparisons(metric)
    if not comparisons:
        return f"No two rows have {label(metric)}."
    trained = {row.name for row in results.rows if row.seeds}
    among = [comparison for comparison in comparisons if {comparison.row, comparison.other} <= trained]
    lines = [
        f"{label(metric)}, each row against the one above it, and the last one against all (difference ± standard "
        f"error, paired over scenes and {_seeds(len(results.seeds))}):",
        *(f"- {sentence(its)}" for its in told(among, results.rows)),
        "",
        f"Less than the noise ({NOISE:g} standard errors) apart:",
        *(noise_in_words(comparisons) or ["- no two rows"]),
    ]
    if len(results.seeds) < 2:
        lines.append("One seed does not show what another training of the same row would do: the noise is larger.")
    return "\n".join(lines)


def noise_in_words(comparisons: Sequence[Comparison]) -> list[str]:
    """Of each row, those after it that chance may set apart from it."""
    alike: dict[str, list[str]] = {}
    for its in comparisons:
        if its.is_noise:
            alike.setdefault(its.other, []).append(its.row)
    return [f"- {row} and {', '.join(others)}" for row, others in alike.items()]


def told(comparisons: Sequence[Comparison], rows: Sequence[RowResults]) -> list[Comparison]:
    """Of each trained row against the one above it, and of the last one against all."""
    names = [row.name for row in rows if row.seeds]
    pairs = {*zip(names[:-1], names[1:]), *((name, names[-1]) for name in names[:-1])}
    return [its for its in comparisons if (its.other, its.row) in pairs]


def sentence(its: Comparison) -> str:
    """One comparison."""
    noise = "" if not its.is_noise else ", within the noise"
    return (
        f"{its.row} − {its.other}: {its.difference:+.3f} ± {its.standard_error:.3f}{noise}; better in "
        f"{its.seeds_better} of {_seeds(its.seeds)}"
    )


def failures_in_words(failures: Mapping[str, str]) -> list[str]:
    """Rows that the table lacks."""
    return [f"- {row} is left out: {reason}" for row, reason in failures.items()]


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
