"""What the report reads: the evaluation's files and, where they are named, those of the trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import pandas as pd

from navsim_agents.common.files import read_json, reading
from navsim_agents.drive_jepa.runs import RESULT_FILE
from navsim_agents.errors import InputError
from navsim_agents.evaluation.files import PLANS_FILE, SUMMARY_FILE
from training.config import TWO_STAGE

HISTORY_FILE = "history.csv"  # of trainings and of pretraining alike

FloatArray = npt.NDArray[np.float64]

NAME_COLUMNS = ("token", "log_name")


@dataclass(frozen=True)
class TrainingRecord:
    """One training: a row an epoch, and its ``result.json``."""

    history: pd.DataFrame
    result: dict[str, Any]


@dataclass(frozen=True)
class Results:
    """An evaluation, rows of every table and array in one order of scenes, and the trainings before it."""

    summary: dict[str, Any]
    tables: dict[str, pd.DataFrame]  # agent -> its csv
    plans: dict[str, FloatArray]  # agent -> [scenes, T, 3]
    proposals: dict[str, FloatArray]  # agents that propose -> [scenes, N, T, 3]
    foreseen: dict[str, FloatArray]  # their own scores of the proposals -> [scenes, N]
    trainings: dict[str, TrainingRecord]  # by the agent's name
    pretraining: Optional[pd.DataFrame]  # a row a step

    @property
    def scenes(self) -> pd.DataFrame:
        """Token, log, command and speed of every scene."""
        return next(iter(self.tables.values()))[["token", "log_name", "command", "speed_mps"]]


def read_results(
    evaluation: Path, trainings: Mapping[str, str] = MappingProxyType({}), pretraining: Optional[str] = None
) -> Results:
    """Read the folders; raises InputError where one of them does not hold what it should."""
    _require(evaluation / SUMMARY_FILE, f"drive-jepa evaluate output={evaluation} …")
    summary = read_json(evaluation / SUMMARY_FILE)
    if isinstance(summary, dict) and TWO_STAGE in summary:
        raise InputError(
            f"{evaluation} is of two stages, whose synthetic scenes have no human to be shown beside; give the report "
            f"an evaluation of one stage: drive-jepa evaluate without protocol={TWO_STAGE}"
        )
    with reading(evaluation / PLANS_FILE), np.load(evaluation / PLANS_FILE, allow_pickle=False) as stored:
        plans, proposals, foreseen = (_by_agent(stored, kind) for kind in ("plans", "proposals", "foreseen"))
    steps = Path(pretraining) / HISTORY_FILE if pretraining else None
    if steps is not None:
        _require(steps, f"drive-jepa pretrain output={pretraining} …")
    return Results(
        summary,
        {name: _scene_table(evaluation / f"{name}.csv", summary) for name in summary["agents"]},
        plans,
        proposals,
        foreseen,
        {name: _training(Path(folder)) for name, folder in trainings.items()},
        _table(steps) if steps is not None else None,
    )


def _table(path: Path) -> pd.DataFrame:
    with reading(path):
        return pd.read_csv(path)


def _scene_table(path: Path, summary: Mapping[str, Any]) -> pd.DataFrame:
    """A row for every scene that the summary counts."""
    with reading(path):
        table = read_scenes(path)
    lacking = {"token", "log_name", "command", "speed_mps", "valid"} - set(table)
    if lacking or len(table) != summary["scenes"]["num_scenes"]:
        raise InputError(
            f"{path} has {len(table)} rows and lacks {sorted(lacking) or 'no column'}, but {SUMMARY_FILE} counts "
            f"{summary['scenes']['num_scenes']} scenes; run drive-jepa evaluate again"
        )
    return table


def read_scenes(path: Path) -> pd.DataFrame:
    """An agent's table of ``drive-jepa evaluate``, a row a scene; names stay text, also ``0123`` or ``null``."""
    empty = {name: [""] for name in pd.read_csv(path, nrows=0).columns if name not in NAME_COLUMNS}
    return pd.read_csv(path, dtype=dict.fromkeys(NAME_COLUMNS, str), keep_default_na=False, na_values=empty)


def _training(folder: Path) -> TrainingRecord:
    _require(folder / RESULT_FILE, f"drive-jepa train output={folder} …")
    return TrainingRecord(_table(folder / HISTORY_FILE), read_json(folder / RESULT_FILE))


def _require(path: Path, command: str) -> None:
    if not path.exists():
        raise InputError(f"{path.parent} holds no {path.name}; run: {command}")


def _by_agent(stored: Any, kind: str) -> dict[str, FloatArray]:
    """Arrays that are stored as ``<kind>.<agent>``."""
    return {name[len(kind) + 1 :]: stored[name] for name in stored.files if name.startswith(f"{kind}.")}
