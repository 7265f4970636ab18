"""Agents by a training's folder or by checkpoint and config name, as Python code loads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from navsim_agents.common.files import write_json
from navsim_agents.drive_jepa import PerceptionFreeAgent, PerceptionFreeConfig
from navsim_agents.drive_jepa.runs import BEST, LAST, config_names, load_agent, plan
from navsim_agents.errors import CheckpointError, InputError
from tests.drive_jepa.scenes import TINY

CONFIG = "drive_jepa_perception_free_small"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def agent() -> PerceptionFreeAgent:
    torch.manual_seed(5)
    return PerceptionFreeAgent(TINY)


def save(agent: PerceptionFreeAgent, path: Path) -> Path:
    torch.save({"state_dict": {f"agent.{name}": value for name, value in agent.state_dict().items()}}, path)
    return path


def assert_same(loaded: PerceptionFreeAgent, agent: PerceptionFreeAgent) -> None:
    assert isinstance(loaded, PerceptionFreeAgent)
    for name, value in agent.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_a_checkpoint_is_loaded_into_the_agent_of_the_named_config(agent: PerceptionFreeAgent, tmp_path: Path) -> None:
    loaded = load_agent(save(agent, tmp_path / "a.ckpt"), CONFIG, settings=TINY, device="cpu")
    assert_same(loaded, agent)
    assert loaded._device == "cpu"
    assert loaded.config.optimiser.lr == 5e-4 != PerceptionFreeConfig().optimiser.lr  # the named config's own


def test_a_folder_says_which_agent_and_holds_two_kinds_of_weights(agent: PerceptionFreeAgent, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    save(agent, tmp_path / "checkpoints" / "best-3.ckpt")
    save(PerceptionFreeAgent(TINY), tmp_path / "checkpoints" / "last.ckpt")
    write_json(tmp_path / "agent.json", {"_target_": "navsim_agents.drive_jepa.PerceptionFreeAgent", "config": TINY})
    write_json(tmp_path / "result.json", {"best_checkpoint": "checkpoints/best-3.ckpt"})
    assert_same(load_agent(tmp_path), agent)
    assert_same(load_agent(str(tmp_path), weights=BEST), agent)
    with pytest.raises(AssertionError):
        assert_same(load_agent(tmp_path, weights=LAST), agent)
    with pytest.raises(InputError, match=r"holds no checkpoints/worst\.ckpt; ask for weights=best"):
        load_agent(tmp_path, weights="worst")


def test_what_cannot_be_loaded_is_refused(agent: PerceptionFreeAgent, tmp_path: Path) -> None:
    path = save(agent, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match=r"for a checkpoint name its agent: config='drive_jepa'"):
        load_agent(path)
    with pytest.raises(InputError, match=r"is called 'drive_jepo'; choose one of drive_jepa, drive_jepa_bench2drive, "):
        load_agent(path, "drive_jepo")
    with pytest.raises(CheckpointError):
        load_agent(path, CONFIG)  # of another size
    with pytest.raises(InputError, match=r"holds no result\.json; finish it: drive-jepa train"):
        load_agent(tmp_path)


def test_config_names_are_the_files() -> None:
    assert config_names() == sorted(path.stem for path in (ROOT / "navsim_configs" / "agent").glob("*.yaml"))


def test_plan_takes_a_scene_or_its_input() -> None:
    class Straight:
        def compute_trajectory(self, agent_input: str) -> Straight:
            assert agent_input == "seen"
            return self

        poses = np.ones((8, 3), dtype=np.float32)

    class Scene:
        def get_agent_input(self) -> str:
            return "seen"

    assert plan(Straight(), Scene()) is plan(Straight(), "seen") is Straight.poses
