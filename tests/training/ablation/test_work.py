"""One evaluation of all rows, kept until anything that it reads changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import pytest

from navsim_agents.common.files import write_json
from navsim_agents.drive_jepa.proposal_config import MomentumConfig
from navsim_agents.evaluation.files import SUMMARY_FILE
from navsim_agents.scoring import SceneStoreWriter
from tests.scoring.tiny import scene
from training.ablation import work
from training.ablation.config import AblateConfig, Row
from training.ablation.inputs import Inputs, train_settings
from training.ablation.trainings import Training, Trainings
from training.ablation.work import evaluate_rows
from training.config import EvaluateConfig
from training.demo_config import WorldSize

ROW = Row(is_pretrained=False)


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    """A test's world: one log, one scoring scene."""
    logs = tmp_path / "unseen/navsim_logs/test"
    logs.mkdir(parents=True)
    (logs / "drive.pkl").write_bytes(b"frames")
    write_scene(tmp_path, scene())
    return Inputs("w", "trainval", "scenes", "labels", "voc.npy", None, str(tmp_path / "unseen"), "test", None)


def write_scene(folder: Path, its: Any) -> None:
    with SceneStoreWriter(folder / "unseen/scoring_scenes/test") as writer:
        writer.add(its)


def other_logs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "unseen/navsim_logs/test/drive.pkl").write_bytes(b"other frames")


def more_logs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "unseen/navsim_logs/test/more.pkl").write_bytes(b"frames")


def other_scenes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scene(folder, replace(scene(), token="another"))


def other_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "version", lambda: "0.0")


def nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "calls"), [(nothing, 1), (other_logs, 2), (more_logs, 2), (other_scenes, 2), (other_version, 2)]
)
def test_it_is_made_anew_when_the_test_is_another(
    change: Callable[[Path, pytest.MonkeyPatch], None],
    calls: int,
    inputs: Inputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluated = []

    def evaluate(settings: EvaluateConfig) -> dict[str, Any]:
        evaluated.append(settings)
        write_json(Path(settings.output) / SUMMARY_FILE, {"call": len(evaluated)})
        return {"call": len(evaluated)}

    monkeypatch.setattr(work, "evaluate", evaluate)
    size = WorldSize(1, 7.5)
    config = AblateConfig(str(tmp_path / "out"), size, size, rows={"row": ROW}, seeds=[0])
    trainings = Trainings({("row", 0): Training("row", 0, train_settings(config, inputs, ROW, 0), "learnt")})
    evaluate_rows(config, inputs, trainings)
    change(tmp_path, monkeypatch)
    assert evaluate_rows(config, inputs, trainings) == {"call": calls}
    assert evaluate_rows(replace(config, threads=3), inputs, trainings) == {"call": calls}


@pytest.mark.parametrize(("planning", "failures"), [({}, ["row"]), ({"momentum": {"mode": "on"}}, [])])
def test_a_row_in_sequence_needs_momentum(
    planning: dict[str, Any], failures: list[str], inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without, that row is left out: the evaluation would refuse all of them."""
    row = replace(ROW, when_planning=planning, in_sequence=True)

    def load(folder: Path, settings: dict[str, Any], weights: str) -> SimpleNamespace:
        momentum = MomentumConfig(**{"mode": "off", **settings.get("momentum", {})})
        return SimpleNamespace(propose=None, config=SimpleNamespace(momentum=momentum))

    def evaluate(settings: EvaluateConfig) -> dict[str, Any]:
        evaluated.append(settings)
        write_json(Path(settings.output) / SUMMARY_FILE, {})
        return {}

    evaluated: list[EvaluateConfig] = []
    monkeypatch.setattr(work, "load_agent", load)
    monkeypatch.setattr(work, "evaluate", evaluate)
    size = WorldSize(1, 7.5)
    config = AblateConfig(str(tmp_path / "out"), size, size, rows={"row": row}, seeds=[0])
    trainings = Trainings({("row", 0): Training("row", 0, train_settings(config, inputs, row, 0), "learnt")})
    work.drop_unfit(config, trainings)
    assert list(trainings.failures) == failures
    evaluate_rows(config, inputs, trainings)
    assert evaluated[0].sequential == ([] if failures else ["row"])
