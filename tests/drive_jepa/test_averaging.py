"""Averaged weights: the average itself, and that they are validated, kept and resumed alike."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Callable

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from navsim_agents.drive_jepa import PerceptionFreeAgent
from navsim_agents.drive_jepa.averaging import (
    SUMS,
    TRAINED,
    AveragedWeights,
    EqualWeights,
    WeightAverage,
    copied,
    decay_at,
    update,
)
from navsim_agents.drive_jepa.checkpoint_average import average_checkpoints
from navsim_agents.errors import InputError, SettingError
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
        self.module: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.starts.append(copied(pl_module.state_dict()))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self.steps.append(copied(pl_module.state_dict()))

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self.validated.append(copied(pl_module.state_dict()))


def samples(count: int) -> list[Any]:
    features, targets = make_batch(count)
    return [({k: v[i] for k, v in features.items()}, {k: v[i] for k, v in targets.items()}) for i in range(count)]


class WithTest(Module):
    """Has a test that says what its validation does."""

    def test_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.step(batch, "test")


def loaders() -> list[Any]:
    rows = samples(6)
    return [DataLoader(rows[:4], batch_size=2), DataLoader(rows[4:], batch_size=2)]


def fit(agent: PerceptionFreeAgent, folder: Path, resume: Any = None, **trainer: Any) -> Watch:
    watch = Watch()
    watch.module = Module(agent)
    runner = quiet_trainer(folder, [*agent.get_training_callbacks(), watch], **trainer)
    runner.fit(watch.module, *loaders(), ckpt_path=resume)
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


EQUAL = {"optimiser": {"averaging": "equal", "average_from_epoch": 1, "lr": 1e-2}}
KINDS = {
    "ema": {"optimiser": {"ema_decay": DECAY, "lr": 1e-2}},
    "late ema": {"optimiser": {"averaging": "ema", "ema_decay": DECAY, "average_from_epoch": 1, "lr": 1e-2}},
    "equal": EQUAL,
}


def mean_of(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Obvious and in double precision."""
    return {
        name: (sum(state[name].double() for state in states) / len(states)).to(value.dtype)  # type: ignore[union-attr]
        if value.is_floating_point()
        else states[-1][name]
        for name, value in states[0].items()
    }


def assert_equal(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def test_an_equal_average_is_that_of_the_epochs_ends(make_agent: MakeAgent, tmp_path: Path) -> None:
    watch = fit(make_agent(**EQUAL), tmp_path, max_epochs=4)
    ends = watch.steps[1::2]
    for epoch, found in enumerate(watch.validated):
        assert_equal(found, mean_of(ends[1 : epoch + 1]) if epoch else ends[0])
    (last,) = tmp_path.rglob("last.ckpt")
    kept = read_checkpoint(last)
    assert_equal(kept["state_dict"], mean_of(ends[1:]))
    assert_equal(kept[TRAINED], ends[-1])
    assert kept[SUMS]["count"] == 3
    assert_equal(watch.module.state_dict(), kept["state_dict"])


def test_an_equal_average_is_what_average_checkpoints_makes(make_agent: MakeAgent, tmp_path: Path) -> None:
    watch = fit(make_agent(**EQUAL), tmp_path, max_epochs=4)
    for epoch, weights in enumerate(watch.steps[1::2]):
        torch.save({"state_dict": weights, "global_step": epoch}, tmp_path / f"{epoch}.ckpt")
    made = average_checkpoints([tmp_path / f"{epoch}.ckpt" for epoch in (1, 2, 3)])["state_dict"]
    assert_equal(watch.module.state_dict(), made)


def count_calls(seen: torch.Tensor, module: torch.nn.Module, _: Any) -> None:
    seen.add_(int(module.training))


def test_whole_numbers_are_those_of_the_last_step(make_agent: MakeAgent, tmp_path: Path) -> None:
    """A constant table of indices stays as it is, and a counter is no fifth of itself too small."""
    for name, settings in KINDS.items():
        agent = make_agent(**settings)
        agent.register_buffer("table", torch.tensor([[3, 1], [2**40 + 1, 7]]))
        agent.register_buffer("seen", torch.tensor(0))
        agent.planner.register_forward_pre_hook(partial(count_calls, agent.seen))
        watch = fit(agent, tmp_path / name, max_epochs=4)
        state = watch.module.state_dict()
        assert state["agent.table"].tolist() == [[3, 1], [2**40 + 1, 7]]
        assert state["agent.seen"].item() == 8


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_same_weights_are_validated_kept_tested_resumed_and_exported(
    kind: str, make_agent: MakeAgent, tmp_path: Path
) -> None:
    """Whichever trainer asks: the one that fitted, and one that knows nothing of averages."""
    settings = KINDS[kind]
    agent = make_agent(**settings)
    runner = quiet_trainer(tmp_path / "whole", agent.get_training_callbacks(), max_epochs=4)
    module = WithTest(agent)
    runner.fit(module, *loaders())
    losses = [runner.callback_metrics["val/loss_epoch"].item()]
    wanted = copied(module.state_dict())
    (last,) = (tmp_path / "whole").rglob("last.ckpt")
    assert_equal(read_checkpoint(last)["state_dict"], wanted)
    assert any(not torch.equal(value, wanted[name]) for name, value in read_checkpoint(last)[TRAINED].items())

    for test, name in ((runner.validate, "val"), (runner.test, "test")):
        for path in (None, last):
            losses.append(test(module, loaders()[1], ckpt_path=path, verbose=False)[0][f"{name}/loss_epoch"])
            assert_equal(module.state_dict(), wanted)
    runner.save_checkpoint(tmp_path / "after.ckpt")
    fresh = quiet_trainer(tmp_path, make_agent(**settings).get_training_callbacks())
    for path in (last, tmp_path / "after.ckpt"):
        other = WithTest(make_agent(seed=9))
        losses.append(fresh.test(other, loaders()[1], ckpt_path=path, verbose=False)[0]["test/loss_epoch"])
        assert_equal(other.state_dict(), wanted)

    fit(make_agent(**settings), tmp_path / "part", max_epochs=2)
    (half,) = (tmp_path / "part").rglob("last.ckpt")
    resumed = fit(make_agent(seed=5, **settings), tmp_path / "rest", resume=half, max_epochs=4)
    assert_equal(resumed.module.state_dict(), wanted)
    finished = fit(make_agent(seed=6, **settings), tmp_path / "finished", resume=last, max_epochs=4)
    assert_equal(finished.module.state_dict(), wanted)
    loaded = make_agent(last, seed=7)
    loaded.initialize()
    assert_equal(Module(loaded).state_dict(), wanted)
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-6)


def test_a_late_moving_average_begins_with_its_epoch(make_agent: MakeAgent, tmp_path: Path) -> None:
    watch = fit(make_agent(**KINDS["late ema"]), tmp_path, max_epochs=3)
    assert_equal(watch.validated[0], watch.steps[1])
    average = watch.steps[1]
    for step in (3, 4, 5, 6):
        share = min(DECAY, (1 + step) / (10 + step))
        weights = watch.steps[step - 1]
        average = {name: share * value + (1 - share) * weights[name] for name, value in average.items()}
    assert_same(watch.validated[-1], average)


@pytest.mark.parametrize(
    ("trainer", "last"),
    [({"max_epochs": 3}, 2), ({"max_epochs": -1, "max_steps": 5}, 2), ({"max_epochs": 9, "max_steps": 4}, 1)],
)
@pytest.mark.parametrize("kind", ["ema", "equal"])
def test_an_average_of_nothing_is_refused_before_training(
    kind: str, trainer: dict[str, Any], last: int, make_agent: MakeAgent, tmp_path: Path
) -> None:
    """An epoch has two steps; with ``max_steps`` the last one may be half of one."""
    settings = {"averaging": kind, "ema_decay": DECAY if kind == "ema" else 0.0}
    late = make_agent(optimiser={**settings, "average_from_epoch": last + 1})
    words = rf"average_from_epoch={last + 1}, .* epochs 0 to {last}, so nothing .*={last} or"
    with pytest.raises(InputError, match=words):
        fit(late, tmp_path / "late", **trainer)
    assert not list((tmp_path / "late").rglob("*.ckpt"))
    watch = fit(make_agent(optimiser={**settings, "average_from_epoch": last, "lr": 1e-2}), tmp_path / "in", **trainer)
    assert len(watch.steps) > 0
    (path,) = (tmp_path / "in").rglob("last.ckpt")
    assert TRAINED in read_checkpoint(path)


def test_a_training_that_is_stopped_before_its_average_says_so(
    make_agent: MakeAgent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Stop(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            trainer.should_stop = True

    agent = make_agent(optimiser={"averaging": "equal", "average_from_epoch": 2})
    runner = quiet_trainer(tmp_path, [*agent.get_training_callbacks(), Stop()], max_epochs=3)
    runner.fit(Module(agent), *loaders())
    assert "training ended before epoch 2" in caplog.text
    (last,) = tmp_path.rglob("last.ckpt")
    assert TRAINED not in read_checkpoint(last)


def test_batch_norms_are_said(make_agent: MakeAgent, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    agent = make_agent(**EQUAL)
    fit(agent, tmp_path / "without")
    assert "batch norm" not in caplog.text
    agent.planner.norm = torch.nn.BatchNorm1d(2)
    fit(agent, tmp_path / "with")
    assert "running statistics of 1 batch norms" in caplog.text


def test_which_average_is_meant(make_agent: MakeAgent) -> None:
    def kinds(**optimiser: Any) -> list[Any]:
        callbacks = make_agent(optimiser=optimiser).get_training_callbacks()
        return [type(one) for one in callbacks if isinstance(one, WeightAverage)]

    assert kinds(ema_decay=0.5) == kinds(ema_decay=0.5, averaging="ema") == [AveragedWeights]
    assert kinds(averaging="equal") == [EqualWeights]
    assert kinds() == kinds(averaging="none") == []
    for wrong, words in (
        ({"averaging": "ema"}, "averaging=ema with ema_decay=0 does not go together"),
        ({"averaging": "equal", "ema_decay": 0.5}, "averaging=equal with ema_decay=0.5 does not go together"),
        ({"averaging": "none", "ema_decay": 0.5}, "averaging=none with ema_decay=0.5 does not go together"),
        ({"averaging": "swa"}, "averaging='swa' must be one of none, ema, equal"),
        ({"average_from_epoch": 2}, "average_from_epoch=2 needs an average"),
    ):
        with pytest.raises(InputError, match=words):
            kinds(**wrong)
