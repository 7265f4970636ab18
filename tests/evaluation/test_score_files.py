"""Layouts of per-token csv files, and what of them is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from navsim_agents.errors import InputError
from navsim_agents.evaluation.score_files import V11, V22, V22_TWO_STAGE, read_score_file
from tests.evaluation.score_tables import (
    COLLIDED,
    FIRST_FRAME,
    HALFWAY,
    ONCOMING,
    PDMS_HALFWAY,
    PERFECT,
    V22_COLUMNS,
    staged,
    v11,
    v22,
    write_csv,
)

OURS = (
    "token,log_name,command,valid,ade_m,pdms,epdms,epdms_star,extended_comfort,"
    "pdms.no_at_fault_collisions,pdms.drivable_area_compliance,pdms.ego_progress,pdms.time_to_collision_within_bound,"
    "pdms.comfort,pdms.driving_direction_compliance,epdms.no_at_fault_collisions,epdms.drivable_area_compliance,"
    "epdms.driving_direction_compliance,epdms.traffic_light_compliance,epdms.ego_progress,"
    "epdms.time_to_collision_within_bound,epdms.lane_keeping,epdms.history_comfort\n"
    "0012,a log,left,True,0.4,0.75,0.8125,0.6875,1,1,1,0.5,1,1,1,1,1,1,1,0.4,1,1,1\n"
    "null,another,left,True,0.4,0.75,,,1,1,1,0.5,1,1,1,1,1,1,1,0.4,1,1,1\n"
)


def test_v11s_table(tmp_path: Path) -> None:
    file = read_score_file(v11(tmp_path / "a.csv", {"0012": PDMS_HALFWAY, "average": PDMS_HALFWAY}))
    assert (file.layout, file.metric, file.has_two_stages) == (V11, "pdms", False)
    assert list(file.table.index) == ["0012"]  # text, no number
    assert file.averages == {"average": 9.5 / 12.0}
    assert file.table.loc["0012", "ego_progress"] == 0.5
    assert (file.left_out, file.notes) == ({}, [])


def test_v22s_table_of_one_stage(tmp_path: Path) -> None:
    rows = {"a": FIRST_FRAME, "b": PERFECT, "average_all_frames": (*PERFECT[:-1], 0.5)}
    file = read_score_file(v22(tmp_path / "a.csv", rows))
    assert (file.layout, file.metric, file.has_two_stages) == (V22, "epdms", False)
    assert np.isnan(file.table.loc["a", "two_frame_extended_comfort"])
    assert set(file.table["stage"]) == {""}
    assert file.notes == ["its row 'average_all_frames' says 0.500000, but its rows average 0.910714"]


def test_v22s_table_of_two_stages(tmp_path: Path) -> None:
    averages = {"stage_one": 0.9, "stage_two": 0.8, "combined": 0.7}
    file = read_score_file(staged(tmp_path / "a.csv", {"a": PERFECT}, {"b": HALFWAY}, averages))
    assert (file.layout, file.metric, file.has_two_stages) == (V22_TWO_STAGE, "epdms", True)
    assert dict(file.table["stage"]) == {"a": "stage_one", "b": "stage_two"}
    assert dict(file.table["ego_progress"]) == {"a": 1.0, "b": 0.5}
    assert file.averages == {f"extended_pdm_score_{name}": score for name, score in averages.items()}


def test_our_table_of_scenes_holds_both_metrics(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(OURS, encoding="utf-8")
    with pytest.raises(InputError, match="holds both pdms and epdms; say which to compare: metric=epdms"):
        read_score_file(path)
    pdms, epdms = read_score_file(path, "pdms"), read_score_file(path, "epdms")
    assert (pdms.metric, epdms.metric) == ("pdms", "epdms")
    assert pdms.table.loc["0012", ["score", "ego_progress", "log_name"]].tolist() == [0.75, 0.5, "a log"]
    assert epdms.table.loc["0012", ["score", "epdms_star", "ego_progress"]].tolist() == [0.8125, 0.6875, 0.4]
    assert (list(pdms.table.index), list(epdms.table.index)) == (["0012", "null"], ["0012"])
    assert epdms.left_out == {"null": "score is no finite number"}


def test_rows_that_are_left_out_are_named(tmp_path: Path) -> None:
    rows = {
        "a": HALFWAY,
        "a#2": HALFWAY,
        "b": HALFWAY,
        "b#2": PERFECT,
        "c": ("",) * 10,
        "d": (1.0, 1.0, 1.0, 1.0, "nan", *HALFWAY[5:]),
        "": PERFECT,
    }
    file = read_score_file(v22(tmp_path / "a.csv", rows, {"c": "False"}))
    assert list(file.table.index) == ["a"]
    assert file.left_out == {
        "b": "it is there more than once, with different values",
        "c": "valid is False: the agent failed there",
        "d": "ego_progress is no finite number",
        "scene row 7": "it has no token",
    }
    assert file.notes == ["1 rows repeat others (a) and count once"]


def test_what_is_no_table_of_scores(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text, words in (
        ("", "is not what it should be"),
        ("x,y\n1,2\n", "has no column 'token' but x, y"),
        ("token,score\na,1\n", "lacks no_at_fault_collisions"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=words):
            read_score_file(path)
    with pytest.raises(InputError, match=r"cannot be read .*give a per-token csv"):
        read_score_file(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="valid='maybe', but must be True or False"):
        read_score_file(v22(path, {"a": HALFWAY}, {"a": "maybe"}))
    with pytest.raises(InputError, match="column score must be numbers"):
        read_score_file(v22(path, {"a": (*HALFWAY[:-1], "good")}))
    with pytest.raises(InputError, match=r"not one row .* has a score \(a: valid is False"):
        read_score_file(v22(path, {"a": ("",) * 10}, {"a": "False"}))
    with pytest.raises(InputError, match=r"every token .* more than once"):
        read_score_file(v22(path, {"a": HALFWAY, "a#2": PERFECT}))


def test_a_table_without_extended_comfort_is_one_of_first_frames(tmp_path: Path) -> None:
    columns = [name for name in V22_COLUMNS if name != "two_frame_extended_comfort"]
    row = (*FIRST_FRAME[:-2], FIRST_FRAME[-1])
    file = read_score_file(write_csv(tmp_path / "a.csv", columns, {"a": row}))
    assert np.isnan(file.table.loc["a", "two_frame_extended_comfort"])


def test_zero_scores_are_scores(tmp_path: Path) -> None:
    file = read_score_file(v22(tmp_path / "a.csv", {"a": COLLIDED, "b": ONCOMING}))
    assert file.table["score"].tolist() == [0.0, 6.75 / 16.0]
