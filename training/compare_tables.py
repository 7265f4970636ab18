"""Compares per-token csv files of scores scene by scene, and names the convention that each follows.

    drive-jepa compare-tables +tables.ours=EVAL/mine.epdms.csv +tables.theirs=2025.09.01.csv output=COMPARISON

Tables of NAVSIM's scripts (v1.1, v2.2 in one stage and in two) and of this package. Files of different conventions are
not compared, unless ``metric`` says by which one, and each of them can give it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

import pandas as pd

from navsim_agents.common.command import command
from navsim_agents.common.conventions import EPDMS_NAME, METRIC_NAMES
from navsim_agents.common.files import reading, write_json, write_text
from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least
from navsim_agents.errors import InputError
from navsim_agents.evaluation.plan_scores import EPDMS_STAR
from navsim_agents.evaluation.score_convention import NEITHER, Convention, scores_by, tell_convention
from navsim_agents.evaluation.score_files import LOG_NAME, STAGE, TOKEN, ScoreFile, read_score_file
from navsim_agents.evaluation.two_stage import STAGE_TWO
from training.config import synthetic_paths
from training.table_comparison import ScoredTable, averages, common_tokens, compare_all, scene_table
from training.table_words import in_markdown

CONVENTIONS = (*METRIC_NAMES, EPDMS_STAR)
JSON_FILE, TEXT_FILE, SCENES_FILE = "comparison.json", "comparison.md", "scenes.csv"
PICTURES_FILE = "pictures.html"
WRITTEN = (JSON_FILE, TEXT_FILE, SCENES_FILE, PICTURES_FILE)


@dataclass(frozen=True)
class CompareTablesConfig:
    """Configuration of ``drive-jepa compare-tables``."""

    output: str = field(metadata=WRITES_FOLDER)
    tables: dict[str, str] = field(default_factory=dict, metadata=READS)  # method → csv
    metric: Optional[str] = None  # pdms, epdms or epdms_star; null: what all files follow
    drives: Optional[str] = field(default=None, metadata=READS)  # csv with token and log_name
    tolerance: float = field(default=1e-6, metadata=at_least(0))  # of scores; more for files that were rounded
    num_scenes: int = field(default=10, metadata=at_least(0))  # listed for each pair
    evaluation: Optional[str] = field(default=None, metadata=READS)  # output of drive-jepa evaluate, for pictures
    data_root: Optional[str] = field(default=None, metadata=READS)  # of its scenes
    split: str = "test"
    synthetic_scenes_path: Optional[str] = field(default=None, metadata=READS)  # of two stages, as of evaluate
    synthetic_sensor_path: Optional[str] = field(default=None, metadata=READS)
    num_pictures: int = field(default=3, metadata=at_least(1))  # scenes of each pair, of those that are listed

    def __post_init__(self) -> None:
        """Raises InputError where there is nothing to compare, or a table would be written over."""
        if len(self.tables) < 2:
            raise InputError(
                f"tables={self.tables} names {len(self.tables)} of the two or more that are compared; add "
                "+tables.<name>=<per-token csv>"
            )
        odd = [name for name in self.tables if not name.strip() or set(name) & set("|\n\r")]
        if odd:
            raise InputError(f"a table is called {odd[0]!r}, which no column of a text can be; call it otherwise")
        if self.metric is not None and self.metric not in CONVENTIONS:
            raise InputError(f"metric={self.metric!r} is unknown; choose from {', '.join(CONVENTIONS)}, or null")
        if (self.evaluation is None) != (self.data_root is None):
            raise InputError(
                f"evaluation={self.evaluation} and data_root={self.data_root}, but pictures need the plans of the one "
                "and the scenes of the other; give both or neither"
            )
        written = {(Path(self.output) / name).resolve() for name in WRITTEN}
        for name, path in self.tables.items():
            if Path(path).resolve() in written:
                raise InputError(f"tables.{name}={path} would be written over; name another output than {self.output}")


def compare_tables(config: CompareTablesConfig, read_view: Optional[Callable[..., Any]] = None) -> dict[str, Any]:
    """Compare, write ``config.output``, and return what ``comparison.json`` holds.

    ``read_view`` stands in for the scenes at ``config.data_root``.

    Raises:
        InputError: a file is no table of scores, the files are of different conventions and ``metric`` is None, a file
            cannot give that metric, or no scene is in all of them.
    """
    wanted = EPDMS_NAME if config.metric == EPDMS_STAR else config.metric
    files = {name: read_score_file(Path(path), wanted) for name, path in config.tables.items()}
    found = {name: tell_convention(file, config.tolerance) for name, file in files.items()}
    _refuse_stages(files)
    by = config.metric or _shared(files, found)
    tables, origins = [], {}
    for name, file in files.items():
        scores, origins[name] = scores_by(file, found[name], by, config.tolerance)
        tables.append(ScoredTable(name, file, pd.Series(scores, index=file.table.index)))
    tokens = common_tokens(tables)
    if not tokens:
        counts = ", ".join(f"{name} {len(file.table)}" for name, file in files.items())
        raise InputError(f"no scene has a score in all files ({counts}); compare tables of one split")
    log_names = _log_names(config, files)
    summary = _summary(config, by, tables, tokens, log_names)
    for name, record in summary["tables"].items():
        record.update(convention=asdict(found[name]), scores=origins[name])
    page = _pictures(config, summary, read_view)
    output = Path(config.output)
    if page is not None:
        write_text(output / PICTURES_FILE, page)
    write_text(output / SCENES_FILE, scene_table(tables, tokens, log_names).to_csv(index=False))
    write_text(output / TEXT_FILE, in_markdown(summary))
    write_json(output / JSON_FILE, summary)
    return summary


def _summary(
    config: CompareTablesConfig,
    by: str,
    tables: Sequence[ScoredTable],
    tokens: Sequence[str],
    log_names: Mapping[str, str],
) -> dict[str, Any]:
    """All but the conventions."""
    known = [token for token in tokens if token in log_names]
    pairs = compare_all(tables, tokens, log_names, config.tolerance, config.num_scenes)
    stages = tables[0].file.table.loc[list(tokens), STAGE]
    parts = {stage: [token for token in tokens if stages[token] == stage] for stage in dict.fromkeys(stages)}
    everywhere = {token for table in tables for token in (*table.file.table.index, *table.file.left_out)}
    return {
        "metric": by,
        "num_scenes": len(tokens),
        "num_scenes_of_known_drive": len(known),
        "num_drives": len({log_names[token] for token in known}),
        "tables": {
            table.name: {
                "file": str(table.file.path),
                "layout": table.file.layout,
                "num_scores": len(table.file.table),
                "own_averages": table.file.averages,
                "averages": {stage: averages(table, its) for stage, its in parts.items()},
                "left_out": table.file.left_out,
                "missing": sorted(everywhere - {*table.file.table.index, *table.file.left_out}),
                "notes": table.file.notes,
            }
            for table in tables
        },
        "pairs": [pair.record for pair in pairs],
    }


def _pictures(
    config: CompareTablesConfig, summary: Mapping[str, Any], read_view: Optional[Callable[..., Any]]
) -> Optional[str]:
    """The page of pictures; None where none are asked for. Raises InputError where there can be none."""
    if config.evaluation is None or config.data_root is None:
        return None
    from training.table_pictures import pictures_page, read_plans, view_reader  # needs the extra report

    stored = read_plans(Path(config.evaluation), list(config.tables))
    if read_view is None:
        follow_ups = frozenset(
            scene["token"] for pair in summary["pairs"] if pair["stage"] == STAGE_TWO for scene in pair["largest"]
        )
        synthetic = synthetic_paths(config.data_root, config.synthetic_scenes_path, config.synthetic_sensor_path)
        read_view = view_reader(config.data_root, config.split, synthetic, follow_ups)
    return pictures_page(summary, stored, read_view, config.num_pictures)


def _refuse_stages(files: Mapping[str, ScoreFile]) -> None:
    """Raises InputError where some files are of one stage and some of two."""
    if len({file.has_two_stages for file in files.values()}) > 1:
        words = "; ".join(f"{name} is {file.layout}" for name, file in files.items())
        raise InputError(
            f"some tables are of one stage and some of two, whose traffic and extended comfort differ: {words}; "
            "compare tables of one script"
        )


def _shared(files: Mapping[str, ScoreFile], found: Mapping[str, Convention]) -> str:
    """The convention of all files; raises InputError where there is none."""
    names = {convention.name for convention in found.values()}
    if len(names) == 1 and NEITHER not in names:
        return next(iter(names))
    words = "; ".join(f"{name} follows {its.name} ({its.words})" for name, its in found.items())
    metrics = {file.metric for file in files.values()}
    if len(metrics) > 1:
        raise InputError(f"PDMS and EPDMS are different metrics, neither of which gives the other: {words}")
    raise InputError(
        f"the tables do not follow one convention: {words}; metric={next(iter(metrics))} compares what the columns of "
        "each add up to"
    )


def _log_names(config: CompareTablesConfig, files: Mapping[str, ScoreFile]) -> dict[str, str]:
    """Token → drive, as far as a file says it."""
    found: dict[str, str] = {}
    for file in files.values():
        if LOG_NAME in file.table:
            found.update(file.table[LOG_NAME].items())
    if config.drives is None:
        return found
    path = Path(config.drives)
    with reading(path, InputError, f"it must be a csv with {TOKEN} and {LOG_NAME}, as drive-jepa evaluate writes"):
        cells = pd.read_csv(path, dtype=str, keep_default_na=False)
        drives = dict(zip(cells[TOKEN], cells[LOG_NAME]))
    twice = [token for token, name in zip(cells[TOKEN], cells[LOG_NAME]) if drives[token] != name]
    if twice:
        raise InputError(f"{path} says two drives of {twice[0]}; a scene is of one: mend the file")
    return {**found, **drives}


@command(CompareTablesConfig, "training.conf.compare_tables")
def main(config: CompareTablesConfig) -> None:
    """Compare as configured and print the text."""
    compare_tables(config)
    print((Path(config.output) / TEXT_FILE).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
