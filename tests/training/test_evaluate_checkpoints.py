"""Many checkpoints in one table: rows by step, scenes and features read once for all of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from navsim_agents.drive_jepa.runs import load_agent
from navsim_agents.errors import CheckpointError, InputError
from tests.training.fakes import LOGS, SCENES_PER_LOG, CountingFeatures, FakeReader, FakeSource
from training.average_checkpoints import AverageCheckpointsConfig, average
from training.config import CacheConfig, DataConfig, EvaluateConfig, ParamsConfig, TrainConfig
from training.evaluate import evaluate
from training.saving import SavingConfig
from training.train import train

TRAINER = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False, "enable_model_summary": False}
NUM_SCENES = len(LOGS) * SCENES_PER_LOG


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten epochs of all logs, each of which is kept."""
    folder = tmp_path_factory.mktemp("ten") / "run"
    config = TrainConfig(
        output=str(folder),
        agent={"_target_": "tests.training.fakes.SharingAgent", "lr": 0.05},
        data=DataConfig(root="", val_logs=[]),
        cache=CacheConfig(path=str(folder.parent / "cache"), workers=0),
        dataloader=ParamsConfig({"batch_size": 10}),
        trainer=ParamsConfig({**TRAINER, "num_sanity_val_steps": 0, "max_epochs": 10, "log_every_n_steps": 1}),
        saving=SavingConfig(keep=10),
    )
    train(config, FakeSource())
    return folder


def config(folder: Path, **changes: Any) -> EvaluateConfig:
    return replace(EvaluateConfig(output=str(folder), data_root="", baselines=[]), **changes)


def test_ten_checkpoints_load_the_scenes_once(run: Path, tmp_path: Path) -> None:
    pattern = str(run / "checkpoints" / "epoch*.ckpt")
    CountingFeatures.count = 0
    with mock.patch.object(FakeReader, "get_scene", autospec=True, side_effect=FakeReader.get_scene) as reading:
        summary = evaluate(config(tmp_path / "ten", checkpoints={"mine": pattern}), FakeSource())
    assert reading.call_count == CountingFeatures.count == NUM_SCENES
    rows = summary["agents"]
    assert list(rows) == [f"mine-epoch{epoch:03d}-step{3 * (epoch + 1):05d}" for epoch in range(10)]
    assert len({metrics["ade_m"] for metrics in rows.values()}) == 10
    for epoch in (0, 7):
        path = run / "checkpoints" / f"epoch{epoch:03d}.ckpt"
        alone = {"_target_": "tests.training.fakes.SharingAgent", "checkpoint_path": str(path)}
        single = evaluate(config(tmp_path / str(epoch), agent=alone), FakeSource())["agents"]["agent"]
        assert single == rows[f"mine-epoch{epoch:03d}-step{3 * (epoch + 1):05d}"]


def test_a_list_an_average_and_files_of_one_step(run: Path, tmp_path: Path) -> None:
    files = [str(run / "checkpoints" / f"epoch00{epoch}.ckpt") for epoch in (8, 9)]
    average(AverageCheckpointsConfig(files, str(run / "averaged.ckpt")))
    given = [files[1], str(run / "checkpoints" / "last.ckpt"), str(run / "averaged.ckpt"), files[0]]
    summary = evaluate(config(tmp_path, checkpoints={"a": given}), FakeSource())
    names = ["a-epoch009-step00030-epoch009", "a-epoch009-step00030-last", "a-averaged", "a-epoch008-step00027"]
    assert list(summary["agents"]) == names
    assert (tmp_path / "a-averaged.csv").exists()


def test_whose_checkpoints_they_are(run: Path, tmp_path: Path) -> None:
    """Of the training that holds them; elsewhere of the agent that is named, which is no row itself."""
    path = tmp_path / "lost" / "elsewhere" / "x.ckpt"
    path.parent.mkdir(parents=True)
    shutil.copy(run / "checkpoints" / "epoch003.ckpt", path)
    with pytest.raises(InputError, match=r"x\.ckpt lies in no folder of a training, so say which agent"):
        evaluate(config(tmp_path / "out", checkpoints={"a": str(path)}), FakeSource())
    agent = {"_target_": "tests.training.fakes.TinyAgent"}
    summary = evaluate(config(tmp_path / "out", checkpoints={"a": str(path)}, agent=agent), FakeSource())
    assert list(summary["agents"]) == ["a-epoch003-step00012"]
    own = {**agent, "checkpoint_path": str(path)}
    summary = evaluate(config(tmp_path / "out", checkpoints={"a": str(path)}, agent=own), FakeSource())
    assert list(summary["agents"]) == ["agent", "a-epoch003-step00012"]
    inside = load_agent(run / "checkpoints" / "epoch003.ckpt")
    state = torch.load(path, weights_only=False)["state_dict"]
    inside.initialize()
    assert torch.equal(inside.linear.weight, state["agent.linear.weight"])


def test_what_does_not_fit_is_refused(run: Path, tmp_path: Path) -> None:
    last = str(run / "checkpoints" / "last.ckpt")
    for changes, words in (
        ({"checkpoints": {"a": str(run / "*.nothing")}}, r"checkpoints\.a: no file is called"),
        ({"checkpoints": {"a": 3}}, r"checkpoints\.a=3, but must be a path, a pattern, or a list"),
        ({"checkpoints": {"a": last}, "runs": {"a": str(run)}}, r"\['a'\] are runs and checkpoints"),
        ({"checkpoints": {"human": last}, "baselines": ["human"]}, r"runs are called \['human'\], as are baselines"),
        ({"checkpoints": {"a": last}, "sequential": ["a"]}, r"sequential=\['a-epoch009-step00030'\]: only agents"),
        ({"checkpoints": {"a": last}, "run_settings": {"b": {}}}, r"\['b'\], but .* and checkpoints \['a'\]"),
    ):
        with pytest.raises(InputError, match=words):
            evaluate(config(tmp_path, **changes), FakeSource())
    with pytest.raises(CheckpointError, match=r"none\.ckpt is not a file"):
        evaluate(config(tmp_path, checkpoints={"a": str(run / "none.ckpt")}), FakeSource())
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        shutil.copy(last, tmp_path / name)
    twice = {"a": [str(tmp_path / "x" / "last.ckpt"), str(tmp_path / "y" / "last.ckpt")]}
    with pytest.raises(InputError, match="more than one file would be called a-epoch009-step00030-last"):
        evaluate(
            config(tmp_path, checkpoints=twice, agent={"_target_": "tests.training.fakes.TinyAgent"}), FakeSource()
        )


def copies(run: Path, folder: Path, *names: str) -> list[str]:
    """Files without a step, so that rows are called as they are."""
    weights = torch.load(run / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]
    for name in names:
        torch.save({"state_dict": weights}, folder / f"{name}.ckpt")
    return [str(folder / f"{name}.ckpt") for name in names]


AGENT = {"_target_": "tests.training.fakes.TinyAgent"}


def test_no_row_takes_the_place_of_another(run: Path, tmp_path: Path) -> None:
    one, two, three = copies(run, tmp_path, "b-c", "c", "c.epdms")
    for given, changes, words in (
        ({"a": one, "a-b": two}, {}, r"checkpoints\.a-b: there is a row called a-b-c already"),
        ({"a": two}, {"runs": {"a-c": str(run)}}, r"checkpoints\.a: there is a row called a-c already"),
        ({"a": [two, three]}, {}, r"a-c\.epdms\.csv would be both a row's and a part of a-c's"),
    ):
        with pytest.raises(InputError, match=words):
            evaluate(config(tmp_path / "out", checkpoints=given, agent=AGENT, **changes), FakeSource())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a/b", "../a", "a\\b", "", " ", ".a"])
@pytest.mark.parametrize("kind", ["runs", "checkpoints", "agent"])
def test_a_name_that_is_no_files_is_refused(name: str, kind: str, run: Path, tmp_path: Path) -> None:
    """Tables would lie elsewhere, or outside of the output."""
    path = str(run / "checkpoints" / "last.ckpt")
    rows: dict[str, dict[str, Any]] = {
        "runs": {"runs": {name: str(run)}},
        "checkpoints": {"checkpoints": {name: path}},
        "agent": {"agent": {**AGENT, "checkpoint_path": path}, "agent_name": name},
    }
    with pytest.raises(InputError, match="but its name is that of its files"):
        evaluate(config(tmp_path / "out", **rows[kind]), FakeSource())
    assert not list(tmp_path.iterdir())
