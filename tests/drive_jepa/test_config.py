"""Settings are checked where they are made."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

import navsim_configs
from navsim_agents.drive_jepa.config import PerceptionFreeConfig
from navsim_agents.errors import InputError

AGENTS = Path(navsim_configs.__file__).parent / "agent"


def settings(name: str) -> dict:
    text = (AGENTS / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["config"]


def test_yaml_lists_every_setting_at_its_default() -> None:
    listed = settings("drive_jepa_perception_free")
    assert {name: type(value)(listed.pop(name)) for name, value in asdict(PerceptionFreeConfig()).items()} == asdict(
        PerceptionFreeConfig()
    )
    assert listed == {}


def test_small_yaml_says_only_what_differs() -> None:
    default = asdict(PerceptionFreeConfig())
    assert all(default[name] != value for name, value in settings("drive_jepa_perception_free_small").items())


def test_what_is_left_out_keeps_its_default() -> None:
    config = PerceptionFreeConfig.from_mapping({"lr": 3, "num_poses": 6})
    assert (config.lr, config.num_poses, config.encoder) == (3, 6, "vit_l")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"learning_rate": 1e-3}, "has no key 'learning_rate'; known keys: .*lr"),
        ({"image_widht": 512}, "has no key 'image_widht'; did you mean 'image_width'"),
        ({"lr": "fast"}, "lr='fast' must be of type float"),
        ({"num_layers": 2.5}, "num_layers=2.5 must be of type int"),
        ({"freeze_encoder": 1}, "freeze_encoder=1 must be of type bool"),
        ({"lr": 0.0}, "lr=0.0 must be positive"),
        ({"encoder_lr_factor": 0.0}, "encoder_lr_factor=0.0 must be positive; .*freeze_encoder=true"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0 must not be negative"),
        ({"schedule": "cosin"}, "schedule='cosin' must be one of constant, cosine; did you mean 'cosine'"),
        ({"warmup_steps": -2}, "warmup_steps=-2 must not be negative"),
        ({"final_lr_factor": 1.5}, r"final_lr_factor=1.5 must be a fraction in \[0, 1\]"),
        ({"encoder": "vitl"}, "encoder='vitl' must be one of .*; did you mean 'vit_l'"),
        ({"encoder": "timm"}, "encoder='timm' must be one of .*timm:<name>"),
        ({"encoder_pretrained": True}, "encoder_pretrained=True with encoder='vit_l' must be false"),
        ({"loss": "l1"}, "loss='l1' must be one of length_normalised_l1, mse"),
        ({"image_height": 0}, "image_height=0 must be a positive number of pixels"),
        ({"num_poses": 11}, "num_poses=11 must not exceed the 10 future frames"),
        ({"model_dim": 250}, "model_dim=250 must be a multiple of num_heads=8"),
        ({"ffn_dim": 0}, "ffn_dim=0 must be at least 1"),
        ({"dropout": 1.0}, r"dropout=1.0 must be in \[0, 1\)"),
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PerceptionFreeConfig.from_mapping(wrong)


def test_any_transformer_of_timm_may_be_named() -> None:
    config = PerceptionFreeConfig.from_mapping({"encoder": "timm:vit_base_patch16_224", "encoder_pretrained": True})
    assert config.encoder == "timm:vit_base_patch16_224"
