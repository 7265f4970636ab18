"""Training on fake scenes: it learns, leaves what the evaluation needs, and resumes where it stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from navsim_agents.common.errors import SettingError
from navsim_agents.common.files import read_json, write_json
from navsim_agents.common.settings import read_settings
from navsim_agents.drive_jepa.runs import last_checkpoint, load_agent
from navsim_agents.errors import InputError
from navsim_agents.sources import split_logs
from tests.training.fakes import LOGS, FakeSource
from training.config import CacheConfig, DataConfig, ParamsConfig, TrainConfig
from training.train import train

AGENT = {"_target_": "tests.training.fakes.TinyAgent", "lr": 0.05}
TRAINER = {
    "accelerator": "cpu",
    "devices": 1,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "log_every_n_steps": 1,
    "num_sanity_val_steps": 0,
}


def config(folder: Path, max_epochs: int) -> TrainConfig:
    return TrainConfig(
        output=str(folder),
        agent=AGENT,
        data=DataConfig(root="", val_fraction=0.2),
        cache=CacheConfig(path=str(folder.parent / "cache"), workers=0),
        dataloader=ParamsConfig({"batch_size": 5}),
        trainer=ParamsConfig({**TRAINER, "max_epochs": max_epochs}),
        seed=3,
    )


def weights(folder: Path) -> Any:
    return torch.load(last_checkpoint(folder), weights_only=False)["state_dict"]["agent.linear.weight"]


def test_it_learns_and_leaves_a_run_that_can_be_loaded(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train(config(run, 30), FakeSource())
    history = pd.read_csv(run / "history.csv")
    assert list(history["epoch"]) == list(range(30))
    assert history["val_ade_m"].iloc[-1] < 0.3 * history["val_ade_m"].iloc[0]
    assert result["num_scenes"] == {"train": 24, "val": 6}
    assert read_json(run / "result.json")["logs"]["val"] == ["log_c"]
    scene = FakeSource().open("log_c").get_scene("log_c_1")
    planned = load_agent(run).compute_trajectory(scene.get_agent_input()).poses
    error = planned[:, :2] - scene.get_future_trajectory(8).poses[:, :2]
    assert float((error**2).sum(-1).max() ** 0.5) < 4.0


def test_last_weights_may_be_asked_for_instead_of_the_best(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train(config(run, 3), FakeSource())
    best, last = load_agent(run).linear.weight, load_agent(run, weights="last").linear.weight
    assert torch.equal(last, weights(run))
    stored = torch.load(run / result["best_checkpoint"], weights_only=False)["state_dict"]["agent.linear.weight"]
    assert torch.equal(best, stored)
    (run / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(InputError, match=r"holds no checkpoints/last\.ckpt"):
        load_agent(run, weights="last")


def test_a_run_of_the_release_before_says_what_to_change(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(config(run, 1), FakeSource())
    agent = read_json(run / "agent.json")
    former = {"scene_store": "agent.config.scenes", "lr": "agent.config.optimiser.lr"}
    for old, new in former.items():
        write_json(run / "agent.json", {"_target_": "navsim_agents.drive_jepa.ProposalAgent", "config": {old: "/a"}})
        with pytest.raises(
            InputError, match=rf"/agent\.json is of an earlier release; train again, .*\.{old} is called {new} now"
        ):
            load_agent(run)
    write_json(run / "agent.json", agent)
    assert load_agent(run) is not None


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    train(config(tmp_path / "whole", 4), FakeSource())
    train(config(tmp_path / "parts", 2), FakeSource())
    resumed = train(config(tmp_path / "parts", 4), FakeSource())
    assert (resumed["epochs"], resumed["steps"]) == (4, 20)
    whole, parts = (pd.read_csv(tmp_path / name / "history.csv") for name in ("whole", "parts"))
    assert list(parts["step"]) == list(whole["step"]) == [5, 10, 15, 20]
    assert list(parts["epoch"]) == [0, 1, 2, 3]
    assert parts["val_loss"].iloc[2] < parts["val_loss"].iloc[1]
    assert sorted(path.name for path in (tmp_path / "parts" / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    pd.testing.assert_series_equal(parts["val_loss"][:2], whole["val_loss"][:2])


def test_a_run_without_resume_starts_afresh(tmp_path: Path) -> None:
    train(config(tmp_path / "run", 2), FakeSource())
    first = weights(tmp_path / "run")
    train(replace(config(tmp_path / "run", 2), resume=False, seed=4), FakeSource())
    assert len(pd.read_csv(tmp_path / "run" / "history.csv")) == 2
    assert not torch.equal(weights(tmp_path / "run"), first)
    train(replace(config(tmp_path / "run", 2), resume=False), FakeSource())
    assert torch.equal(weights(tmp_path / "run"), first)


def test_skipped_scenes_are_listed_beside_the_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = train(config(tmp_path / "run", 1), FakeSource(bad_tokens=("log_b_2",)))
    skipped = pd.read_csv(tmp_path / "cache" / "skipped.csv")
    assert skipped.to_dict("records") == [
        {"log_name": "log_b", "token": "log_b_2", "reason": "WorldDataError: log_b_2 is torn"}
    ]
    assert result["num_scenes"]["train"] == 23
    assert "skipped log_b_2 of log_b" in capsys.readouterr().out


def test_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no result.json; finish it: drive-jepa train"):
        load_agent(tmp_path)


@pytest.mark.parametrize("override", [{"sed": 1}, {"data": {"splt": "test"}}, {"cache": {"worker": 1}}])
def test_misspelt_key_is_refused(tmp_path: Path, override: dict[str, Any]) -> None:
    composed = OmegaConf.create(
        {"output": str(tmp_path), "agent": AGENT, "data": {"root": "x"}, "cache": {"path": "y"}}
    )
    assert read_settings(TrainConfig, composed).data == DataConfig(root="x")
    with pytest.raises(SettingError, match="is no setting"):
        read_settings(TrainConfig, OmegaConf.merge(composed, override))


def test_logs_are_split_without_overlap() -> None:
    train_logs, val_logs = split_logs(LOGS, None, None, 0.4)
    assert (train_logs, val_logs) == (["log_a", "log_c", "log_e"], ["log_b", "log_d"])
    assert split_logs(LOGS, ["log_a"], ["log_e"], 0.4) == (["log_a"], ["log_e"])
    with pytest.raises(InputError, match=r"\['log_a'\] both train and validate"):
        split_logs(LOGS, ["log_a", "log_b"], ["log_a"], 0.4)
    with pytest.raises(InputError, match=r"logs \['log_x'\] are not in the split"):
        split_logs(LOGS, None, ["log_x"], 0.4)
    with pytest.raises(InputError, match="1 logs make 0 to train and 1 to validate"):
        split_logs(LOGS[:1], None, None, 0.1)
