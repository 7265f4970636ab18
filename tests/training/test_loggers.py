"""Loggers: Lightning's own, told everything in plain types; a missing package is said in one line."""

from __future__ import annotations

import csv
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Optional

import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.logger import Logger, rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from navsim_agents.common.extras import MissingPackageError
from navsim_agents.common.settings import read_settings
from navsim_agents.errors import InputError
from tests.common.commands import COMMANDS, assert_one_line, places
from tests.training.fakes import FakeSource
from training.config import CacheConfig, DataConfig, ParamsConfig, TrainConfig
from training.loggers import CSV, TENSORBOARD, WANDB, LoggerConfig, hyperparameters, logger_class, logger_params
from training.train import train

TRAINER = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False, "enable_model_summary": False}


class FakeLogger(Logger):
    """Keeps what Lightning and the training tell it."""

    made: ClassVar[list[FakeLogger]] = []

    def __init__(self, **params: Any) -> None:
        super().__init__()
        self.params = params
        self.told: dict[str, Any] = {}
        self.metrics: list[dict[str, Any]] = []
        FakeLogger.made.append(self)

    @property
    def name(self) -> str:
        return "fake"

    @property
    def version(self) -> int:
        return 0

    @property
    @rank_zero_experiment
    def experiment(self) -> None:
        return None

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any], *_: Any, **__: Any) -> None:
        self.told = params

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: Optional[int] = None) -> None:
        self.metrics.append({**metrics, "step": step})


def config(folder: Path, logger: LoggerConfig) -> TrainConfig:
    return TrainConfig(
        output=str(folder / "run"),
        agent=OmegaConf.create({"_target_": "tests.training.fakes.TinyAgent", "lr": "${rate}", "rate": 0.05}),
        data=DataConfig(root="", val_fraction=0.2),
        cache=CacheConfig(path=str(folder / "cache"), workers=0),
        dataloader=ParamsConfig({"batch_size": 12}),
        trainer=ParamsConfig({**TRAINER, "num_sanity_val_steps": 0, "max_epochs": 2, "log_every_n_steps": 1}),
        logger=logger,
    )


def plain_agent(settings: TrainConfig) -> TrainConfig:
    """As the command hands it on: resolved."""
    return replace(settings, agent={"_target_": "tests.training.fakes.TinyAgent", "lr": 0.05})


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(part) for key, part in value.items())
    return all(map(is_plain, value)) if isinstance(value, list) else type(value) in (str, int, float, bool, type(None))


def test_hyperparameters_are_resolved_nested_and_plain(tmp_path: Path) -> None:
    found = hyperparameters(config(tmp_path, LoggerConfig()))
    assert is_plain(found)
    assert "${" not in json.dumps(found)
    assert found["config"]["agent"]["lr"] == 0.05
    assert found["config"]["trainer"]["params"]["max_epochs"] == 2
    assert found["devkit"] in ("none", "v1.1", "v2.2")
    assert {"torch", "pytorch-lightning", "python"} <= set(found["versions"])
    assert set(found) == {"config", "git", "devkit", "versions", "machine"}


def test_csv_is_the_default_and_says_what_it_was(tmp_path: Path) -> None:
    with initialize_config_module("training.conf", version_base="1.2"):
        composed = read_settings(TrainConfig, compose("train", overrides=["output=o", "data.root=i"]))
    assert composed.logger == LoggerConfig() == LoggerConfig(CSV)
    assert logger_class(composed.logger) is CSVLogger
    settings = plain_agent(config(tmp_path, LoggerConfig()))
    train(settings, FakeSource())
    folder = tmp_path / "run" / "logs" / "version_0"
    written = yaml.safe_load((folder / "hparams.yaml").read_text())
    assert written == json.loads(json.dumps(hyperparameters(settings)))
    with (folder / "metrics.csv").open() as file:
        assert {"val/loss_epoch", "train/loss_step"} <= set(next(csv.reader(file)))


@pytest.mark.parametrize(
    ("name", "more", "wanted"),
    [
        ("tensorboard", [], {"save_dir": "run", "name": "logs", "default_hp_metric": False}),
        ("wandb", ["logger.params.offline=true"], {"save_dir": "run", "name": "run", "offline": True}),
        ("csv", ["+logger.params.version=3"], {"save_dir": "run", "name": "logs", "version": 3}),
    ],
)
def test_what_a_logger_is_made_with(name: str, more: list[str], wanted: dict[str, Any]) -> None:
    with initialize_config_module("training.conf", version_base="1.2"):
        composed = compose("train", overrides=["output=run", "data.root=i", f"logger={name}", *more])
    settings = read_settings(TrainConfig, composed)
    found = logger_params(settings.logger, Path("run"))
    assert {**found, **wanted} == found
    assert set(found) - set(wanted) == ({"project"} if name == "wandb" else set())


@pytest.mark.parametrize("kind", [TENSORBOARD, WANDB])
def test_figures_and_hyperparameters_reach_the_logger(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.fitting.logger_class", lambda config: FakeLogger)
    settings = plain_agent(config(tmp_path, LoggerConfig(kind, {"project": "p"})))
    train(settings, FakeSource())
    logger = FakeLogger.made[-1]
    assert logger.told == hyperparameters(settings)
    assert {"val/loss_epoch", "train/loss_epoch", "train/loss_step"} <= {name for row in logger.metrics for name in row}
    assert logger.params["project"] == "p"
    assert (tmp_path / "run" / "result.json").exists()


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is an extra")
def test_tensorboard_itself(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = plain_agent(config(tmp_path, LoggerConfig(TENSORBOARD)))
    train(settings, FakeSource())
    folder = tmp_path / "run" / "logs" / "version_0"
    assert yaml.safe_load((folder / "hparams.yaml").read_text()) == hyperparameters(settings)
    events = EventAccumulator(str(folder)).Reload()
    assert len(events.Scalars("val/loss_epoch")) == 2
    assert "hp_metric" not in events.Tags()["scalars"]


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is an extra")
def test_wandb_itself_offline(tmp_path: Path) -> None:
    settings = plain_agent(config(tmp_path, LoggerConfig(WANDB, {"project": "p", "offline": True})))
    train(settings, FakeSource())
    import wandb

    assert wandb.run is not None
    assert dict(wandb.run.config)["config"]["agent"]["lr"] == 0.05
    wandb.finish()
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert any(path.suffix == ".wandb" and path.stat().st_size > 0 for path in folder.iterdir())


@pytest.mark.parametrize("kind", [TENSORBOARD, WANDB])
def test_a_missing_package_ends_in_one_line_before_work(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("navsim_agents.common.extras.find_spec", lambda name: None if name == kind else found(name))
    words = f"{kind} is not installed, but this command needs it; pip install 'navsim-drive-jepa[{kind}]' brings it"
    with pytest.raises(MissingPackageError) as caught:
        train(config(tmp_path, LoggerConfig(kind)), FakeSource())
    assert str(caught.value) == words
    assert not (tmp_path / "run").exists()
    command = COMMANDS["training.train"]
    assert_one_line(command.run(*command.overrides(places(tmp_path)), f"logger={kind}"), capsys, words)


def test_wrong_loggers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="kind='mlflow' must be one of csv, tensorboard, wandb"):
        LoggerConfig("mlflow")
    with pytest.raises(InputError, match=r"logger\.params are refused: .*flush"):
        train(plain_agent(config(tmp_path, LoggerConfig(CSV, {"flush": 3}))), FakeSource())
    capsys.readouterr()
    command = COMMANDS["training.train"]
    ended = command.run(*command.overrides(places(tmp_path)), "logger=mlflow")
    assert_one_line(ended, capsys, "mlflow")
