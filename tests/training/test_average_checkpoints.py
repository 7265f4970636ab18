"""``drive-jepa average-checkpoints``: the file that it writes, and batch norms measured anew."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from navsim_agents.common.files import read_json
from navsim_agents.errors import CheckpointError, InputError
from tests.training.fakes import FakeSource, NormedAgent, grey_inputs
from training.average_checkpoints import AverageCheckpointsConfig, average
from training.config import CacheConfig, DataConfig, ParamsConfig, TrainConfig
from training.dataset import CachedScenes, collate
from training.train import train

TRAINER = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False, "enable_model_summary": False}


def run_of(folder: Path, agent: str = "NormedAgent", seed: int = 3) -> Path:
    config = TrainConfig(
        output=str(folder),
        agent={"_target_": f"tests.training.fakes.{agent}", "lr": 0.05},
        data=DataConfig(root="", val_fraction=0.2),
        cache=CacheConfig(path=str(folder.parent / "cache"), workers=0),
        dataloader=ParamsConfig({"batch_size": 24}),
        trainer=ParamsConfig({**TRAINER, "num_sanity_val_steps": 0, "max_epochs": 3}),
        seed=seed,
    )
    train(config, FakeSource())
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [run_of(tmp_path / str(seed), seed=seed) for seed in (3, 4)]


def state(path: Path) -> Any:
    return torch.load(path, weights_only=True)["state_dict"]


def lasts(runs: list[Path]) -> list[str]:
    return [str(run / "checkpoints" / "last.ckpt") for run in runs]


def test_batch_norms_are_averaged_with_a_word_or_measured_anew(
    runs: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files, output = lasts(runs), tmp_path / "a.ckpt"
    average(AverageCheckpointsConfig(files, str(output)))
    assert "statistics of 1 batch norms (such as agent.norm) differ" in caplog.text
    plain, (first, second) = state(output), map(state, map(Path, files))
    mean = (first["agent.norm.running_mean"].double() + second["agent.norm.running_mean"].double()) / 2
    assert torch.equal(plain["agent.norm.running_mean"], mean.float())

    caplog.clear()
    with caplog.at_level(logging.INFO):
        average(AverageCheckpointsConfig(files, str(output), recompute_batch_norm=str(runs[0])))
    assert "statistics of 1 batch norms anew" in caplog.text
    assert "differ" not in caplog.text
    scenes = CachedScenes(tmp_path / "cache", read_json(runs[0] / "result.json")["logs"]["train"])
    features, _ = collate([scenes[index] for index in range(len(scenes))])
    agent = NormedAgent().eval()
    agent.load_state_dict({name.removeprefix("agent."): value for name, value in plain.items()})
    inputs = agent.frozen(grey_inputs(features)).detach()
    found = state(output)
    torch.testing.assert_close(found["agent.norm.running_mean"], inputs.mean(0))
    torch.testing.assert_close(found["agent.norm.running_var"], inputs.var(0))
    assert found["agent.norm.num_batches_tracked"].item() == 1
    others = [name for name in plain if not name.startswith("agent.norm.running") and "tracked" not in name]
    assert len(others) == len(plain) - 2 - 2
    assert all(torch.equal(found[name], plain[name]) for name in others)


def test_statistics_of_one_file_are_measured_too(runs: list[Path], tmp_path: Path) -> None:
    (file, _), output = lasts(runs), tmp_path / "a.ckpt"
    average(AverageCheckpointsConfig(file, str(output), recompute_batch_norm=str(runs[0])))
    before, after = state(Path(file)), state(output)
    assert torch.equal(after["agent.linear.weight"], before["agent.linear.weight"])
    assert not torch.equal(after["agent.norm.running_mean"], before["agent.norm.running_mean"])


def test_runs_that_cannot_measure_are_refused(runs: list[Path], tmp_path: Path) -> None:
    files, output = lasts(runs), str(tmp_path / "a.ckpt")
    tiny = run_of(tmp_path / "tiny", "TinyAgent")
    with pytest.raises(InputError, match=r"holds no result\.json; name the output of a finished"):
        average(AverageCheckpointsConfig(files, output, recompute_batch_norm=str(tmp_path)))
    with pytest.raises(InputError, match="its agent trains no batch norm; leave it out"):
        average(AverageCheckpointsConfig(lasts([tiny]), output, recompute_batch_norm=str(tiny)))
    with pytest.raises((CheckpointError, RuntimeError)):
        average(AverageCheckpointsConfig(files, output, recompute_batch_norm=str(tiny)))
    assert not Path(output).exists()


def test_what_is_read_is_not_written_over(runs: list[Path]) -> None:
    last = runs[0] / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    with pytest.raises(InputError, match=r"is also one of checkpoints=.*must not be written over"):
        average(AverageCheckpointsConfig(str(runs[0] / "checkpoints" / "*.ckpt"), str(last)))
    assert last.read_bytes() == before
