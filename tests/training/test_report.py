"""The report: complete, self-contained, its scenes chosen by rule, its pictures drawn where the plans lead."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from navsim_agents.common.files import write_json
from navsim_agents.errors import InputError
from navsim_agents.world.camera.calibration import default_cameras
from tests.training.fakes import FakeSource
from training.config import EvaluateConfig, ReportConfig
from training.evaluate import evaluate
from training.report import html
from training.report.fan import score_colors
from training.report.gallery import choose_scenes, share_better, worst_scenes
from training.report.page import write_report
from training.report.pictures import box_outline, upwards
from training.report.views import Road, SceneView, ribbon, smooth_path

NAME = "drive_jepa_perception_free"
CAMERA = default_cameras()["cam_f0"].scaled(96, 54)


def square(x: float, y: float, side: float = 4.0) -> np.ndarray:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], dtype=np.float64)


def read_view(log_name: str, token: str, plans: Any) -> SceneView:
    road = Road(
        surfaces=[square(-20, -20, 60)],
        intersections=[square(10, 0)],
        crosswalks=[],
        walkways=[],
        carparks=[],
        buildings=[square(20, 10)],
        stop_lines=[],
        centerlines=[np.array([[0.0, 0.0], [30.0, 0.0]])],
        red_connectors=[np.array([[10.0, 0.0], [20.0, 5.0]])],
    )
    boxes = np.array([[12.0, 2.0, 0.5, 4.0, 2.0, 1.5, 0.3]])
    image = np.full((54, 96, 3), 90, dtype=np.uint8)
    return SceneView(CAMERA, image, boxes, ["vehicle"], road, dict(plans))


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    agent = {"_target_": "tests.training.fakes.TinyAgent"}
    evaluate(EvaluateConfig(output=str(folder), data_root="", agent=agent, agent_name=NAME), FakeSource())
    return folder


def report_text(evaluation: Path, folder: Path, **changes: Any) -> str:
    config = ReportConfig(output=str(folder / "report.html"), evaluation=str(evaluation), data_root="")
    return write_report(replace(config, **changes), read_view).read_text(encoding="utf-8")


def test_page_holds_everything_and_asks_for_nothing(evaluation: Path, tmp_path: Path) -> None:
    training = tmp_path / "training"
    history = pd.DataFrame(
        {
            "epoch": [0, 1],
            "train_loss": [3.0, 2.0],
            "val_loss": [3.1, 2.5],
            "val_ade_m": [4.0, 2.0],
            "seconds": [5.0, 6.0],
        }
    )
    training.mkdir()
    history.to_csv(training / "history.csv", index=False)
    result = {
        "num_parameters": 81,
        "num_scenes": {"train": 24, "val": 6},
        "logs": {"train": ["log_a"], "val": ["log_b"]},
        "epochs": 2,
        "steps": 10,
        "config": {"seed": 17},
    }
    write_json(training / "result.json", result)
    text = report_text(evaluation, tmp_path, trainings={NAME: str(training)}, repeat=["drive-jepa train a<b"])
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', text)
    assert len(sources) == 2 + 2 * text.count('class="scene"')
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?://|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    for piece in ("Results", "Training", "Scenes", "Where it fails", "To repeat this", "a&lt;b", "17", "torch"):
        assert piece in text
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower().replace("nanum", "")


def test_page_without_training_leaves_the_curve_out(evaluation: Path, tmp_path: Path) -> None:
    assert "<h2>Training</h2>" not in report_text(evaluation, tmp_path)


def test_missing_evaluation_is_refused_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no summary.json; run: drive-jepa evaluate"):
        report_text(tmp_path, tmp_path)


def scene_table() -> pd.DataFrame:
    errors = [5.0, 1.0, 2.0, 3.0, 4.0, 0.1, 9.0, 8.0]
    speeds = [5.0, 5.0, 5.0, 5.0, 5.0, 0.0, 5.0, 5.0]
    commands = ["left", "left", "left", "straight", "right", "straight", "straight", "unknown"]
    valid = [True] * 6 + [False, True]
    tokens = [f"t{index}" for index in range(8)]
    return pd.DataFrame({"token": tokens, "command": commands, "speed_mps": speeds, "valid": valid, "ade_m": errors})


def test_scenes_are_chosen_by_rule() -> None:
    choices = choose_scenes(scene_table())
    # left: 1, 2, 5 → 2; straight: 3, the other stands or failed; right: 4; of 1 2 3 4 5 8: 1, 5, 8
    assert [choice.row for choice in choices] == [2, 3, 4, 1, 0, 7]
    assert "left" in choices[0].rule
    assert "largest error" in choices[-1].rule


def test_no_scene_is_shown_twice() -> None:
    choices = choose_scenes(scene_table().iloc[[3]])
    assert [choice.row for choice in choices] == [3]


def test_worst_scenes_come_worst_first_and_only_if_planned() -> None:
    assert list(worst_scenes(scene_table(), 3)["token"]) == ["t7", "t0", "t4"]


def test_share_of_better_scenes_counts_those_that_both_planned() -> None:
    ours, other = scene_table(), scene_table()
    other["ade_m"] = 4.5
    assert share_better(ours, other) == pytest.approx(5 / 7)


def test_path_passes_through_ego_and_every_pose_and_keeps_headings() -> None:
    poses = np.array([[4.0, 0.0, 0.0], [8.0, 1.0, 0.5]])
    path = smooth_path(poses)
    assert path[0] == pytest.approx([0.0, 0.0])
    assert path[5] == pytest.approx([4.0, 0.0])
    assert path[-1] == pytest.approx([8.0, 1.0])
    arriving = path[-1] - path[-2]
    assert np.arctan2(arriving[1], arriving[0]) == pytest.approx(0.5, abs=0.12)


def test_ribbon_has_its_width_left_and_right() -> None:
    left, right = ribbon(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]), 0.5)
    assert left[:, 1] == pytest.approx([0.25] * 3)
    assert right[:, 1] == pytest.approx([-0.25] * 3)


def test_paper_has_ahead_upwards_and_left_on_the_left() -> None:
    assert upwards(np.array([3.0, 2.0])) == pytest.approx([-2.0, 3.0])


def test_box_outline_starts_front_left() -> None:
    box = np.array([10.0, 0.0, 0.0, 4.0, 2.0, 1.5, np.pi / 2])  # faces left: its front is at larger y
    assert box_outline(box)[0] == pytest.approx([9.0, 2.0])


def test_text_is_escaped() -> None:
    assert html.table(["<a>"], [["x & y"]]).count("&lt;a&gt;") == 1
    assert "x &amp; y" in html.table(["a"], [["x & y"]])
    assert "<script>" not in html.page("<script>", [html.title("<script>"), html.paragraph("<script>")])


def test_proposals_are_coloured_from_worst_to_best_and_alike_where_they_tie() -> None:
    colors = score_colors(np.array([0.2, 0.8, 0.5]))
    worst, best = score_colors(np.array([0.0, 1.0]))
    np.testing.assert_array_equal(colors[[0, 1]], [worst, best])
    np.testing.assert_array_equal(score_colors(np.array([0.3, 0.3])), [best, best])
