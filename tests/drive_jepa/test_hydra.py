"""Any Hydra application finds the agents through the search-path plugin."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from hydra.utils import instantiate
from omegaconf import DictConfig

from navsim_agents.drive_jepa import PerceptionFreeAgent, PerceptionFreeConfig
from tests.drive_jepa.scenes import TINY
from tests.drive_jepa.settings import dotted

TINY_OVERRIDES = [f"agent.config.{name}={value}" for name, value in dotted(TINY).items()]


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A primary config that knows nothing of this package."""
    (tmp_path / "main.yaml").write_text("defaults:\n  - agent: ???\n  - _self_\nsplit: mini\n", encoding="utf-8")
    return tmp_path


def compose_agent(folder: Path, *overrides: str) -> DictConfig:
    with initialize_config_dir(config_dir=str(folder), version_base=None):
        return compose("main", overrides=list(overrides)).agent


def test_default_yaml_is_the_default_config(foreign: Path) -> None:
    agent = compose_agent(foreign, "agent=drive_jepa_perception_free")
    assert PerceptionFreeConfig.from_mapping(agent.config) == PerceptionFreeConfig()


def test_small_yaml_composes_on_the_default_one(foreign: Path) -> None:
    agent = compose_agent(foreign, "agent=drive_jepa_perception_free_small")
    config = PerceptionFreeConfig.from_mapping(agent.config)
    assert config.encoder.name == "small"
    assert (config.pictures.width, config.pictures.height) == (192, 96)
    assert config.planner.num_poses == PerceptionFreeConfig().planner.num_poses


def test_overrides_reach_the_agent(foreign: Path) -> None:
    overrides = [
        *TINY_OVERRIDES,
        "agent.config.optimiser.lr=3e-4",
        "agent.device=cpu",
        "agent.checkpoint_path=/a/last.ckpt",
    ]
    agent = instantiate(compose_agent(foreign, "agent=drive_jepa_perception_free", *overrides))
    assert isinstance(agent, PerceptionFreeAgent)
    assert agent.config == PerceptionFreeConfig.from_mapping({**TINY, "optimiser": {"lr": 3e-4}})


def test_a_misspelt_key_is_refused_by_hydra(foreign: Path) -> None:
    with pytest.raises(ConfigCompositionException, match="lrr"):
        compose_agent(foreign, "agent=drive_jepa_perception_free", "agent.config.optimiser.lrr=1")


def test_an_added_key_is_refused_by_the_agent(foreign: Path) -> None:
    agent = compose_agent(foreign, "agent=drive_jepa_perception_free", "+agent.config.optimiser.freeze=true")
    with pytest.raises(Exception, match=r"optimiser\.freeze is no setting; .*; did you mean 'freeze_encoder'"):
        instantiate(agent)
