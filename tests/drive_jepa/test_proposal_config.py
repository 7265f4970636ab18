"""The full planner's settings: presets compose, slips are refused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from navsim_agents.common.errors import FormerNameError
from navsim_agents.common.settings import changed, defaults_of
from navsim_agents.devkit import bases
from navsim_agents.devkit.variant import Variant
from navsim_agents.drive_jepa import PerceptionFreeConfig, ProposalAgent, ProposalAgentConfig
from navsim_agents.drive_jepa.proposal_config import RELEASED_QUIRKS
from navsim_agents.errors import NavsimDriveJepaError
from navsim_agents.models.config import RELEASED_RESNET34, RELEASED_VIT_L, ProposalLossConfig, Quirks
from tests.drive_jepa.planner_scenes import TINY_PLANNER
from tests.drive_jepa.settings import dotted

FOUR_CAMERAS: dict[str, Any] = {
    "pictures": {"source": "four_cameras", "width": 768, "height": 432},
    "encoder": {"name": "timm:resnet34"},
}


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
    assert dotted(agent.config) == dotted(asdict(ProposalAgentConfig()))


def test_defaults_without_making_a_config_are_those_of_one() -> None:
    for kind in (ProposalAgentConfig, PerceptionFreeConfig):
        assert defaults_of(kind) == asdict(kind())


def test_defaults_are_the_released_codes(foreign: Path) -> None:
    config = config_of(foreign, "agent=drive_jepa")
    assert (config.planner.num_proposals, config.planner.num_stages) == (32, 4)
    assert (config.teachers.number, config.teachers.cap, config.teachers.threshold) == (4, 256, 0.95)
    optimiser = config.optimiser
    assert (optimiser.lr, optimiser.encoder_lr_factor, optimiser.weight_decay) == (1e-4, 0.1, 0.0)
    assert optimiser.schedule == "constant"
    assert config.losses == ProposalLossConfig()


def test_presets_differ_in_what_they_are_for(foreign: Path) -> None:
    names = ("drive_jepa", "drive_jepa_released", "drive_jepa_resnet34", "drive_jepa_resnet34_released")
    ours, released, surround, surround_released = (config_of(foreign, f"agent={name}") for name in names)
    small = config_of(foreign, "agent=drive_jepa_small")
    assert differences(ours, released) == differences(surround, surround_released) == {"quirks.preset"}
    assert (released.planner, surround_released.planner) == (RELEASED_VIT_L, RELEASED_RESNET34)
    assert (surround.pictures.source, surround.encoder.name) == ("four_cameras", "timm:resnet34")
    assert (surround.planner.num_proposals, surround.teachers.number) == (64, 1)
    assert (small.pictures.width, small.pictures.height, small.planner.num_proposals) == (192, 96, 8)
    assert compose_agent(foreign, "agent=drive_jepa_resnet34").name == "drive_jepa_resnet34"


def differences(one: ProposalAgentConfig, other: ProposalAgentConfig) -> set[str]:
    first, second = dotted(asdict(one)), dotted(asdict(other))
    return {name for name in first if first[name] != second[name]}


@pytest.mark.parametrize("source", ["front_video", "four_cameras"])
def test_quirks_are_a_preset_and_what_differs_from_it(source: str) -> None:
    def quirks(**settings: Any) -> Quirks:
        return ProposalAgentConfig.from_mapping({"quirks": settings}).quirks.of(source)

    assert quirks() == quirks(preset="none") == Quirks()
    assert quirks(tiled_pillar=True) == Quirks(tiled_pillar=True)
    assert quirks(preset="released") == RELEASED_QUIRKS[source]
    wanted = {**vars(RELEASED_QUIRKS[source]), "tiled_pillar": False}
    assert quirks(preset="released", tiled_pillar=False) == Quirks(**wanted)


def test_overrides_reach_the_agent(foreign: Path) -> None:
    tiny = [f"agent.config.{name}={value}" for name, value in dotted(TINY_PLANNER).items()]
    overrides = [*tiny, "agent.config.momentum.mode=off", "agent.config.scenes=/a/b", "agent.device=cpu"]
    agent = instantiate(compose_agent(foreign, "agent=drive_jepa", *overrides))
    assert isinstance(agent, ProposalAgent)
    wanted = changed(TINY_PLANNER, {"momentum": {"mode": "off"}, "scenes": "/a/b"})
    assert agent.config == ProposalAgentConfig.from_mapping(wanted)


@pytest.mark.parametrize(("value", "meant"), [(True, "on"), (False, "off"), ("auto", "auto")])
def test_yaml_words_for_truth_are_understood(value: Any, meant: str) -> None:
    assert ProposalAgentConfig.from_mapping({"momentum": {"mode": value}}).momentum.mode == meant


@pytest.mark.parametrize(
    ("variant", "metric", "has_momentum"),
    [(Variant.V1_1, "pdms", False), (Variant.V2_2, "epdms", True), (Variant.NONE, "epdms", True)],
)
def test_auto_follows_the_host(
    monkeypatch: pytest.MonkeyPatch, variant: Variant, metric: str, has_momentum: bool
) -> None:
    monkeypatch.setattr(bases, "VARIANT", variant)
    config = ProposalAgentConfig()
    assert (config.scored_metric, config.momentum.is_on) == (metric, has_momentum)
    assert config.sensor_frames == ([1, 2, 3] if has_momentum else [2, 3])
    assert ProposalAgentConfig(metric="pdms").scored_metric == "pdms"


PREFIX = r"^agent\.config\."


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teachers": {"nummer": 2}}, r"teachers\.nummer is no setting; .*; did you mean 'number'\?"),
        ({"scenes": 3.5}, r"scenes=3\.5, but must be text"),
        ({"metric": "pdm"}, "metric='pdm' must be one of auto, pdms, epdms; did you mean 'pdms'"),
        ({"scene_bytes": 100}, "scene_bytes=100 must be a multiple of 64, or 0 for scenes as long as they are"),
        ({"scene_bytes": -64}, "scene_bytes=-64, but must be 0 or more"),
        ({"teachers": {"label_store": "/labels"}}, "teachers.vocabulary=None must be the vocabulary that label_store"),
        ({"teachers": {"threshold": 0.0}}, r"teachers.threshold=0.0 must be in \(0, 1\]"),
        ({"teachers": {"cap": 0}}, "teachers.cap=0, but must be 1 or more"),
        ({"teachers": {"number": 0}}, "teachers.number=0, but must be 1 or more"),
        ({"teachers": {"draw": "per_epoch"}}, "teachers.draw='per_epoch' must be one of per_stage, per_step"),
        ({"momentum": {"mode": "sometimes"}}, "momentum.mode='sometimes' must be one of auto, on, off"),
        ({"momentum": {"form": "summed"}}, "momentum.form='summed' must be one of added"),
        ({"momentum": {"comfort_weight": 1.0}}, r"momentum.comfort_weight=1.0 must be in \[0, 1\)"),
        ({"momentum": {"depth": 0}}, "momentum.depth=0, but must be 1 or more"),
        ({"momentum": {"depth": 3}}, "momentum.depth=3 must not exceed 2, or NAVSIM's 4 history frames"),
        ({"momentum": {"remembered_frames": -1}}, "momentum.remembered_frames=-1, but must be 0 or more"),
        ({"pictures": {"source": "lidar"}}, "pictures.source='lidar' must be one of front_video, four_cameras"),
        (
            {"pictures": FOUR_CAMERAS["pictures"]},
            "encoder.name='vit_l' must be an image network .* set agent.config.encoder.name=timm:resnet34",
        ),
        (
            {**FOUR_CAMERAS, "encoder": {"name": "timm:resnet34", "activation_checkpointing": True}},
            "encoder.activation_checkpointing=True must be false with pictures.source=four_cameras",
        ),
        (
            {**FOUR_CAMERAS, "pictures": {**FOUR_CAMERAS["pictures"], "height": 448}},
            r"pictures.height=448 with width=768 must be .* height \* 1920 = width \* 1080; .*\(448\)",
        ),
        ({"losses": {"area_weight": -1.0}}, "losses.area_weight=-1.0 must not be negative"),
        ({"losses": {"teacher_reduction": "max"}}, "losses.teacher_reduction='max' must be one of mean, sum"),
        ({"quirks": {"preset": "some"}}, "quirks.preset='some' must be one of none, released"),
        ({"quirks": "released"}, "quirks='released', but must hold settings"),
        ({"planner": {"num_heads": 5}}, "planner.model_dim=256 must be a multiple of num_heads=5"),
    ],
)
def test_slips_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(NavsimDriveJepaError, match=PREFIX + message):
        ProposalAgentConfig.from_mapping(settings)


@pytest.mark.parametrize("kind", [ProposalAgentConfig, PerceptionFreeConfig])
def test_every_former_name_leads_to_a_setting_that_there_is(kind: Any) -> None:
    there_are = dotted(defaults_of(kind))
    for old, new in kind.FORMER.items():
        assert new in there_are
        with pytest.raises(FormerNameError, match=PREFIX + f"{old} is called agent.config.{new} now; write "):
            kind.from_mapping({old: 1})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": "off"}, "momentum='off' is called agent.config.momentum.mode now"),
        ({"encoder": "tiny"}, "encoder='tiny' is called agent.config.encoder.name now"),
        ({"num_poses": 8}, "num_poses is no setting any more: the scorer judges plans of 4 s, so they have 8 poses"),
        ({"steps_per_pose": 5}, "steps_per_pose is no setting any more: .*40 simulated states of 8 poses; leave it"),
    ],
)
def test_what_became_a_group_or_went_says_so(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(FormerNameError, match=PREFIX + message):
        ProposalAgentConfig.from_mapping(settings)
