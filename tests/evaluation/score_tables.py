"""Per-token csv files as NAVSIM's scripts and this package lay them out, with scores that were added up by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

V11_COLUMNS = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "comfort",
    "driving_direction_compliance",
    "score",
)
V22_COLUMNS = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "driving_direction_compliance",
    "traffic_light_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "lane_keeping",
    "history_comfort",
    "two_frame_extended_comfort",
    "score",
)
Row = Sequence[Any]  # numbers, and text where there is none


def write_csv(path: Path, columns: Sequence[str], rows: Mapping[str, Row], valid: Mapping[str, str] = {}) -> Path:
    """The script's table: an index, token, valid, columns. A token may be given twice as ``a`` and ``a#2``."""
    lines = [",".join(("", "token", "valid", *columns))]
    for index, (token, row) in enumerate(rows.items()):
        cells = (index, token.partition("#")[0], valid.get(token, "True"), *row)
        lines.append(",".join(map(str, cells)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def v11(path: Path, rows: Mapping[str, Row], valid: Mapping[str, str] = {}) -> Path:
    return write_csv(path, V11_COLUMNS, rows, valid)


def v22(path: Path, rows: Mapping[str, Row], valid: Mapping[str, str] = {}) -> Path:
    return write_csv(path, V22_COLUMNS, rows, valid)


def staged(path: Path, first: Mapping[str, Row], second: Mapping[str, Row], averages: Mapping[str, float]) -> Path:
    """v2.2's two-stage table: each row fills the columns of its stage."""
    names = V22_COLUMNS[:-1]
    columns = [f"{name}_{stage}" for stage in ("stage_one", "stage_two") for name in names]
    blank: list[Any] = [""] * len(names)
    rows: dict[str, Row] = {token: [*row[:-1], *blank, row[-1]] for token, row in first.items()}
    rows.update({token: [*blank, *row[:-1], row[-1]] for token, row in second.items()})
    rows.update({f"extended_pdm_score_{name}": [*blank, *blank, score] for name, score in averages.items()})
    return write_csv(path, [*columns, "score"], rows)


# (5 · 0.5 + 5 + 2) / 12
PDMS_HALFWAY = (1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 9.5 / 12.0)
# (5 · 0.5 + 5 + 2 + 2 + 2) / 16
HALFWAY = (1.0, 1.0, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 13.5 / 16.0)
# the first frame of a log has no extended comfort: (5 · 0.5 + 5 + 2 + 2) / 14
FIRST_FRAME: Row = (1.0, 1.0, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0, "", 11.5 / 14.0)
COLLIDED = (0.0, 1.0, 1.0, 1.0, 0.5, 0.0, 1.0, 1.0, 1.0, 0.0)
# ½ · (5 · 0.5 + 5 + 2 + 2 + 2) / 16
ONCOMING = (1.0, 1.0, 0.5, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 6.75 / 16.0)
PERFECT = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
# lane keeping was 0 before the filter, and the score still is of that: (5 · 0.5 + 5 + 0 + 2 + 2) / 16
STALE_LANE = (*HALFWAY[:-1], 11.5 / 16.0)
# it drove against the traffic for a while, as the human did: ½ · 13.5 / 16
STALE_DIRECTION = (*HALFWAY[:-1], 6.75 / 16.0)
