"""A checkpoint trained on with all logs, and the average of what comes out: the recipe of docs/training.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from navsim_agents.common.files import read_json
from tests.training.fakes import FakeSource
from training.average_checkpoints import AverageCheckpointsConfig, average
from training.config import CacheConfig, DataConfig, EvaluateConfig, ParamsConfig, TrainConfig
from training.evaluate import evaluate
from training.saving import SavingConfig
from training.train import train

TRAINER = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False, "enable_model_summary": False}


def fit(folder: Path, agent: dict[str, Any], epochs: int, **data: Any) -> Any:
    config = TrainConfig(
        output=str(folder),
        agent={"_target_": "tests.training.fakes.TinyAgent", **agent},
        data=DataConfig(root="", **data),
        cache=CacheConfig(path=str(folder.parent / "cache"), workers=0),
        dataloader=ParamsConfig({"batch_size": 10}),
        trainer=ParamsConfig({**TRAINER, "num_sanity_val_steps": 0, "max_epochs": epochs, "log_every_n_steps": 1}),
        saving=SavingConfig(keep=5),
    )
    return train(config, FakeSource())


def weight(path: Path) -> torch.Tensor:
    found: torch.Tensor = torch.load(path, weights_only=False)["state_dict"]["agent.linear.weight"]
    return found


def test_five_more_epochs_on_all_logs_and_their_average(tmp_path: Path) -> None:
    fit(tmp_path / "first", {"lr": 0.05}, 6)
    start = tmp_path / "first" / "checkpoints" / "last.ckpt"
    result = fit(tmp_path / "more", {"lr": 0.0, "checkpoint_path": str(start)}, 1, val_logs=[])
    assert result["num_scenes"] == {"train": 30, "val": 0}
    assert torch.equal(weight(tmp_path / "more" / result["best_checkpoint"]), weight(start))  # it begins there
    result = fit(tmp_path / "five", {"lr": 0.02, "checkpoint_path": str(start)}, 5, val_logs=[])
    files = [tmp_path / "five" / name for name in result["kept_checkpoints"]]
    assert len(files) == 5
    averaged = tmp_path / "five" / "averaged.ckpt"
    average(AverageCheckpointsConfig(str(tmp_path / "five" / "checkpoints" / "epoch*.ckpt"), str(averaged)))
    by_hand = sum(weight(path).double() for path in files) / 5
    assert torch.equal(weight(averaged), by_hand.float())  # type: ignore[union-attr]
    rows = evaluate(
        EvaluateConfig(
            output=str(tmp_path / "out"),
            data_root="",
            baselines=[],
            checkpoints={"first": str(start), "five": [str(averaged), str(files[0])]},
        ),
        FakeSource(),
    )["agents"]
    assert list(rows) == ["first-epoch005-step00018", "five-averaged", "five-epoch004-step00015"]
    assert rows["five-averaged"]["ade_m"] < rows["first-epoch005-step00018"]["ade_m"]
    assert read_json(tmp_path / "five" / "agent.json")["checkpoint_path"] == str(start)
