"""Pretrained encoders in both planners: which file, which entry, V-JEPA 2.1 with one level or four."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from navsim_agents.drive_jepa.agent import DriveJepaAgent
from navsim_agents.errors import CheckpointError
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.video_encoder import VideoEncoder
from navsim_agents.models.video_encoder_21 import VideoEncoder21
from tests.drive_jepa.scenes import make_batch
from tests.models.hub_files import in_hub_names, tiny_predictor, write_hub

MAKERS = ("make_agent", "make_planner")


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def new_encoder(seed: int, preset: str = "tiny") -> VideoEncoder:
    torch.manual_seed(seed)
    return encoder_preset(preset).build()


def has_weights_of(agent: DriveJepaAgent, encoder: VideoEncoder) -> bool:
    found = agent.encoder.state_dict()
    return all(torch.equal(tensor, found[name]) for name, tensor in encoder.state_dict().items())


@pytest.mark.parametrize(("entry", "read", "seed"), [(None, "target_encoder", 1), ("encoder", "encoder", 2)])
def test_the_entry_is_an_option_and_in_the_log(
    make: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, entry: Any, read: str, seed: int
) -> None:
    path = tmp_path / "vitt.pt"
    torch.save({"target_encoder": new_encoder(1).state_dict(), "encoder": new_encoder(2).state_dict()}, path)
    agent = make(encoder_checkpoint_path=path, encoder={"name": "tiny", "entry": entry})
    agent.initialize()
    assert has_weights_of(agent, new_encoder(seed))
    assert f"random behind a pretrained encoder ({read} of {path}) until" in caplog.text


def test_a_folder_of_the_hub_layout_starts_a_training(
    make: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_hub(tmp_path / "hub", in_hub_names(new_encoder(1), tiny_predictor(1)))
    agent = make(encoder_checkpoint_path=folder, encoder={"name": "tiny"})
    agent.initialize()
    assert has_weights_of(agent, new_encoder(1))
    assert f"(the whole file {folder})" in caplog.text


@pytest.mark.parametrize("levels", [1, 4])
def test_vjepa_2_1_starts_a_training(make: Any, tmp_path: Path, levels: int) -> None:
    path = tmp_path / "vjepa2_1.pt"
    torch.save({"ema_encoder": new_encoder(1, "vjepa21_tiny").state_dict()}, path)
    agent = make(encoder_checkpoint_path=path, encoder={"name": "vjepa21_tiny", "levels": levels})
    agent.initialize()
    assert isinstance(agent.encoder, VideoEncoder21)
    assert has_weights_of(agent, new_encoder(1, "vjepa21_tiny"))
    groups = agent.get_optimizers().param_groups
    trained = {id(parameter) for group in groups for parameter in group["params"]}
    assert id(agent.encoder.video_mod_embed) in trained
    assert id(agent.encoder.img_mod_embed) not in trained  # or a training of several processes would wait for it
    assert (id(agent.encoder.norms_block[0].weight) in trained) == (levels == 4)


def test_vjepa_2_1_plans(make_agent: Any) -> None:
    agent = make_agent(encoder={"name": "vjepa21_tiny", "levels": 4})
    features, targets = make_batch()
    agent.compute_loss(features, targets, agent(features)).backward()
    missing = [name for name, p in agent.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


def test_a_file_of_vjepa_2_1_is_called_by_its_name(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "vjepa2_1.pt"
    torch.save({"ema_encoder": new_encoder(1, "vjepa21_tiny").state_dict()}, path)
    with pytest.raises(
        CheckpointError, match=r"file of V-JEPA 2\.1, but .* is of V-JEPA 2\..*name the encoder vjepa21_t"
    ):
        make(encoder_checkpoint_path=path, encoder={"name": "tiny"}).initialize()
