"""Checkpoints of ours say which settings their weights were trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
import pytorch_lightning as pl
import torch

from navsim_agents.drive_jepa import PerceptionFreeAgent, ProposalAgent
from navsim_agents.drive_jepa.callbacks import TrainingRecorder
from navsim_agents.drive_jepa.checkpoints import RECORD, SEEN
from navsim_agents.errors import CheckpointError
from tests.drive_jepa.lightning import Module

MakeAgent = Callable[..., Any]


def save(agent: Any, path: Path, *, with_record: bool = True) -> Path:
    checkpoint: dict[str, Any] = {"state_dict": {f"agent.{name}": value for name, value in agent.state_dict().items()}}
    if with_record:
        (recorder,) = [item for item in agent.get_training_callbacks() if isinstance(item, TrainingRecorder)]
        recorder.on_save_checkpoint(pl.Trainer(logger=False, accelerator="cpu"), Module(agent), checkpoint)
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize(
    ("trained", "loaded", "message"),
    [
        ({}, {"quirks": {"tiled_pillar": True}}, "agent.config.quirks.tiled_pillar=false"),
        ({"quirks": {"preset": "released"}}, {}, "agent.config.quirks.padded_reference_picture=true, "),
        ({}, {"planner": {"decodes_steps": True}}, "agent.config.planner.decodes_steps=false"),
        ({}, {"planner": {"num_heads": 4}}, "agent.config.planner.num_heads=2"),
        ({"planner": {"metres_per_unit": 2.0}}, {}, r"agent.config.planner.metres_per_unit=2\.0"),
    ],
)
def test_weights_are_refused_by_an_agent_that_would_read_them_otherwise(
    make_planner: MakeAgent, tmp_path: Path, trained: dict[str, Any], loaded: dict[str, Any], message: str
) -> None:
    path = save(make_planner(**trained), tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=f"its training had .*{message}"):
        make_planner(path, **loaded).initialize()
    assert_same(make_planner(path, seed=3, **trained), make_planner(**trained))


def assert_same(loaded: ProposalAgent, trained: ProposalAgent) -> None:
    loaded.initialize()
    for name, value in trained.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_what_does_not_touch_the_weights_may_differ(make_planner: MakeAgent, tmp_path: Path) -> None:
    path = save(make_planner(), tmp_path / "a.ckpt")
    changes = {"losses": {"area_weight": 0.0}, "optimiser": {"lr": 1.0}, "momentum": {"mode": "on"}}
    assert_same(make_planner(path, seed=3, **changes), make_planner())


def test_a_setting_younger_than_the_checkpoint_does_not_refuse_it(make_planner: MakeAgent, tmp_path: Path) -> None:
    path = save(make_planner(), tmp_path / "a.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint[RECORD][SEEN]["planner.decodes_steps"]
    torch.save(checkpoint, path)
    make_planner(path, planner={"decodes_steps": True}).initialize()
    with pytest.raises(CheckpointError, match=r"its training had agent\.config\.planner\.num_heads=2"):
        make_planner(path, planner={"num_heads": 4}).initialize()


@pytest.mark.parametrize("record", [None, {}, {SEEN: 3}, "torn"])
def test_a_record_that_says_nothing_is_none(make_planner: MakeAgent, tmp_path: Path, record: Any) -> None:
    path = save(make_planner(), tmp_path / "a.ckpt")
    torch.save({**torch.load(path, weights_only=True), RECORD: record}, path)
    with pytest.raises(CheckpointError, match="of an earlier release"):
        make_planner(path).initialize()


def test_the_perception_free_planner_says_what_it_saw(make_agent: MakeAgent, tmp_path: Path) -> None:
    path = save(make_agent(planner={"sees_motion": False}), tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"its training had agent\.config\.planner\.sees_motion=false; set this"):
        make_agent(path).initialize()


def test_an_earlier_releases_weights_are_loaded_once_their_quirks_are_said(
    make_planner: MakeAgent, make_agent: MakeAgent, tmp_path: Path
) -> None:
    trained = make_planner()
    path = save(trained, tmp_path / "old.ckpt", with_record=False)
    with pytest.raises(CheckpointError, match=r"of an earlier release.* agent\.config\.quirks\.tiled_pillar=… .*\("):
        make_planner(path).initialize()
    assert_same(make_planner(path, seed=3, quirks={"tiled_pillar": True, "skip_when_invisible": True}), trained)
    free: PerceptionFreeAgent = make_agent()
    make_agent(save(free, tmp_path / "free.ckpt", with_record=False), seed=4).initialize()
