"""Checkpoints that a training keeps: how many, never what cannot be compared, and the right ones after a pause."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest
import torch

from navsim_agents.common.files import read_json
from navsim_agents.drive_jepa.callbacks import VALIDATION_LOSS
from navsim_agents.drive_jepa.runs import load_agent
from navsim_agents.sources import split_logs
from tests.training.fakes import LOGS, FakeSource, TinyAgent
from training.config import CacheConfig, DataConfig, ParamsConfig, TrainConfig
from training.saving import SavingConfig
from training.train import train

TRAINER = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False, "enable_model_summary": False}
NAN = float("nan")


class ScriptedAgent(TinyAgent):
    """Its validation loss is what ``script`` says of the epoch, and its weight the number of steps taken."""

    script: Sequence[float] = ()
    num_steps = 0

    def compute_loss(self, features: Any, targets: Any, predictions: Any) -> torch.Tensor:
        loss = super().compute_loss(features, targets, predictions)
        if predictions["trajectory"].requires_grad:
            return loss
        return torch.tensor(self.script[int(self.epochs.item())])

    def __init__(self, lr: float = 0.01, checkpoint_path: str = "") -> None:
        super().__init__(lr, checkpoint_path)
        self.register_buffer("epochs", torch.tensor(-1))

    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if torch.is_grad_enabled():
            self.epochs += 1
        return super().forward(features)


def run(folder: Path, script: Sequence[float], keep: Optional[int], **changes: Any) -> dict[str, Any]:
    """Train one step an epoch, as many as ``script`` has."""
    ScriptedAgent.script = script
    config = TrainConfig(
        output=str(folder),
        agent={"_target_": "tests.training.test_saving.ScriptedAgent"},
        data=DataConfig(root="", val_fraction=0.2),
        cache=CacheConfig(path=str(folder.parent / "cache"), workers=0),
        dataloader=ParamsConfig({"batch_size": 30}),
        trainer=ParamsConfig({**TRAINER, "num_sanity_val_steps": 0, "max_epochs": len(script), "log_every_n_steps": 1}),
        saving=SavingConfig(keep),
    )
    return train(replace(config, **changes), FakeSource())


def files(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "checkpoints").iterdir()}


def epochs_in(folder: Path) -> dict[str, int]:
    return {
        path.stem: int(torch.load(path, weights_only=False)["epoch"]) for path in (folder / "checkpoints").iterdir()
    }


def kept(result: dict[str, Any]) -> list[str]:
    return [Path(path).stem for path in result["kept_checkpoints"]]


def test_so_many_best_ones_are_kept_in_order(tmp_path: Path) -> None:
    result = run(tmp_path / "run", [3.0, 1.0, 4.0, 2.0, 5.0], 3)
    assert kept(result) == ["best-epoch001", "best-epoch003", "best-epoch000"]
    assert files(tmp_path / "run") == {*kept(result), "last"}
    assert epochs_in(tmp_path / "run") == {"best-epoch001": 1, "best-epoch003": 3, "best-epoch000": 0, "last": 4}
    assert result["best_checkpoint"] == "checkpoints/best-epoch001.ckpt"
    assert read_json(tmp_path / "run" / "result.json")["kept_checkpoints"] == result["kept_checkpoints"]


@pytest.mark.parametrize(
    ("script", "keep", "wanted"),
    [
        ([NAN, 2.0, 3.0], 1, ["best"]),
        ([NAN, 2.0, float("inf"), 3.0], 3, ["best-epoch001", "best-epoch003"]),
        ([2.0, NAN, -float("inf")], 2, ["best-epoch000"]),
        ([NAN, NAN], 2, []),
    ],
)
def test_what_is_no_number_is_never_the_best(
    script: list[float], keep: int, wanted: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = run(tmp_path / "run", script, keep)
    assert kept(result) == wanted
    assert files(tmp_path / "run") == {*wanted, "last"}
    assert Path(result["best_checkpoint"]).stem == (wanted[0] if wanted else "last")
    assert epochs_in(tmp_path / "run")["last"] == len(script) - 1
    assert f"{VALIDATION_LOSS}=" in caplog.text
    assert load_agent(tmp_path / "run") is not None


SCRIPT = [3.0, 1.0, 4.0, 2.0, 5.0, 0.5]


@pytest.mark.parametrize("place", ["same", "moved"])
@pytest.mark.parametrize("pause", [1, 2, 4])
def test_a_resumed_training_keeps_the_list_of_an_uninterrupted_one(pause: int, place: str, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", SCRIPT, 3)
    run(tmp_path / "same", SCRIPT[:pause], 3)
    if place == "moved":
        (tmp_path / "same").rename(tmp_path / "moved")
    parts = run(tmp_path / place, SCRIPT, 3)
    assert kept(parts) == kept(whole) == ["best-epoch005", "best-epoch001", "best-epoch003"]
    assert epochs_in(tmp_path / place) == epochs_in(tmp_path / "whole")
    assert parts["best_checkpoint"] == whole["best_checkpoint"]


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (4, 2)])
def test_another_number_may_be_asked_for_after_a_pause(before: int, after: int, tmp_path: Path) -> None:
    first = run(tmp_path / "run", SCRIPT[:4], before)
    names = {1: {"best"}, 3: {"best-epoch001", "best-epoch003", "best-epoch000"}}
    assert files(tmp_path / "run") == {"last", *names.get(before, {f"best-epoch00{epoch}" for epoch in range(4)})}
    result = run(tmp_path / "run", SCRIPT, after)
    assert len(kept(result)) == after
    assert files(tmp_path / "run") == {"last", *kept(result)}
    best = sorted(epochs_in(tmp_path / "run")[name] for name in kept(result))
    assert best == {1: [5], 2: [1, 5], 3: [1, 4, 5]}[after]
    assert first["best_checkpoint"] != result["best_checkpoint"]


def test_a_file_that_was_deleted_is_not_on_the_list(tmp_path: Path) -> None:
    run(tmp_path / "run", SCRIPT[:4], 3)
    (tmp_path / "run" / "checkpoints" / "best-epoch001.ckpt").unlink()
    result = run(tmp_path / "run", [*SCRIPT[:5], 9.0], 3)
    assert kept(result) == ["best-epoch003", "best-epoch000", "best-epoch004"]
    assert files(tmp_path / "run") == {"last", *kept(result)}


def test_without_validation_the_last_epochs_are_kept(tmp_path: Path) -> None:
    data = DataConfig(root="", val_logs=[])
    result = run(tmp_path / "run", [0.0] * 5, 3, data=data)
    assert kept(result) == ["epoch004", "epoch003", "epoch002"]
    assert epochs_in(tmp_path / "run") == {"epoch002": 2, "epoch003": 3, "epoch004": 4, "last": 4}
    assert result["num_scenes"] == {"train": 30, "val": 0}
    assert result["logs"]["val"] == []
    assert result["best_checkpoint"] == "checkpoints/epoch004.ckpt"
    shutil.rmtree(tmp_path / "run")
    assert kept(run(tmp_path / "run", [0.0] * 2, None, data=data)) == ["epoch001"]


def test_all_logs_train_only_where_that_is_said() -> None:
    assert split_logs(LOGS, None, [], 0.4) == (list(LOGS), [])
    assert split_logs(LOGS, ["log_a"], [], 0.4) == (["log_a"], [])
