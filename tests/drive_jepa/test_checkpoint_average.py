"""The mean of checkpoints: worked by hand, refused where there is none, and loaded as any other."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Callable

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from navsim_agents.drive_jepa import PerceptionFreeAgent
from navsim_agents.drive_jepa.checkpoint_average import AVERAGED, average_checkpoints
from navsim_agents.drive_jepa.checkpoint_files import find_checkpoints
from navsim_agents.drive_jepa.checkpoints import RECORD
from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.checkpoint_file import read_checkpoint
from tests.drive_jepa.lightning import Module
from tests.drive_jepa.quiet import quiet_trainer
from tests.drive_jepa.scenes import make_batch

MakeAgent = Callable[..., PerceptionFreeAgent]


def write(path: Path, step: int = 0, record: Any = None, **weights: Any) -> Path:
    """A checkpoint of ``agent.<name>``, ``__`` for dots."""
    state = {f"agent.{name.replace('__', '.')}": torch.as_tensor(value) for name, value in weights.items()}
    more = {} if record is None else {RECORD: {"seen_by_weights": record}}
    torch.save({"state_dict": state, "global_step": step, "epoch": step // 10, **more}, path)
    return path


@pytest.fixture
def trained(make_agent: MakeAgent, tmp_path: Path) -> list[Path]:
    """Checkpoints of two seeds, as Lightning writes them."""
    features, targets = make_batch(2)
    rows = [({k: v[i] for k, v in features.items()}, {k: v[i] for k, v in targets.items()}) for i in range(2)]
    for seed in (0, 1):
        agent = make_agent(seed=seed)
        runner = quiet_trainer(tmp_path / str(seed), agent.get_training_callbacks(), max_epochs=1)
        runner.fit(Module(agent), DataLoader(rows, batch_size=2), DataLoader(rows, batch_size=2))
    return sorted(tmp_path.rglob("last.ckpt"))


def test_the_mean_by_hand(tmp_path: Path) -> None:
    ones = [
        write(
            tmp_path / f"{step}.ckpt",
            step,
            weight=torch.tensor([0.1 * step, 16777216.0 + 2 * (step > 20)]),
            half=torch.tensor([step], dtype=torch.bfloat16),
            table=torch.tensor([[0, 5], [7, 9]]),
            mask=torch.tensor([True, False]),
            norm__num_batches_tracked=torch.tensor(step),
        )
        for step in (30, 10, 20)
    ]
    found = average_checkpoints(ones)
    state = found["state_dict"]
    sums = [3.0, 1.0, 2.0]
    by_hand = sum(torch.tensor(value, dtype=torch.float32).double() for value in sums) / 3
    assert state["agent.weight"][0] == by_hand.float()
    assert state["agent.weight"][1] == 16777216.0  # 16777216.67, of which float32 holds the even ones
    assert (state["agent.half"].dtype, state["agent.half"].item()) == (torch.bfloat16, 20.0)
    assert state["agent.table"].tolist() == [[0, 5], [7, 9]]
    assert state["agent.mask"].tolist() == [True, False]
    assert state["agent.norm.num_batches_tracked"].item() == 30
    assert (found["global_step"], found["epoch"]) == (30, 3)
    assert found[AVERAGED] == {"files": ["30.ckpt", "10.ckpt", "20.ckpt"], "steps": [30, 10, 20]}
    assert set(found) == {"state_dict", "global_step", "epoch", AVERAGED}


def test_sums_are_of_double_precision(tmp_path: Path) -> None:
    """Ten small numbers beside a large one, which float32 would lose one by one."""
    values = [16777216.0, *[1.0] * 10]
    ones = [write(tmp_path / f"{index}.ckpt", index, weight=torch.tensor(v)) for index, v in enumerate(values)]
    assert average_checkpoints(ones)["state_dict"]["agent.weight"].item() == 1525202.375  # and not 1525201.5


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"weight": [1.0, 2.0, 3.0], "table": [3]}, r"1 of another shape: agent\.weight \[3\] instead of \[2\]"),
        ({"weight": [1.0, 2.0], "tables": [3]}, r"1 missing: agent\.table; 1 unexpected: agent\.tables"),
        ({"weight": [1.0, 2.0], "table": [4]}, r"other whole numbers, which have no mean: agent\.table"),
        ({"weight": torch.ones(2).half(), "table": [3]}, r"another dtype: agent\.weight"),
        ({"weight": [1.0, float("nan")], "table": [3]}, r"agent\.weight is not finite, so no mean of it is"),
    ],
)
def test_what_is_not_alike_is_refused_by_name(other: dict[str, Any], words: str, tmp_path: Path) -> None:
    first = write(tmp_path / "a.ckpt", weight=[1.0, 2.0], table=[3])
    with pytest.raises(CheckpointError, match=rf"b\.ckpt.*{words}"):
        average_checkpoints([first, write(tmp_path / "b.ckpt", **other)])


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    first = write(tmp_path / "a.ckpt", record={"planner.num_heads": 2, "planner.sees_motion": True}, weight=[1.0])
    other = write(tmp_path / "b.ckpt", record={"planner.num_heads": 4, "planner.sees_motion": True}, weight=[1.0])
    with pytest.raises(CheckpointError, match=r"not of one agent: planner\.num_heads=4 instead of 2; average"):
        average_checkpoints([first, other])
    with pytest.raises(CheckpointError, match="only one of them says which settings"):
        average_checkpoints([first, write(tmp_path / "c.ckpt", weight=[1.0])])


def test_no_agents_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"target_encoder": {"x": torch.zeros(2)}}, tmp_path / "encoder.pt")
    with pytest.raises(CheckpointError, match="has no state_dict"):
        average_checkpoints([tmp_path / "encoder.pt"])


def test_an_average_loads_wherever_its_sources_do(trained: list[Path], make_agent: MakeAgent, tmp_path: Path) -> None:
    path = tmp_path / "averaged.ckpt"
    torch.save(average_checkpoints(trained), path)
    states = [read_checkpoint(one)["state_dict"] for one in trained]
    wanted = {
        name: ((value.double() + states[1][name].double()) / 2).to(value.dtype) if value.is_floating_point() else value
        for name, value in states[0].items()
    }
    agent = make_agent(path, seed=7)
    agent.initialize()
    tested = Module(make_agent(seed=8))
    features, targets = make_batch(1)
    rows = [({k: v[0] for k, v in features.items()}, {k: v[0] for k, v in targets.items()})]
    quiet_trainer(tmp_path, []).validate(tested, DataLoader(rows), ckpt_path=path, verbose=False)
    for state in (Module(agent).state_dict(), tested.state_dict(), torch.load(path)["state_dict"]):
        assert state.keys() == wanted.keys()
        assert all(torch.equal(state[name], value) for name, value in wanted.items())
    assert pl.__version__ == read_checkpoint(path)["pytorch-lightning_version"]
    with pytest.raises(CheckpointError, match=r"its training had agent\.config\.planner\.sees_motion=true"):
        make_agent(path, planner={"sees_motion": False}).initialize()


def test_what_may_not_be_meant_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (write(tmp_path / f"{name}.ckpt", 10, weight=[2.0]) for name in "ab")
    with caplog.at_level(logging.INFO):
        average_checkpoints([first])
        averaged = average_checkpoints([first, second])
        torch.save(averaged, tmp_path / "c.ckpt")
        average_checkpoints([tmp_path / "c.ckpt", second])
    assert "one checkpoint alone" in caplog.text
    assert "more than one file is of step [10]" in caplog.text
    assert "c.ckpt is an average itself" in caplog.text
    assert "a.ckpt (step 10)" in caplog.text


def test_files_by_path_pattern_and_list(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path / name) for name in ("a.ckpt", "b.ckpt", "c [1].ckpt"))
    assert find_checkpoints(str(a)) == [a]
    assert find_checkpoints(str(tmp_path / "?.ckpt")) == [a, b]
    assert find_checkpoints(str(c)) == [c]  # a name, though it could be a pattern
    assert find_checkpoints([str(b), str(tmp_path / "*.ckpt")]) == [b, a, c]
    for wrong in (3, [], [4], None, ""):
        with pytest.raises(InputError, match="must be a path, a pattern, or a list of these"):
            find_checkpoints(wrong)
    with pytest.raises(InputError, match=r"some: no file is called .*x\*\.ckpt"):
        find_checkpoints([str(tmp_path / "x*.ckpt")], "some")


WEIRD: dict[str, Any] = {
    "nothing": {},
    "numbers as names": {1: torch.zeros(2)},
    "no tensors": {"agent.a": 1.0},
    "sparse": {"agent.a": torch.ones(2).to_sparse()},
    "complex": {"agent.a": torch.ones(2, dtype=torch.complex64)},
}


@pytest.mark.parametrize("kind", WEIRD)
def test_weights_that_have_no_mean_are_refused_in_words(kind: str, tmp_path: Path, make_agent: MakeAgent) -> None:
    path = tmp_path / "weird.ckpt"
    torch.save({"state_dict": WEIRD[kind]}, path)
    with pytest.raises(CheckpointError, match=r"has no state_dict|is sparse or complex"):
        average_checkpoints([path, path])
    with pytest.raises(CheckpointError, match=r"weird\.ckpt"):  # the agent refuses it, too
        make_agent(path).initialize()


@pytest.mark.skipif(not hasattr(torch, "float8_e4m3fn"), reason="numbers of one byte came with torch 2.1")
def test_numbers_of_one_byte_are_averaged(tmp_path: Path) -> None:
    paths = [tmp_path / f"{value}.ckpt" for value in (1, 3)]
    for path in paths:
        torch.save({"state_dict": {"agent.a": torch.full((2,), float(path.stem)).to(torch.float8_e4m3fn)}}, path)
    found = average_checkpoints(paths)["state_dict"]["agent.a"]
    assert (found.dtype, found.float().tolist()) == (torch.float8_e4m3fn, [2.0, 2.0])
