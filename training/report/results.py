"""What the report reads: the evaluation's files and, where there is one, the training's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import pandas as pd

from navsim_agents.errors import InputError
from training.evaluate import PLANS_FILE, SUMMARY_FILE
from training.files import read_json
from training.train import RESULT_FILE

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Results:
    """An evaluation, rows of every table and array in one order of scenes, and the training before it."""

    summary: dict[str, Any]
    tables: dict[str, pd.DataFrame]  # agent -> its csv
    plans: dict[str, FloatArray]  # agent -> [scenes, T, 3]
    history: Optional[pd.DataFrame]  # one row an epoch
    training: Optional[dict[str, Any]]  # result.json of the training

    @property
    def scenes(self) -> pd.DataFrame:
        """Token, log, command and speed of every scene."""
        return next(iter(self.tables.values()))[["token", "log_name", "command", "speed_mps"]]


def read_results(evaluation: Path, training: Optional[Path]) -> Results:
    """Read the folders; raises InputError where the evaluation has not been run."""
    if not (evaluation / SUMMARY_FILE).exists():
        raise InputError(
            f"{evaluation} holds no {SUMMARY_FILE}; run: python -m training.evaluate output={evaluation} …"
        )
    summary = read_json(evaluation / SUMMARY_FILE)
    with np.load(evaluation / PLANS_FILE) as stored:
        plans = {name: stored[f"plans.{name}"] for name in summary["agents"]}
    tables = {name: pd.read_csv(evaluation / f"{name}.csv") for name in summary["agents"]}
    history = training / "history.csv" if training else None
    result = training / RESULT_FILE if training else None
    return Results(
        summary,
        tables,
        plans,
        pd.read_csv(history) if history and history.exists() else None,
        read_json(result) if result and result.exists() else None,
    )
