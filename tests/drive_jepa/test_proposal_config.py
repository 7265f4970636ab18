"""The full planner's settings: presets compose, slips are refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from navsim_agents.devkit.variant import Variant
from navsim_agents.drive_jepa import ProposalAgent, ProposalAgentConfig, proposal_config
from navsim_agents.drive_jepa.config import PerceptionFreeConfig
from navsim_agents.drive_jepa.proposal_config import subset
from navsim_agents.errors import InputError
from navsim_agents.models.losses import ProposalLossConfig
from navsim_agents.models.proposals import RELEASED_RESNET34, RELEASED_VIT_L, ProposalConfig
from tests.drive_jepa.planner_scenes import TINY_PLANNER

FOUR_CAMERAS = {"backbone": "four_cameras", "encoder": "timm:resnet34", "image_width": 768, "image_height": 432}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A primary config that knows nothing of this package."""
    (tmp_path / "main.yaml").write_text("defaults:\n  - agent: ???\n  - _self_\n", encoding="utf-8")
    return tmp_path


def compose_agent(folder: Path, *overrides: str) -> DictConfig:
    with initialize_config_dir(config_dir=str(folder), version_base=None):
        return compose("main", overrides=list(overrides)).agent


def config_of(folder: Path, *overrides: str) -> ProposalAgentConfig:
    return ProposalAgentConfig.from_mapping(compose_agent(folder, *overrides).config)


def test_default_yaml_is_the_default_config_and_lists_every_key(foreign: Path) -> None:
    agent = compose_agent(foreign, "agent=drive_jepa")
    assert ProposalAgentConfig.from_mapping(agent.config) == ProposalAgentConfig()
    assert set(agent.config) == {item.name for item in fields(ProposalAgentConfig)}


def test_defaults_are_the_released_codes(foreign: Path) -> None:
    config = config_of(foreign, "agent=drive_jepa")
    assert (config.num_proposals, config.num_stages, config.num_teachers, config.teacher_cap) == (32, 4, 4, 256)
    assert (config.lr, config.encoder_lr_factor, config.weight_decay, config.schedule) == (1e-4, 0.1, 0.0, "constant")
    assert config.losses == ProposalLossConfig()


def test_a_default_is_said_once() -> None:
    """A config that joins others repeats none of their fields, but where its agent was released with another value."""
    for config, others in ((ProposalAgentConfig, {"encoder_lr_factor"}), (PerceptionFreeConfig, set())):
        own = set(config.__annotations__)
        inherited = {item.name for base in config.__mro__[1:-1] for item in fields(base)}
        assert own & inherited == others


def test_presets_differ_in_what_they_are_for(foreign: Path) -> None:
    names = ("drive_jepa", "drive_jepa_released", "drive_jepa_resnet34", "drive_jepa_resnet34_released")
    ours, released, surround, surround_released = (config_of(foreign, f"agent={name}") for name in names)
    small = config_of(foreign, "agent=drive_jepa_small")
    assert differences(ours, released) == {"padded_reference_picture"}
    assert differences(surround, surround_released) == {"padded_reference_picture", "swapped_channels"}
    assert subset(released, ProposalConfig) == RELEASED_VIT_L
    assert subset(surround_released, ProposalConfig) == RELEASED_RESNET34
    assert (surround.backbone, surround.encoder, surround.num_proposals) == ("four_cameras", "timm:resnet34", 64)
    assert (small.image_width, small.image_height, small.num_proposals) == (192, 96, 8)
    assert compose_agent(foreign, "agent=drive_jepa_resnet34").name == "drive_jepa_resnet34"


def differences(one: ProposalAgentConfig, other: ProposalAgentConfig) -> set[str]:
    return {item.name for item in fields(one) if getattr(one, item.name) != getattr(other, item.name)}


def test_overrides_reach_the_agent(foreign: Path) -> None:
    tiny = [f"agent.config.{name}={value}" for name, value in TINY_PLANNER.items()]
    overrides = [*tiny, "agent.config.momentum=off", "agent.config.scenes=/a/b", "agent.device=cpu"]
    agent = instantiate(compose_agent(foreign, "agent=drive_jepa", *overrides))
    assert isinstance(agent, ProposalAgent)
    assert agent.config == ProposalAgentConfig(**TINY_PLANNER, momentum="off", scenes="/a/b")


@pytest.mark.parametrize(("value", "meant"), [(True, "on"), (False, "off"), ("auto", "auto")])
def test_yaml_words_for_truth_are_understood(value: Any, meant: str) -> None:
    assert ProposalAgentConfig.from_mapping({"momentum": value}).momentum == meant


@pytest.mark.parametrize(
    ("variant", "metric", "has_momentum"),
    [(Variant.V1_1, "pdms", False), (Variant.V2_2, "epdms", True), (Variant.NONE, "epdms", True)],
)
def test_auto_follows_the_host(
    monkeypatch: pytest.MonkeyPatch, variant: Variant, metric: str, has_momentum: bool
) -> None:
    monkeypatch.setattr(proposal_config, "VARIANT", variant)
    config = ProposalAgentConfig()
    assert (config.scored_metric, config.uses_momentum) == (metric, has_momentum)
    assert config.sensor_frames == ([1, 2, 3] if has_momentum else [2, 3])
    assert ProposalAgentConfig(metric="pdms", momentum="on").scored_metric == "pdms"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_teacher": 2}, r"has no key 'num_teacher'; did you mean 'num_teachers'\?"),
        ({"scenes": 3}, "scenes=3 must be of type str or null"),
        ({"metric": "pdm"}, "metric='pdm' must be one of auto, pdms, epdms; did you mean 'pdms'"),
        ({"scene_bytes": 100}, "scene_bytes=100 must be a multiple of 64, or 0 for scenes as long as they are"),
        ({"scene_bytes": -64}, "scene_bytes=-64 must be a multiple of 64"),
        ({"label_store": "/labels"}, "vocabulary=None must be the vocabulary that label_store was made with"),
        ({"teacher_threshold": 0.0}, r"teacher_threshold=0.0 must be in \(0, 1\]"),
        ({"teacher_cap": 0}, "teacher_cap=0 must be positive"),
        ({"num_teachers": 0}, "num_teachers=0 must be positive"),
        ({"teacher_draw": "per_epoch"}, "teacher_draw='per_epoch' must be one of per_stage, per_step"),
        ({"momentum": "sometimes"}, "momentum='sometimes' must be one of auto, on, off"),
        ({"comfort_weight": 1.0}, r"comfort_weight=1.0 must be in \[0, 1\)"),
        ({"momentum_depth": 0}, "momentum_depth=0 must be positive"),
        ({"momentum_depth": 3}, "momentum_depth=3 must not exceed 2, or NAVSIM's 4 history frames"),
        ({"remembered_frames": -1}, "remembered_frames=-1 must not be negative"),
        ({"num_poses": 6}, "num_poses=6 must be 8: the scorer judges plans of 4 s"),
        ({"backbone": "lidar"}, "backbone='lidar' must be one of front_video, four_cameras"),
        ({"backbone": "four_cameras"}, "encoder='vit_l' must be an image network .* set encoder=timm:resnet34"),
        ({"steps_per_pose": 4}, "steps_per_pose=4 must be 5: labels are of the 40 simulated states of 8 poses"),
        (
            {**FOUR_CAMERAS, "activation_checkpointing": True},
            "activation_checkpointing=True must be false with backbone=four_cameras",
        ),
        (
            {**FOUR_CAMERAS, "image_height": 448},
            r"image_height=448 with image_width=768 must be .* height \* 1920 = width \* 1080; .*\(448\)",
        ),
        ({"area_weight": -1.0}, "area_weight=-1.0 must not be negative"),
        ({"teacher_reduction": "max"}, "teacher_reduction='max' must be one of mean, sum"),
    ],
)
def test_slips_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ProposalAgentConfig.from_mapping(settings)
