"""Configuration files hold every setting of their commands, at its default, and refuse what they do not know."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from cache_tools.index_videos import IndexVideosConfig
from cache_tools.resize_videos import ResizeVideosConfig
from navsim_agents.common.errors import SettingError
from navsim_agents.common.settings import read_settings
from navsim_agents.video.config import ClipDataConfig
from training.feature_pca import FeaturePcaConfig

COMMANDS = {
    "index_videos": ("cache_tools.conf", IndexVideosConfig, {"layout": "covla", "root": "r", "output": "o"}),
    "resize_videos": ("cache_tools.conf", ResizeVideosConfig, {"manifest": "m", "root": "r", "output": "o"}),
    "feature_pca": ("training.conf", FeaturePcaConfig, {"manifest": "m", "root": "r", "output": "o"}),
}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_file_and_defaults_agree(name: str) -> None:
    module, kind, required = COMMANDS[name]
    overrides = [f"{key}={value}" for key, value in required.items()]
    with initialize_config_module(module, version_base="1.2"):
        composed = compose(name, overrides=overrides)
        with pytest.raises(ConfigCompositionException, match="Could not override 'rooot'"):
            compose(name, overrides=[*overrides, "rooot=x"])
    assert is_dataclass(kind)
    assert set(composed) == {field.name for field in fields(kind)}
    assert read_settings(kind, composed) == kind(**required)


def clip_data(name: str, **data_sets: str) -> dict[str, Any]:
    """The group file ``data/<name>.yaml`` with a manifest and a root for each of its data sets."""
    parts = ("manifest", "root")
    places = [f"clips.data_sets.{key}.{part}={value}" for key, value in data_sets.items() for part in parts]
    with initialize_config_module("training.conf", version_base="1.2"):
        composed = compose("probe", overrides=[f"+data@clips={name}", *places])
    settings = OmegaConf.to_container(composed.clips)
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


def test_paper_is_the_default_with_its_weights() -> None:
    config = ClipDataConfig.of(clip_data("paper", openscene="a", covla="b", drivingdojo="c"))
    assert {name: data_set.weight for name, data_set in config.data_sets.items()} == {
        "openscene": 0.5,
        "covla": 0.2,
        "drivingdojo": 0.3,
    }
    assert config == ClipDataConfig(config.data_sets)
    assert config.span_s == 3.5


def test_world_is_seen_as_the_planners_see_it() -> None:
    config = ClipDataConfig.of(clip_data("world", world="w"))
    assert config.data_sets["world"].cropped_rows == 28
    assert (config.height, config.width) == (96, 192)


def test_misspelt_settings_of_clips_are_refused() -> None:
    settings = clip_data("world", world="w")
    assert ClipDataConfig.of(ClipDataConfig.of(settings)) == ClipDataConfig.of(settings)
    with pytest.raises(SettingError, match="hight"):
        ClipDataConfig.of({**settings, "hight": 3})
    with pytest.raises(SettingError, match="wieght"):
        ClipDataConfig.of({"data_sets": {"a": {"manifest": "m", "root": "r", "wieght": 1.0}}})
