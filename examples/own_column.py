"""Measure something of your own: register a group of columns, then evaluate as ``drive-jepa evaluate`` does.

First: drive-jepa demo output=outputs/demo
Then:  python examples/own_column.py outputs/demo
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from training.config import EvaluateConfig
from training.evaluate import evaluate
from training.metrics import Columns, PlannedScenes, columns
from training.table import summary_table

NAME = "drive_jepa_perception_free"


@columns("path")
def path(scenes: PlannedScenes) -> Columns:
    """How much longer the planned path is than the driven one [m]."""
    lengths = [
        np.linalg.norm(np.diff(poses[..., :2], axis=1, prepend=0.0), axis=-1).sum(-1)
        for poses in (scenes.planned, scenes.human)
    ]
    return {"extra_path_m": lengths[0] - lengths[1]}


def main(demo: Path) -> None:
    """Print a table with the new column."""
    config = EvaluateConfig(
        output=str(demo / "own_column"),
        data_root=str(demo / "unseen_world"),
        runs={NAME: str(demo / "trainings" / NAME)},
        columns=["displacement", "path"],
        max_scenes=40,
    )
    print(summary_table(evaluate(config)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
