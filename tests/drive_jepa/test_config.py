"""Settings are checked where they are made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import navsim_configs
from navsim_agents.common.settings import defaults_of
from navsim_agents.drive_jepa.config import PerceptionFreeConfig
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from navsim_agents.errors import NavsimDriveJepaError
from tests.drive_jepa.settings import dotted

AGENTS = Path(navsim_configs.__file__).parent / "agent"
PREFIX = r"^agent\.config\."


def preset(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(AGENTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_yaml_says_only_what_differs(path: Path) -> None:
    """From the preset that it starts from, or from the dataclass."""
    kind = PerceptionFreeConfig if "perception_free" in path.stem else ProposalAgentConfig
    before, said = dotted(defaults_of(kind)), dotted(preset(path).get("config", {}))
    start = preset(path)["defaults"][0]
    if isinstance(start, str) and not start.startswith("/"):
        before.update(dotted(preset(AGENTS / f"{start}.yaml").get("config", {})))
    repeated = {name for name, value in said.items() if before[name] == value}
    assert repeated == set()


def test_hydra_needs_no_torch_to_know_the_defaults() -> None:
    """The plugin is imported at each start of any Hydra application."""
    code = "import sys, hydra_plugins.navsim_drive_jepa.search_path; print(sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "'hydra" in found
    assert [name for name in ("torch", "pandas", "navsim", "timm") if f"'{name}'" in found] == []


def test_what_is_left_out_keeps_its_default() -> None:
    config = PerceptionFreeConfig.from_mapping({"optimiser": {"lr": 3}, "planner": {"num_poses": 6}})
    assert (config.optimiser.lr, config.planner.num_poses, config.encoder.name) == (3, 6, "vit_l")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"learning_rate": 1e-3}, "learning_rate is no setting; there are .*optimiser"),
        ({"pictures": {"widht": 512}}, "pictures.widht is no setting; .*; did you mean 'width'"),
        ({"optimiser": {"lr": "fast"}}, "optimiser.lr='fast', but must be a finite number"),
        ({"planner": {"num_layers": 2.5}}, "planner.num_layers=2.5, but must be a whole number"),
        ({"optimiser": {"freeze_encoder": 1}}, "optimiser.freeze_encoder=1, but must be true or false"),
        ({"optimiser": {"lr": 0.0}}, "optimiser.lr=0.0 must be positive"),
        ({"optimiser": {"encoder_lr_factor": 0.0}}, "optimiser.encoder_lr_factor=0.0 must be positive; .*freeze_enc"),
        ({"optimiser": {"weight_decay": -1.0}}, "optimiser.weight_decay=-1.0, but must be 0 or more"),
        (
            {"optimiser": {"schedule": "cosin"}},
            "optimiser.schedule='cosin' must be one of constant, cosine; did you mean 'cosine'",
        ),
        ({"optimiser": {"warmup_steps": -2}}, "optimiser.warmup_steps=-2, but must be 0 or more"),
        ({"optimiser": {"final_lr_factor": 1.5}}, r"optimiser.final_lr_factor=1.5 must be a fraction in \[0, 1\]"),
        ({"encoder": {"name": "vitl"}}, "encoder.name='vitl' must be one of .*; did you mean 'vit_l'"),
        ({"encoder": {"name": "timm"}}, "encoder.name='timm' must be one of .*timm:<name>"),
        (
            {"encoder": {"levels": 4}},
            r"encoder.levels=4 of 'vit_l': only V-JEPA 2.1's encoders",
        ),
        (
            {"encoder": {"name": "vjepa21_l", "levels": 2}},
            "encoder.levels=2 of 'vjepa21_l': .* 1 or of all 4",
        ),
        ({"encoder": {"entry": "opt"}}, "encoder.entry='opt' must be one of ema_encoder, target_encoder, encoder"),
        (
            {"encoder": {"name": "timm:vit_tiny", "entry": "encoder"}},
            "encoder.levels=1, entry=encoder with .*leave",
        ),
        ({"encoder": {"resampling": "torch"}}, "encoder.resampling='torch' must be one of timm, transformers"),
        ({"encoder": {"name": "timm:vit_x", "file_grid": [37]}}, r"encoder.file_grid=\[37\] must be rows and columns"),
        ({"encoder": {"name": "timm:vit_x", "file_grid": [37, 0]}}, r"encoder.file_grid=\[37, 0\] must be rows and"),
        (
            {"encoder": {"resampling": "transformers"}},
            "encoder.resampling=transformers, .*'vit_l', .* of timm's weights",
        ),
        (
            {"encoder": {"name": "timm:vit_x", "pretrained": True, "file_grid": [4, 4]}},
            r"encoder.resampling=timm, file_grid=\[4, 4\] with .*pretrained=True are for files",
        ),
        ({"encoder": {"pretrained": True}}, "encoder.pretrained=True with name='vit_l' must be false"),
        ({"loss": "l1"}, "loss='l1' must be one of length_normalised_l1, mse"),
        ({"pictures": {"height": 0}}, "pictures.height=0 must be a positive number of pixels"),
        ({"planner": {"num_poses": 11}}, "planner.num_poses=11 must not exceed the 10 future frames"),
        ({"planner": {"model_dim": 250}}, "planner.model_dim=250 must be a multiple of num_heads=8"),
        ({"planner": {"ffn_dim": 0}}, "planner.ffn_dim=0 must be at least 1"),
        ({"planner": {"dropout": 1.0}}, r"planner.dropout=1.0 must be in \[0, 1\)"),
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(NavsimDriveJepaError, match=PREFIX + message):
        PerceptionFreeConfig.from_mapping(wrong)


def test_any_transformer_of_timm_may_be_named() -> None:
    config = PerceptionFreeConfig.from_mapping({"encoder": {"name": "timm:vit_base_patch16_224", "pretrained": True}})
    assert config.encoder.timm_name == "vit_base_patch16_224"
