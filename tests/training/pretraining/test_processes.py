"""Two processes that meet over gloo do what one process with twice the batch does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import multiprocessing

from navsim_agents.common.files import read_json
from tests.training.pretraining.tiny_runs import Bars, pretrainer, tiny_config
from training.pretraining.config import PretrainConfig, ProcessConfig
from training.pretraining.loop import Pretrainer
from training.pretraining.processes import Processes
from training.pretraining.schedules import ScheduleConfig

SCHEDULE = ScheduleConfig(
    epochs=1, iterations_per_epoch=5, warmup_epochs=0.4, lr_start=1e-3, lr=4e-3, lr_end=1e-3, ema_start=0.9
)


def process_main(rank: int, config: PretrainConfig) -> None:
    processes = Processes.join(replace(config.processes, rank=rank))
    run = Pretrainer(config, Bars(config.batch_size, rank, processes.world_size), processes)
    run.run()
    processes.leave()


def test_two_processes_equal_one_with_twice_the_batch(tmp_path: Path) -> None:
    pair = tiny_config(
        tmp_path / "pair",
        schedule=SCHEDULE,
        batch_size=3,
        processes=ProcessConfig(world_size=2, device="cpu", init_method=f"file://{tmp_path / 'meeting'}", threads=1),
    )
    multiprocessing.spawn(process_main, args=(pair,), nprocs=2)
    pretrainer(tiny_config(tmp_path / "alone", schedule=SCHEDULE, batch_size=6)).run()
    losses = [pd.read_csv(tmp_path / name / "history.csv")["loss"] for name in ("pair", "alone")]
    assert len(losses[0]) == 5
    pd.testing.assert_series_equal(*losses, atol=1e-5, rtol=0)
    files = [tmp_path / name / "checkpoints/step_00000005.pt" for name in ("pair", "alone")]
    first, second = (torch.load(path, weights_only=True) for path in files)
    for part in ("encoder", "target_encoder", "predictor"):
        for name, tensor in first[part].items():
            torch.testing.assert_close(tensor, second[part][name], atol=1e-4, rtol=0, msg=name)
    assert (first["world_size"], first["batch_size"], second["world_size"]) == (2, 3, 1)
    assert read_json(tmp_path / "pair/result.json")["clips"] == 30
    assert read_json(tmp_path / "pair/unreadable.json") == {"0.mp4": "torn", "1.mp4": "torn"}
    longer = replace(SCHEDULE, epochs=2)
    runs = [pretrainer(tiny_config(tmp_path / name, schedule=longer, batch_size=6)) for name in ("pair", "alone")]
    clips = [next(iter(run.loader)) for run in runs]
    assert torch.equal(*clips)
    went_on_from_pair, went_on_alone = (run.take_step(clip) for run, clip in zip(runs, clips))
    assert went_on_from_pair.loss == pytest.approx(went_on_alone.loss, abs=1e-5)
