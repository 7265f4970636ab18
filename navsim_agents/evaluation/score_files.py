"""Per-token csv files of scores: those of NAVSIM's scripts, of this package, and of all who keep these layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
import pandas as pd

from navsim_agents.common.conventions import EPDMS_NAME, PDMS_NAME
from navsim_agents.common.files import reading
from navsim_agents.errors import InputError
from navsim_agents.evaluation.plan_scores import EPDMS_STAR, summary_name
from navsim_agents.evaluation.two_stage import AVERAGE_ROW, SCORE_NAME, STAGE_ONE, STAGE_TWO
from navsim_agents.scoring.aggregate import EXTENDED_COMFORT, GATES, weighted_parts
from navsim_agents.scoring.config import METRICS

WAY_OUT = "give a per-token csv of NAVSIM's scripts, of drive-jepa evaluate or of drive-jepa score-submission"
ONE_STAGE_AVERAGES = ("average", "average_all_frames")
"""What the scripts of v1.1 and of v2.2's one stage call the row of averages."""
TOKEN, VALID, LOG_NAME, STAGE = "token", "valid", "log_name", "stage"
TRUE, FALSE = ("true", "1", "1.0"), ("false", "0", "0.0", "")
V11, V22, V22_TWO_STAGE = "v1.1's", "v2.2's of one stage", "v2.2's of two stages"
SCENES = "drive-jepa evaluate's table of scenes"


@dataclass(frozen=True)
class ScoreFile:
    """What one file says; sub-scores under the devkit's names."""

    path: Path
    layout: str  # of whose table
    metric: str  # pdms or epdms
    table: pd.DataFrame  # by token: every part of the score, score, stage ("" of one stage), epdms_star and log_name
    averages: dict[str, float]  # its own rows of averages: name → score
    left_out: dict[str, str]  # token → why it is not in the table
    notes: list[str]

    @property
    def has_two_stages(self) -> bool:
        """Whether its rows are of the first and of the second stage."""
        return self.layout == V22_TWO_STAGE


def parts_of(metric: str) -> tuple[str, ...]:
    """Columns that the score is made of, the multipliers first."""
    return tuple(dict.fromkeys((*GATES[metric], *weighted_parts(METRICS[metric]))))


def read_score_file(path: Path, metric: Optional[str] = None) -> ScoreFile:
    """Read a file and tell its layout by its columns.

    Args:
        path: csv.
        metric: pdms or epdms, of files that hold both.

    Raises:
        InputError: it cannot be read, no layout has such columns, it holds two metrics and ``metric`` is None, or not
            one of its rows has a score.
    """
    with reading(path, InputError, WAY_OUT):
        cells = pd.read_csv(path, dtype=str, keep_default_na=False)
    if TOKEN not in cells:
        raise InputError(f"{path} has no column {TOKEN!r} but {_shown(list(cells))}; {WAY_OUT}")
    layout, metric, columns = _layout(path, cells, metric)
    table = _numbers(path, cells, columns)
    averages, table = _split_averages(table)
    left_out, table = _scored_rows(table, metric)
    if table.empty:
        token, why = next(iter(left_out.items()), ("", "there is none"))
        raise InputError(f"not one row of {path} has a score ({token}: {why}); {WAY_OUT}")
    table, doubled, notes = _once(table)
    if table.empty:
        raise InputError(f"every token of {path} is there more than once, with different values; {WAY_OUT}")
    notes += _wrong_average(table, averages, bool(doubled))
    return ScoreFile(path, layout, metric, table, averages, {**left_out, **doubled}, notes)


def _layout(path: Path, cells: pd.DataFrame, metric: Optional[str]) -> tuple[str, str, dict[str, list[str]]]:
    """Whose table it is, its metric, and for each of our columns those of the file's that may hold it."""
    names = set(cells.columns)
    epdms, pdms = parts_of(EPDMS_NAME), parts_of(PDMS_NAME)
    staged = {name: [f"{name}_{stage}" for stage in (STAGE_ONE, STAGE_TWO)] for name in epdms}
    if names.issuperset([*(its for pair in staged.values() for its in pair), SCORE_NAME]):
        return V22_TWO_STAGE, EPDMS_NAME, {**staged, SCORE_NAME: [SCORE_NAME]}
    both = {name: _named_by_summary(name) for name in (PDMS_NAME, EPDMS_NAME)}
    held = [name for name, columns in both.items() if names.issuperset(columns[part] for part in columns)]
    if held:
        if metric is None and len(held) > 1:
            raise InputError(f"{path} holds both {' and '.join(held)}; say which to compare: metric={held[-1]}")
        chosen = metric if metric in held else held[0]
        more = {EPDMS_STAR: EPDMS_STAR} if chosen == EPDMS_NAME else {}
        return SCENES, chosen, {name: [column] for name, column in {**both[chosen], **more}.items()}
    for layout, its_metric, parts in ((V22, EPDMS_NAME, epdms), (V11, PDMS_NAME, pdms)):
        needed = [name for name in parts if name != EXTENDED_COMFORT]  # some leave out what no scene has
        if names.issuperset([*needed, SCORE_NAME]):
            return layout, its_metric, {name: [name] for name in (*parts, SCORE_NAME, EPDMS_STAR)}
    nearest = min((epdms, pdms), key=lambda parts: len({*parts, SCORE_NAME} - names))
    lacking = [name for name in (*nearest, SCORE_NAME) if name not in names]
    raise InputError(
        f"{path} is no table of scores: it has {_shown(list(cells))}, but lacks {', '.join(lacking)}; {WAY_OUT}"
    )


def _named_by_summary(metric: str) -> dict[str, str]:
    """Devkit's name → ours, in the table where both metrics stand side by side."""
    return {name: summary_name(metric, name) for name in (*parts_of(metric), SCORE_NAME)}


def _numbers(path: Path, cells: pd.DataFrame, columns: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The file's columns under our names; of two stages, the one that is filled."""
    found = pd.DataFrame({TOKEN: cells[TOKEN].str.strip()})
    found[VALID] = _truth(path, cells[VALID]) if VALID in cells else True
    for name, sources in columns.items():
        there = [_column(path, cells[source], source) for source in sources if source in cells]
        if not there and name == EPDMS_STAR:
            continue
        found[name] = there[0] if there else np.nan
        for values in there[1:]:
            found[name] = found[name].combine_first(values)
    found[STAGE] = ""
    first = next(iter(columns.values()))[0]
    if len(next(iter(columns.values()))) > 1:
        found[STAGE] = np.where(_column(path, cells[first], first).notna(), STAGE_ONE, STAGE_TWO)
    if LOG_NAME in cells:
        found[LOG_NAME] = cells[LOG_NAME]
    return found


def _column(path: Path, cells: pd.Series, name: str) -> pd.Series:
    """Numbers of a column; empty is NaN."""
    with reading(path, InputError, f"its column {name} must be numbers; {WAY_OUT}"):
        return pd.Series([float(cell.strip() or "nan") for cell in cells], index=cells.index, dtype=np.float64)


def _truth(path: Path, cells: pd.Series) -> pd.Series:
    words = cells.str.strip().str.lower()
    odd = words[~words.isin((*TRUE, *FALSE))]
    if len(odd):
        raise InputError(f"{path} has {VALID}={odd.iloc[0]!r}, but must be True or False; {WAY_OUT}")
    return words.isin(TRUE)


def _split_averages(table: pd.DataFrame) -> tuple[dict[str, float], pd.DataFrame]:
    """Rows of averages: name → score; and the rows of scenes."""
    is_average = table[TOKEN].isin(ONE_STAGE_AVERAGES) | table[TOKEN].str.startswith(AVERAGE_ROW)
    rows = table[is_average]
    averages = {name: float(score) for name, score in zip(rows[TOKEN], rows[SCORE_NAME]) if np.isfinite(score)}
    return averages, table[~is_average]


def _scored_rows(table: pd.DataFrame, metric: str) -> tuple[dict[str, str], pd.DataFrame]:
    """What is left out, with the reason; and the rows whose score and parts are there."""
    needed = [name for name in (*parts_of(metric), SCORE_NAME) if name != EXTENDED_COMFORT]
    lacking = ~np.isfinite(table[needed].to_numpy(dtype=np.float64))
    reasons = {}
    for row, (token, is_valid) in enumerate(zip(table[TOKEN], table[VALID])):
        if not token:
            reasons[f"scene row {row + 1}"] = "it has no token"
        elif not is_valid:
            reasons[token] = f"{VALID} is False: the agent failed there"
        elif lacking[row].any():
            reasons[token] = f"{needed[int(lacking[row].argmax())]} is no finite number"
    is_kept = table[VALID].to_numpy(dtype=bool) & ~lacking.any(1) & (table[TOKEN] != "").to_numpy(dtype=bool)
    return reasons, table[is_kept]


def _once(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    """Every token once: repeated rows count as one, and rows that contradict each other are left out."""
    distinct = table.drop_duplicates()
    notes = []
    if len(distinct) < len(table):
        again = table[table.duplicated()][TOKEN].unique()
        notes.append(f"{len(table) - len(distinct)} rows repeat others ({_shown(list(again))}) and count once")
    is_doubled = distinct[TOKEN].duplicated(keep=False)
    doubled = dict.fromkeys(distinct[is_doubled][TOKEN].unique(), "it is there more than once, with different values")
    return distinct[~is_doubled].drop(columns=VALID).set_index(TOKEN), doubled, notes


def _wrong_average(table: pd.DataFrame, averages: Mapping[str, float], has_doubled: bool) -> list[str]:
    """Where the file's own average of one stage is not that of its rows."""
    mean = float(table[SCORE_NAME].mean())
    return [
        f"its row {name!r} says {averages[name]:.6f}, but its rows average {mean:.6f}"
        for name in ONE_STAGE_AVERAGES
        if name in averages and not has_doubled and abs(averages[name] - mean) > 1e-4
    ]


def _shown(names: Sequence[str], most: int = 8) -> str:
    """Some of ``names``."""
    return ", ".join(map(str, names[:most])) + (", …" if len(names) > most else "") or "nothing"
