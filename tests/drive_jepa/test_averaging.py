"""Averaged weights: the average itself, and that they are validated, kept and resumed alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from navsim_agents.drive_jepa import PerceptionFreeAgent
from navsim_agents.drive_jepa.averaging import TRAINED, AveragedWeights, copied, decay_at, update
from navsim_agents.errors import SettingError
from navsim_agents.models.checkpoint_file import read_checkpoint
from tests.drive_jepa.lightning import Module
from tests.drive_jepa.quiet import quiet_trainer
from tests.drive_jepa.scenes import make_batch

MakeAgent = Callable[..., PerceptionFreeAgent]
DECAY = 0.6


class Watch(pl.Callback):
    """Keeps the weights after every step, and those that each validation ran with."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor]] = []
        self.validated: list[dict[str, torch.Tensor]] = []
        self.starts: list[dict[str, torch.Tensor]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.starts.append(copied(pl_module.state_dict()))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self.steps.append(copied(pl_module.state_dict()))

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self.validated.append(copied(pl_module.state_dict()))


def samples(count: int) -> list[Any]:
    features, targets = make_batch(count)
    return [({k: v[i] for k, v in features.items()}, {k: v[i] for k, v in targets.items()}) for i in range(count)]


def fit(agent: PerceptionFreeAgent, folder: Path, resume: Any = None, **trainer: Any) -> Watch:
    watch = Watch()
    runner = quiet_trainer(folder, [*agent.get_training_callbacks(), watch], **trainer)
    rows = samples(6)
    runner.fit(Module(agent), DataLoader(rows[:4], batch_size=2), DataLoader(rows[4:], batch_size=2), ckpt_path=resume)
    return watch


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"optimiser": {"ema_decay": DECAY, "lr": 1e-2}}


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)


def test_fractions_are_averaged_and_counters_copied() -> None:
    average = {"weight": torch.tensor([1.0, 2.0]), "batches": torch.tensor(3), "mask": torch.tensor([True, False])}
    update(average, {"weight": torch.tensor([2.0, 0.0]), "batches": torch.tensor(4), "mask": ~average["mask"]}, 0.9)
    assert average["weight"].tolist() == pytest.approx([1.1, 1.8])
    assert average["batches"].item() == 4
    assert average["mask"].tolist() == [False, True]


def test_the_first_steps_forget_the_start() -> None:
    assert [decay_at(step, 0.5) for step in (0, 2, 8, 100)] == pytest.approx([0.1, 3 / 12, 0.5, 0.5])


def test_validation_and_checkpoints_have_the_average(
    make_agent: MakeAgent, settings: dict[str, Any], tmp_path: Path
) -> None:
    agent = make_agent(**settings)
    watch = fit(agent, tmp_path)
    average = dict(watch.starts[0])
    seen = []
    for step, weights in enumerate(watch.steps, 1):
        share = min(DECAY, (1 + step) / (10 + step))
        average = {name: share * value + (1 - share) * weights[name] for name, value in average.items()}
        if step % 2 == 0:
            seen.append(average)
    assert len(seen) == len(watch.validated) == 2
    for found, wanted in zip(watch.validated, seen):
        assert_same(found, wanted)
    (last,) = tmp_path.rglob("last.ckpt")
    kept = read_checkpoint(last)
    assert_same(kept["state_dict"], seen[-1])
    assert_same(kept[TRAINED], watch.steps[-1])
    assert_same(Module(agent).state_dict(), seen[-1])  # what the training leaves behind
    assert not torch.allclose(*(next(iter(kept[key].values())) for key in ("state_dict", TRAINED)), atol=1e-4)
    loaded = make_agent(last, seed=9, **settings)
    loaded.initialize()
    assert_same(Module(loaded).state_dict(), seen[-1])


def test_a_resumed_training_is_an_uninterrupted_one(
    make_agent: MakeAgent, settings: dict[str, Any], tmp_path: Path
) -> None:
    whole = make_agent(**settings)
    through = fit(whole, tmp_path / "whole", max_epochs=3)
    fit(make_agent(**settings), tmp_path / "part", max_epochs=1)
    (last,) = (tmp_path / "part").rglob("last.ckpt")
    resumed = make_agent(seed=5, **settings)
    watch = fit(resumed, tmp_path / "rest", resume=last, max_epochs=3)
    assert_same(watch.steps[-1], through.steps[-1])
    assert_same(resumed.state_dict(), whole.state_dict())


def test_gathered_gradients_are_one_step(make_agent: MakeAgent, settings: dict[str, Any], tmp_path: Path) -> None:
    watch = fit(make_agent(**settings), tmp_path, max_epochs=1, accumulate_grad_batches=2)
    share = 2 / 11
    first, last = watch.starts[0], watch.steps[-1]
    assert_same(watch.validated[0], {name: share * value + (1 - share) * last[name] for name, value in first.items()})


def test_without_a_decay_there_is_none(make_agent: MakeAgent, tmp_path: Path) -> None:
    agent = make_agent()
    assert not any(isinstance(one, AveragedWeights) for one in agent.get_training_callbacks())
    fit(agent, tmp_path, max_epochs=1)
    (last,) = tmp_path.rglob("last.ckpt")
    assert TRAINED not in read_checkpoint(last)


def test_a_decay_of_one_would_keep_the_start(make_agent: MakeAgent) -> None:
    with pytest.raises(SettingError, match=r"ema_decay=1.0, but must be 0.99999 or less"):
        make_agent(optimiser={"ema_decay": 1.0})
