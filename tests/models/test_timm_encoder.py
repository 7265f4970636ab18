"""timm's image transformers in the place of the video encoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.config import PlannerConfig
from navsim_agents.models.encoders import build_encoder, load_pretrained
from navsim_agents.models.perception_free import PerceptionFreePlanner
from navsim_agents.models.pictures import PixelNormalize
from navsim_agents.models.timm_encoder import TimmVideoEncoder
from navsim_agents.models.timm_weights import create_timm_model

NAME = "test_vit"  # timm's own tiny transformer: width 64, patch 16
SIZE = (32, 64)


def make_encoder() -> TimmVideoEncoder:
    torch.manual_seed(0)
    encoder = build_encoder(f"timm:{NAME}", SIZE)
    assert isinstance(encoder, TimmVideoEncoder)
    return encoder.eval()


def make_clip() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (3, 3, 2, *SIZE), generator=generator, dtype=torch.uint8)


def test_tokens_have_the_video_encoder_s_interface() -> None:
    encoder = make_encoder()
    tokens = encoder(PixelNormalize()(make_clip()))
    grid = encoder.config.grid(2, *SIZE)
    assert (grid.times, grid.rows, grid.columns) == (1, 2, 4)
    assert tokens.shape == (3, grid.num_tokens, encoder.config.width)


def test_each_half_of_a_token_is_one_frame_s() -> None:
    encoder, clip = make_encoder(), make_clip()
    tokens = encoder(PixelNormalize()(clip))
    half = encoder.config.width // 2
    changed = clip.clone()
    changed[:, :, 1] = 255 - changed[:, :, 1]  # the current frame
    other = encoder(PixelNormalize()(changed))
    assert torch.equal(tokens[..., :half], other[..., :half])
    assert not torch.equal(tokens[..., half:], other[..., half:])
    swapped = encoder(PixelNormalize()(clip.flip(2)))
    torch.testing.assert_close(swapped, torch.cat((tokens[..., half:], tokens[..., :half]), -1))


def test_the_network_gets_pixels_by_its_own_statistics() -> None:
    encoder, clip = make_encoder(), make_clip()
    statistics = encoder.network.pretrained_cfg
    mean, std = (torch.tensor(statistics[name]).view(3, 1, 1) for name in ("mean", "std"))
    assert statistics["mean"][0] != pytest.approx(0.485)  # otherwise this test says nothing
    frame = (clip[:, :, 0].float() / 255 - mean) / std
    patches = encoder.network.forward_features(frame)[:, encoder.network.num_prefix_tokens :]
    tokens = encoder(PixelNormalize()(clip))
    torch.testing.assert_close(tokens[..., : encoder.config.width // 2], patches, rtol=1e-4, atol=1e-5)


def test_planner_plans_with_it() -> None:
    config = PlannerConfig(model_dim=24, num_heads=2, ffn_dim=40, num_layers=1, num_poses=5)
    planner = PerceptionFreePlanner(make_encoder(), SIZE, config)
    plan = planner(make_clip().transpose(1, 2), torch.randn(3, 8))
    assert plan.shape == (3, 5, 3)
    plan.sum().backward()
    assert planner.encoder.network.patch_embed.proj.weight.grad.abs().max() > 0


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(9)
    whole = create_timm_model(NAME, pretrained=False, img_size=SIZE)
    torch.save(whole.state_dict(), tmp_path / "vit.pth")
    encoder = make_encoder()
    load_pretrained(encoder, tmp_path / "vit.pth")
    assert torch.equal(encoder.network.pos_embed, whole.pos_embed)
    with pytest.raises(CheckpointError, match="does not fit the network"):
        load_pretrained(build_encoder(f"timm:{NAME}", (48, 64)), tmp_path / "vit.pth")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"frames of 40x64 px.*multiples of 16 px"):
        build_encoder(f"timm:{NAME}", (40, 64))
    with pytest.raises(InputError, match="a clip of 3 frames"):
        make_encoder().config.grid(3, *SIZE)
    with pytest.raises(InputError, match="encoder=timm:resnet10t is no vision transformer"):
        build_encoder("timm:resnet10t", SIZE)
    with pytest.raises(InputError, match="timm has no network called 'vit_enormous'"):
        build_encoder("timm:vit_enormous", SIZE)
