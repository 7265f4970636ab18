"""``drive-jepa compare-tables``: hand-worked differences, what decides them, and what is never mixed."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from navsim_agents.common.files import read_json
from navsim_agents.data.restricted_pickle import load_plain_file
from navsim_agents.errors import InputError, SceneError
from navsim_agents.world.camera.calibration import default_cameras
from navsim_agents.world.writers.pickles import dump_portable
from tests.data import synthetic
from tests.evaluation import split_on_disk as split
from tests.evaluation.score_tables import (
    COLLIDED,
    FIRST_FRAME,
    HALFWAY,
    ONCOMING,
    PDMS_HALFWAY,
    PERFECT,
    STALE_LANE,
    staged,
    v11,
    v22,
)
from training.compare_tables import CompareTablesConfig, compare_tables
from training.report.style import BETTER, WORSE
from training.report.views import SceneView
from training.table_comparison import HIDDEN, deciding


def compared(folder: Path, *files: Path, **settings: object) -> dict:  # type: ignore[type-arg]
    tables = {path.stem: str(path) for path in files}
    return compare_tables(CompareTablesConfig(str(folder / "out"), tables, **settings))  # type: ignore[arg-type]


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    rows = {"s": PERFECT, "t": HALFWAY, "u": COLLIDED, "v": FIRST_FRAME, "only": PERFECT, "w": ("",) * 10}
    return v22(tmp_path / "ours.csv", rows, {"w": "False"})


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return v22(tmp_path / "theirs.csv", {"v": FIRST_FRAME, "u": HALFWAY, "t": ONCOMING, "s": HALFWAY, "w": PERFECT})


def test_two_tables_by_hand(ours: Path, theirs: Path, tmp_path: Path) -> None:
    summary = compared(tmp_path, ours, theirs)
    assert (summary["metric"], summary["num_scenes"]) == ("epdms", 4)
    (pair,) = summary["pairs"]
    half = 13.5 / 16.0
    differences = [1.0 - half, half / 2.0, -half, 0.0]
    assert pair["difference"] == pytest.approx(np.mean(differences))
    assert pair["standard_error"] == pytest.approx(np.std(differences, ddof=1) / 2.0)
    assert (pair["wins"], pair["ties"], pair["losses"]) == (2, 1, 1)
    assert pair["won_by"] == {"ego_progress": 1, "driving_direction_compliance": 1}
    assert pair["lost_by"] == {"no_at_fault_collisions": 1}
    assert [scene["token"] for scene in pair["largest"]] == ["u", "t", "s"]
    first = pair["largest"][0]
    assert first["rows"]["ours"]["no_at_fault_collisions"] == 0.0
    assert (first["rows"]["theirs"]["score"], first["decided_by"]) == (half, "no_at_fault_collisions")
    assert summary["tables"]["ours"]["left_out"] == {"w": "valid is False: the agent failed there"}
    assert (summary["tables"]["ours"]["missing"], summary["tables"]["theirs"]["missing"]) == ([], ["only"])
    assert summary["tables"]["ours"]["averages"][""]["score"] == pytest.approx((1 + half + 0 + 11.5 / 14) / 4)


def test_what_is_written(ours: Path, theirs: Path, tmp_path: Path) -> None:
    summary = compared(tmp_path, ours, theirs, num_scenes=1)
    folder = tmp_path / "out"
    assert sorted(path.name for path in folder.iterdir()) == ["comparison.json", "comparison.md", "scenes.csv"]
    assert read_json(folder / "comparison.json") == summary
    scenes = pd.read_csv(folder / "scenes.csv").set_index("token")
    assert list(scenes.index) == ["s", "t", "u", "v"]
    assert scenes.loc["t", ["ours.score", "theirs.score"]].tolist() == [13.5 / 16, 6.75 / 16]
    assert np.isnan(scenes.loc["v", "ours.two_frame_extended_comfort"])
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    assert "# EPDMS, scene by scene" in text
    assert "ours wins 2, ties 1, loses 1 of 4 scenes" in text
    assert "- wins decided by EP 1, DDC 1\n- losses decided by NC 1" in text
    assert "  - lacks 1 scenes that others have (only)" in text
    assert "  - 1 left out (w: valid is False: the agent failed there)" in text
    assert "| u |  | NC | ours | 0 | 0 |" in text
    assert "of 4 the drive is not known" in text
    assert "| t |" not in text  # one scene was asked for


def test_scenes_of_one_drive_count_as_one(ours: Path, theirs: Path, tmp_path: Path) -> None:
    drives = tmp_path / "drives.csv"
    drives.write_text("token,log_name\ns,a\nt,a\nu,b\nv,b\n", encoding="utf-8")
    (pair,) = compared(tmp_path, ours, theirs, drives=str(drives))["pairs"]
    half = 13.5 / 16.0
    values = np.array([1.0 - half, half / 2.0, -half, 0.0])
    sums = (values - values.mean()).reshape(2, 2).sum(1)
    assert pair["standard_error"] == pytest.approx(math.sqrt(2.0 * np.square(sums).sum()) / 4.0)
    assert "over 2 drives" in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    drives.write_text("token,log_name\ns,a\nt,a\nu,a\nv,a\n", encoding="utf-8")
    (pair,) = compared(tmp_path, ours, theirs, drives=str(drives))["pairs"]
    assert pair["standard_error"] is None
    drives.write_text("token,log_name\ns,a\nt,b\ns,c\n", encoding="utf-8")
    with pytest.raises(InputError, match="says two drives of s; a scene is of one"):
        compared(tmp_path, ours, theirs, drives=str(drives))
    drives.write_text("scene,log\ns,a\n", encoding="utf-8")
    with pytest.raises(InputError, match="must be a csv with token and log_name"):
        compared(tmp_path, ours, theirs, drives=str(drives))


def test_conventions_are_not_mixed(ours: Path, tmp_path: Path) -> None:
    old = v22(tmp_path / "old.csv", {"s": PERFECT, "t": STALE_LANE, "u": PERFECT})
    with pytest.raises(InputError, match=r"old follows epdms_star .*; metric=epdms compares") as refused:
        compared(tmp_path, ours, old)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
    summary = compared(tmp_path, ours, old, metric="epdms")
    assert summary["tables"]["old"]["convention"]["name"] == "epdms_star"
    assert summary["tables"]["old"]["scores"] == "recomputed from its columns"
    assert summary["tables"]["ours"]["scores"] == "its own scores"
    assert summary["pairs"][0]["ties"] == 2  # t is a tie by today's rule
    with pytest.raises(InputError, match=r"ours.csv follows epdms, .* no way to epdms_star"):
        compared(tmp_path, ours, old, metric="epdms_star")


def test_two_tables_from_before_the_fix(tmp_path: Path) -> None:
    """Their columns do not show what the filter hides."""
    one = v22(tmp_path / "one.csv", {"s": STALE_LANE, "t": PERFECT})
    two = v22(tmp_path / "two.csv", {"s": HALFWAY, "t": (*PERFECT[:-1], 14 / 16)})
    summary = compared(tmp_path, one, two)
    assert summary["metric"] == "epdms_star"
    (pair,) = summary["pairs"]
    assert (pair["won_by"], pair["lost_by"]) == ({HIDDEN: 1}, {HIDDEN: 1})
    assert "# EPDMS*, scene" in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")


def test_scores_that_follow_nothing_are_not_compared(ours: Path, tmp_path: Path) -> None:
    odd = v22(tmp_path / "odd.csv", {"s": (*PERFECT[:-1], 100.0), "t": HALFWAY})
    for tables in ((ours, odd), (odd, v22(tmp_path / "odder.csv", {"s": (*PERFECT[:-1], 100.0)}))):
        with pytest.raises(InputError, match=r"odd follows neither \(1 of 2 scores are not EPDMS or EPDMS\*"):
            compared(tmp_path, *tables)
    summary = compared(tmp_path, ours, odd, metric="epdms")
    assert summary["tables"]["odd"]["scores"] == "recomputed from its columns"
    assert summary["pairs"][0]["ties"] == 2


def test_metrics_and_stages_are_not_mixed(ours: Path, tmp_path: Path) -> None:
    pdms = v11(tmp_path / "pdms.csv", {"s": PDMS_HALFWAY})
    with pytest.raises(InputError, match="PDMS and EPDMS are different metrics"):
        compared(tmp_path, ours, pdms)
    with pytest.raises(InputError, match=r"pdms.csv holds pdms, .* no way to epdms"):
        compared(tmp_path, ours, pdms, metric="epdms")
    two_stage = staged(tmp_path / "staged.csv", {"s": PERFECT}, {"t": HALFWAY}, {})
    with pytest.raises(InputError, match="some tables are of one stage and some of two"):
        compared(tmp_path, ours, two_stage)
    with pytest.raises(InputError, match=r"no scene has a score in all files \(ours 5, foreign 1\)"):
        compared(tmp_path, ours, v22(tmp_path / "foreign.csv", {"x": PERFECT}))


def test_stages_are_compared_apart(tmp_path: Path) -> None:
    one = staged(tmp_path / "one.csv", {"a": PERFECT}, {"b": HALFWAY, "c": HALFWAY}, {"combined": 0.7})
    two = staged(tmp_path / "two.csv", {"a": HALFWAY}, {"b": PERFECT, "c": HALFWAY}, {"combined": 0.6})
    first, second = compared(tmp_path, one, two)["pairs"]
    assert (first["stage"], first["num_scenes"], first["wins"], first["losses"]) == ("stage_one", 1, 1, 0)
    assert (second["stage"], second["num_scenes"], second["wins"], second["losses"]) == ("stage_two", 2, 0, 1)
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "### one − two, stage two" in text
    assert "  - its row extended_pdm_score_combined: 0.7000" in text


def test_every_two_of_three(ours: Path, theirs: Path, tmp_path: Path) -> None:
    third = v22(tmp_path / "third.csv", {"s": PERFECT, "t": HALFWAY})
    summary = compared(tmp_path, ours, theirs, third)
    assert [(pair["row"], pair["other"]) for pair in summary["pairs"]] == [
        ("ours", "theirs"),
        ("ours", "third"),
        ("theirs", "third"),
    ]
    assert {pair["num_scenes"] for pair in summary["pairs"]} == {2}


@pytest.mark.parametrize(
    ("better", "worse", "name"),
    [
        ((1, 1, 1, 1, 1, 1, 1, 1, 1), (0, 0, 1, 1, 0, 0, 1, 1, 1), "no_at_fault_collisions"),  # both alone cost all
        ((1, 1, 1, 1, 1, 1, 1, 1, 1), (1, 1, 0.5, 1, 0, 0, 1, 1, 1), "driving_direction_compliance"),  # 8/16, 5/16
        ((1, 1, 1, 1, 0.5, 1, 1, 1, 1), (1, 1, 1, 1, 1.0, 0, 1, 1, 1), "time_to_collision_within_bound"),
        ((1, 1, 1, 1, 0.5, 1, 1, 1, 1), (1, 1, 1, 1, 0.2, 1, 1, 1, 0), "two_frame_extended_comfort"),  # 1.5 and 2
        ((1, 1, 1, 1, 0.5, 1, 1, 1, 1), (1, 1, 1, 1, 0.5, 1, 1, 1, math.nan), "two_frame_extended_comfort"),
        ((1, 1, 1, 1, 0.5, 1, 1, 1, 1), (1, 1, 1, 1, 0.5, 1, 1, 1, 1), HIDDEN),
    ],
)
def test_what_decides(better: tuple[float, ...], worse: tuple[float, ...], name: str) -> None:
    assert deciding(np.array([better], float), np.array([worse], float), "epdms", 1e-6).tolist() == [name]


def view_of(log_name: str, token: str, plans: Mapping[str, np.ndarray]) -> SceneView:
    if token == "t":
        raise SceneError("t has no picture")
    image = np.full((54, 96, 3), 90, dtype=np.uint8)
    camera = default_cameras()["cam_f0"].scaled(96, 54)
    return SceneView(camera, image, np.zeros((0, 7)), [], None, dict(plans))


def stored_plans(folder: Path, *agents: str) -> Path:
    """Plans straight ahead, those of each agent 1 m a pose longer than those before, of scenes s, t and u."""
    ahead = np.zeros((3, 8, 3))
    ahead[..., 0] = np.arange(1, 9)
    plans: dict[str, Any] = {f"plans.{name}": ahead * (2 + index) for index, name in enumerate(agents)}
    np.savez(folder / "plans.npz", tokens=["s", "t", "u"], log_names=["a", "a", "b"], human=ahead, **plans)
    return folder


def test_pictures_of_the_scenes_that_differ_most(ours: Path, theirs: Path, tmp_path: Path) -> None:
    seen = {}

    def read_view(log_name: str, token: str, plans: Mapping[str, np.ndarray]) -> SceneView:
        seen[token] = (log_name, {name: float(poses[0, 0]) for name, poses in plans.items()})
        return view_of(log_name, token, plans)

    folder = stored_plans(tmp_path, "ours", "theirs")
    tables = {path.stem: str(path) for path in (ours, theirs)}
    settings = {"evaluation": str(folder), "data_root": "", "num_pictures": 2}
    compare_tables(CompareTablesConfig(str(tmp_path / "out"), tables, **settings), read_view)  # type: ignore[arg-type]
    assert seen == {  # u is lost by ours, whose plans are the shorter ones; t is won
        "u": ("b", {WORSE: 2.0, BETTER: 3.0, "human": 1.0}),
        "t": ("a", {WORSE: 3.0, BETTER: 2.0, "human": 1.0}),
    }
    page = (tmp_path / "out" / "pictures.html").read_text(encoding="utf-8")
    assert "theirs 0.844, ours 0.000: decided by NC" in page
    assert page.count("<img ") == 2  # of u alone
    assert "Scene t of a cannot be drawn: t has no picture" in page


def test_pictures_of_both_stages(tmp_path: Path) -> None:
    """First scenes from their log, however it ends; follow-ups, in which nobody drove, from their pickles."""
    split.write_split(tmp_path)
    first, second = split.mapping().first_stage[0], split.mapping().second_stage[0]
    one = staged(tmp_path / "one.csv", {first: PERFECT}, {second: HALFWAY}, {})
    two = staged(tmp_path / "two.csv", {first: HALFWAY}, {second: PERFECT}, {})
    ahead = np.zeros((2, 8, 3))
    ahead[..., 0] = np.arange(1, 9)
    human = np.stack((ahead[0], np.full((8, 3), np.nan)))
    plans = {"plans.one": ahead, "plans.two": 2 * ahead}
    np.savez(tmp_path / "plans.npz", tokens=[first, second], log_names=[split.LOGS[0]] * 2, human=human, **plans)
    log = tmp_path / "navsim_logs" / "test" / f"{split.LOGS[0]}.pkl"
    frames = load_plain_file(log)
    frames[split.NOW]["cams"] = {"CAM_F0": synthetic.camera("3")}
    log.write_bytes(dump_portable(frames))
    shown = tmp_path / "sensor_blobs" / "test" / synthetic.camera("3")["data_path"]
    shown.parent.mkdir(parents=True)
    shutil.copy(next((tmp_path / "navhard_two_stage" / "sensor_blobs").rglob("*.jpg")), shown)
    compared(tmp_path, one, two, evaluation=str(tmp_path), data_root=str(tmp_path))
    page = (tmp_path / "out" / "pictures.html").read_text(encoding="utf-8")
    assert "cannot be drawn" not in page
    assert page.count("<img ") == 4
    assert page.index("one − two, stage one") < page.index(f"Scene {first} ") < page.index("one − two, stage two")
    assert f"Scene {second} of {split.LOGS[0]}" in page
    moved = (tmp_path / "navhard_two_stage").rename(tmp_path / "elsewhere")
    paths = {
        "synthetic_scenes_path": moved / "synthetic_scene_pickles",
        "synthetic_sensor_path": moved / "sensor_blobs",
    }
    settings = {name: str(path) for name, path in paths.items()}
    compared(tmp_path, one, two, evaluation=str(tmp_path), data_root=str(tmp_path), **settings)
    assert (tmp_path / "out" / "pictures.html").read_text(encoding="utf-8") == page
    compared(tmp_path, one, two, evaluation=str(tmp_path), data_root=str(tmp_path))
    page = (tmp_path / "out" / "pictures.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 2  # that of the log
    assert page.count("cannot be drawn") == 1


def test_pictures_that_nobody_can_draw(ours: Path, theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give both or neither"):
        compared(tmp_path, ours, theirs, evaluation="x")
    settings = {"evaluation": str(stored_plans(tmp_path, "ours", "others")), "data_root": "nowhere"}
    with pytest.raises(InputError, match="plans of ours, others, but of tables ours, theirs only those of ours;"):
        compared(tmp_path, ours, theirs, **settings)
    whole = dict(np.load(stored_plans(tmp_path, "ours", "theirs") / "plans.npz"))
    for name in ("log_names", "human", "plans.theirs"):
        np.savez(tmp_path / "plans.npz", **{**whole, name: whole[name][:1]})
        with pytest.raises(InputError, match=rf"has 3 tokens, but 1 of {name.partition('.')[2] or name}; give"):
            compared(tmp_path, ours, theirs, **settings)
    (tmp_path / "plans.npz").unlink()
    with pytest.raises(InputError, match=r"plans.npz cannot be read .*output of drive-jepa evaluate"):
        compared(tmp_path, ours, theirs, **settings)
    assert not (tmp_path / "out").exists()


def test_settings(ours: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names 1 of the two or more that are compared"):
        CompareTablesConfig("out", {"a": str(ours)})
    for name in ("", " ", "a|b", "a\nb"):
        with pytest.raises(InputError, match="which no column of a text can be"):
            CompareTablesConfig("out", {name: str(ours), "b": str(ours)})
    with pytest.raises(InputError, match="metric='pdm' is unknown; choose from pdms, epdms, epdms_star, or null"):
        CompareTablesConfig("out", {"a": str(ours), "b": str(ours)}, metric="pdm")
    with pytest.raises(InputError, match=r"tables.b=.*scenes.csv would be written over"):
        CompareTablesConfig(str(tmp_path), {"a": str(ours), "b": str(tmp_path / "scenes.csv")})
