"""Which scenes the report shows: chosen by fixed rules, not by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from navsim_agents.common.conventions import DRIVING_COMMANDS

MOVING_MPS = 2.0
COMMANDS = tuple(name for name in DRIVING_COMMANDS if name != "unknown")


@dataclass(frozen=True)
class Choice:
    """A scene and the rule that chose it."""

    row: int
    rule: str


def choose_scenes(table: pd.DataFrame) -> list[Choice]:
    """The median scene of each command, then the best, a hard and the worst one; rows of an agent's ``table``.

    Only scenes that were planned count; all but the worst are of a moving car, since a standing one shows nothing.
    """
    valid = table[table["valid"]]
    moving = valid[valid["speed_mps"] >= MOVING_MPS]
    choices = [
        Choice(_at_quantile(group, 0.5), f"median error among the scenes with command “{command}”")
        for command in COMMANDS
        if len(group := moving[moving["command"] == command])
    ]
    if len(moving):
        choices.append(Choice(_at_quantile(moving, 0.0), "smallest error of all scenes with a moving car"))
        choices.append(Choice(_at_quantile(moving, 0.9), "hard scene: one in ten has a larger error"))
    if len(valid):
        choices.append(Choice(_at_quantile(valid, 1.0), "largest error of all scenes"))
    return list({choice.row: choice for choice in reversed(choices)}.values())[::-1]


def worst_scenes(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """The ``count`` planned scenes with the largest average displacement, worst first."""
    return table[table["valid"]].nlargest(count, "ade_m")


def _at_quantile(table: pd.DataFrame, quantile: float) -> int:
    ordered = table.sort_values(["ade_m", "token"])
    return int(ordered.index[round(quantile * (len(ordered) - 1))])


def share_better(ours: pd.DataFrame, other: pd.DataFrame) -> float:
    """Fraction of scenes, planned by both, in which ``ours`` has the smaller average displacement."""
    both = ours["valid"] & other["valid"]
    return float(np.mean(ours.loc[both, "ade_m"] < other.loc[both, "ade_m"])) if both.any() else float("nan")
