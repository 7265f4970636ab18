"""A comparison of tables in words: Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from training.ablation.statistics import NOISE
from training.labels import METRIC_LABELS, SUB_SCORE_LABELS

NUM_NAMED = 5


def in_markdown(summary: Mapping[str, Any]) -> str:
    """The text of what :func:`training.compare_tables.compare_tables` found."""
    label = METRIC_LABELS[summary["metric"]]
    lines = [f"# {label}, scene by scene", "", "## Tables", ""]
    for name, table in summary["tables"].items():
        lines += _file_lines(name, table, label)
    lines += ["", f"## Averages over the {summary['num_scenes']} scenes that all have", ""]
    lines += _averages(summary["tables"], label)
    lines += ["", "## Pairs", "", _errors_in_words(summary), ""]
    for pair in summary["pairs"]:
        lines += _pair_lines(pair)
    return "\n".join(lines).rstrip() + "\n"


def _file_lines(name: str, table: Mapping[str, Any], label: str) -> Iterator[str]:
    yield f"- **{name}**: {table['file']}, laid out as {table['layout']}; {table['num_scores']} scores"
    yield f"  - {table['convention']['words']}"
    yield f"  - compared by {label}: {table['scores']}"
    for average, score in table["own_averages"].items():
        yield f"  - its row {average}: {score:.4f}"
    if table["left_out"]:
        examples = [f"{token}: {why}" for token, why in list(table["left_out"].items())[:NUM_NAMED]]
        yield f"  - {len(table['left_out'])} left out ({_some(examples, len(table['left_out']))})"
    if table["missing"]:
        count = len(table["missing"])
        yield f"  - lacks {count} scenes that others have ({_some(table['missing'][:NUM_NAMED], count)})"
    yield from (f"  - {note}" for note in table["notes"])


def _some(examples: Sequence[str], count: int) -> str:
    return ", ".join(examples) + (", …" if count > len(examples) else "")


def _averages(tables: Mapping[str, Any], label: str) -> Iterator[str]:
    names = dict.fromkeys(name for table in tables.values() for its in table["averages"].values() for name in its)
    yield _line(["", *(label if name == "score" else SUB_SCORE_LABELS[name] for name in names)])
    yield _line(["---"] * (len(names) + 1))
    for method, table in tables.items():
        for stage, means in table["averages"].items():
            cells = [f"{means[name]:.4f}" if name in means else "" for name in names]
            yield _line([with_stage(method, stage), *cells])


def _errors_in_words(summary: Mapping[str, Any]) -> str:
    known, number = summary["num_scenes_of_known_drive"], summary["num_scenes"]
    if known == number:
        return f"Difference ± standard error over {summary['num_drives']} drives, scenes of one taken together."
    return (
        f"Difference ± standard error as if scenes were independent of each other: of {number - known} the drive is "
        "not known (drives=<csv with token and log_name>). Those of one drive are alike, so the true error is larger."
    )


def _pair_lines(pair: Mapping[str, Any]) -> Iterator[str]:
    row, other = pair["row"], pair["other"]
    error = pair["standard_error"]
    is_noise = error is not None and not abs(pair["difference"]) > NOISE * error
    spread = "what one drive cannot tell" if error is None else f"{error:.4f}"
    yield f"### {with_stage(f'{row} − {other}', pair['stage'])}"
    yield ""
    yield (
        f"{pair['difference']:+.4f} ± {spread}{', within the noise' if is_noise else ''}; {row} wins {pair['wins']}, "
        f"ties {pair['ties']}, loses {pair['losses']} of {pair['num_scenes']} scenes."
    )
    yield ""
    yield f"- wins decided by {_counts(pair['won_by'])}"
    yield f"- losses decided by {_counts(pair['lost_by'])}"
    yield ""
    if pair["largest"]:
        yield from _scene_lines(pair)


def _counts(decided: Mapping[str, int]) -> str:
    return (
        ", ".join(f"{SUB_SCORE_LABELS.get(name, name)} {count}" for name, count in decided.items())
        or "nothing: there are none"
    )


def _scene_lines(pair: Mapping[str, Any]) -> Iterator[str]:
    """The scenes of largest difference, both rows of each."""
    names = [name for name in pair["largest"][0]["rows"][pair["row"]] if name != "score"]
    header = ["scene", "drive", "decided by", "", "score", *(SUB_SCORE_LABELS[name] for name in names)]
    yield _line(header)
    yield _line(["---"] * len(header))
    for scene in pair["largest"]:
        decided = SUB_SCORE_LABELS.get(scene["decided_by"], scene["decided_by"])
        where = [scene["token"], scene["log_name"], decided]
        for method in (pair["row"], pair["other"]):
            values = [scene["rows"][method][name] for name in ("score", *names)]
            yield _line([*where, method, *("" if value is None else f"{value:.4g}" for value in values)])
            where = ["", "", ""]
    yield ""


def with_stage(text: str, stage: str) -> str:
    """``text`` and the stage in words, where there are two."""
    return f"{text}, {stage.replace('_', ' ')}" if stage else text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
