"""timm's encoders in both planners: files of another picture size, pixel statistics, sizes of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.layers import resample_abs_pos_embed

from navsim_agents.errors import InputError
from navsim_agents.models.picture_backbone import FrontVideoBackbone
from navsim_agents.models.timm_weights import create_timm_model
from tests.drive_jepa.batches import planner_batch
from tests.drive_jepa.planner_scenes import Drive
from tests.drive_jepa.scenes import make_input

NAME = "timm:test_vit"  # 160 px, patch 16; in the tests' pictures of 32 x 64 px are 2 x 4 patches
MAKERS = ("make_agent", "make_planner")


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def native(tmp_path: Path) -> Any:
    """timm's network at its own size; its weights lie in ``native.pth``."""
    torch.manual_seed(5)
    network = create_timm_model("test_vit", pretrained=False)
    torch.nn.init.normal_(network.pos_embed, std=0.1)
    torch.save(network.state_dict(), tmp_path / "native.pth")
    return network


@pytest.mark.parametrize(("way", "antialias"), [("timm", True), ("transformers", False)])
def test_a_file_of_its_own_size_starts_a_training(
    make: Any, native: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str, antialias: bool
) -> None:
    path = tmp_path / "native.pth"
    agent = make(encoder_checkpoint_path=path, encoder={"name": NAME, "resampling": way})
    agent.initialize()
    theirs = resample_abs_pos_embed(native.pos_embed, [2, 4], num_prefix_tokens=1, antialias=antialias)
    torch.testing.assert_close(agent.encoder.network.pos_embed, theirs)
    assert torch.equal(agent.encoder.network.blocks[5].mlp.fc1.weight, native.blocks[5].mlp.fc1.weight)
    words = f"random behind a pretrained encoder (the whole file {path}, its positions resampled from 10 x 10 to 2 x 4"
    assert f"{words} patches as {way} does" in caplog.text


def test_the_grid_of_an_oblong_file_is_told(make: Any, tmp_path: Path) -> None:
    network = create_timm_model("test_vit", pretrained=False, img_size=(48, 80))
    torch.save(network.state_dict(), tmp_path / "oblong.pth")
    told = {"name": NAME, "file_grid": [3, 5]}
    agent = make(encoder_checkpoint_path=tmp_path / "oblong.pth", encoder=told)
    agent.initialize()
    theirs = resample_abs_pos_embed(network.pos_embed, [2, 4], [3, 5], num_prefix_tokens=1)
    torch.testing.assert_close(agent.encoder.network.pos_embed, theirs)


def test_the_full_planner_s_features_are_of_each_frame_by_the_encoder_s_statistics(make_planner: Any) -> None:
    backbone = make_planner(encoder={"name": NAME}).eval().planner.backbone
    assert isinstance(backbone, FrontVideoBackbone)
    network: Any = backbone.encoder.network
    mean, std = (torch.tensor(network.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    assert mean[0] != pytest.approx(0.485)  # ImageNet's, with which the video encoder's pixels are normalised
    pictures = torch.randint(0, 256, (2, 2, 3, 32, 64), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    with torch.no_grad():
        halves = [network.forward_features((pictures[:, time] / 255 - mean) / std)[:, 1:] for time in (0, 1)]
        wanted = backbone.projector(torch.cat(halves, dim=-1)).reshape(2, 1, 2, 4, -1)
        torch.testing.assert_close(backbone(pictures), wanted, rtol=1e-4, atol=1e-5)


def test_the_full_planner_learns_and_plans_with_it(make_planner: Any, scene_store: Path, labels: Any) -> None:
    settings = {"scenes": str(scene_store), **labels, "encoder": {"name": NAME, "activation_checkpointing": True}}
    agent = make_planner(**settings)
    features, targets = planner_batch(agent)
    agent.compute_loss(features, targets, agent(features)).backward()
    assert all(parameter.grad is not None for parameter in agent.encoder.parameters())
    assert np.isfinite(agent.compute_trajectory(Drive(seed=1).agent_input(6)).poses).all()
    whole = agent.state_dict()
    again = make_planner(seed=1, **settings)
    again.load_state_dict(whole)
    for name, value in again.state_dict().items():
        assert torch.equal(value, whole[name])


def test_patches_of_14_are_told_their_nearest_pictures(make: Any) -> None:
    dino = {"name": "timm:vit_tiny_patch16_224"}
    with pytest.raises(InputError, match=r"multiples of 16 px; set .*height=256 agent\.config\.pictures\.width=512"):
        make(encoder=dino, pictures={"height": 250, "width": 510})
    dino = {"name": "timm:vit_small_patch14_dinov2"}
    with pytest.raises(InputError, match=r"256x512 px: .* multiples of 14 px; set agent\.config\.pictures\.height=252"):
        make(encoder=dino, pictures={"height": 256, "width": 512})
    with pytest.raises(InputError, match=r"agent\.config\.pictures\.height=28 agent\.config\.pictures\.width=56,"):
        make(encoder=dino, pictures={"height": 10, "width": 64})


def test_pictures_of_such_sizes_are_planned_on(make_agent: Any) -> None:
    agent = make_agent(encoder={"name": "timm:vit_small_patch14_dinov2"}, pictures={"height": 28, "width": 56})
    assert agent.planner.grid == (2, 4)
    assert agent.compute_trajectory(make_input()).poses.shape == (4, 3)
