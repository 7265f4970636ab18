"""The four-camera backbone on a small network of timm's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.four_cameras import CAMERAS, FeaturePyramidLevel, FourCameraBackbone
from navsim_agents.models.pictures import GridMask
from navsim_agents.models.proposals import ProposalPlanner
from navsim_agents.models.timm_weights import create_timm_model
from tests.models.planners import CONFIG, QUIRKS, SAMPLING, camera_from_ego, shake

NETWORK = "resnet10t"
SIZE = (54, 96)  # 1080 x 1920 px by 1/20


def make_backbone(
    size: tuple[int, int] = SIZE, network: str = NETWORK, swapped_channels: bool = True, **settings: Any
) -> FourCameraBackbone:
    torch.manual_seed(0)
    return FourCameraBackbone(
        size, 24, GridMask(0.5, 0.7), network=network, swapped_channels=swapped_channels, **settings
    ).eval()


def make_pictures(batch_size: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (batch_size, 4, 3, *SIZE), generator=generator, dtype=torch.uint8)


def test_one_feature_map_a_camera() -> None:
    backbone = make_backbone()
    assert backbone(make_pictures()).shape == (2, 4, 2, 3, 24)
    assert CAMERAS == ("cam_b0", "cam_f0", "cam_l0", "cam_r0")


def test_features_are_the_pyramid_s_and_the_codes() -> None:
    backbone, pictures = make_backbone(), make_pictures()
    planes = backbone.neck(backbone.encoder(backbone.normalise(pictures)[1])[-1])  # the second scene's cameras
    codes = backbone.camera_embedding[:, None, None] + backbone.level_embedding[0]
    torch.testing.assert_close(backbone(pictures)[1], planes.permute(0, 2, 3, 1) + codes)


def test_pictures_are_padded_below_with_the_mean_colour() -> None:
    backbone = make_backbone()
    normalised = backbone.normalise(make_pictures())
    assert normalised.shape == (2, 4, 3, 64, 96)
    assert normalised[..., 54:, :].abs().max() == 0
    assert backbone.region == pytest.approx((0, 0, 1920, 1280))


def test_released_size_covers_the_padded_picture() -> None:
    backbone = make_backbone((432, 768))
    assert backbone.region == pytest.approx((0, 0, 1920, 1120))


def test_channels_are_swapped_as_in_the_released_code() -> None:
    pictures = torch.zeros(1, 4, 3, *SIZE, dtype=torch.uint8)
    pictures[:, :, 0] = 255  # red
    swapped = make_backbone().normalise(pictures)[0, 0, :, 0, 0]
    torch.testing.assert_close(swapped, torch.tensor([-0.485 / 0.229, -0.456 / 0.224, (1 - 0.406) / 0.225]))
    right = make_backbone(swapped_channels=False).normalise(pictures)[0, 0, :, 0, 0]
    torch.testing.assert_close(right, torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]))


def test_pyramid_level_is_two_convolutions() -> None:
    level, planes = FeaturePyramidLevel(6, 4), torch.randn(1, 6, 3, 5)
    summed = torch.einsum("oc,bchw->bohw", level.lateral.weight[..., 0, 0], planes)
    expected = nn.functional.conv2d(
        summed + level.lateral.bias[:, None, None], level.smooth.weight, level.smooth.bias, padding=1
    )
    torch.testing.assert_close(level(planes), expected)


def test_planner_plans_alike_alone_and_in_a_batch() -> None:
    torch.manual_seed(0)
    planner = ProposalPlanner(make_backbone(), CONFIG, QUIRKS, SAMPLING).eval()
    shake(planner.refiner.attention)
    around = [camera_from_ego(yaw) for yaw in (math.pi, 0.0, 0.9, -0.9)]
    projections = torch.stack((torch.stack(around), torch.stack(around[::-1]), torch.stack(around)))
    pictures, ego = make_pictures(3), torch.randn(3, 11)
    together = planner(pictures, ego, projections)
    assert together.final.shape == (3, 5, 3, 3)
    for scene in range(3):
        alone = planner(*(part[scene : scene + 1] for part in (pictures, ego, projections)))
        torch.testing.assert_close(alone.final[0], together.final[scene], rtol=0, atol=2e-5)


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(7)
    whole = create_timm_model(NETWORK, pretrained=False)
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    backbone = make_backbone(checkpoint_path=tmp_path / "weights.pth")
    assert torch.equal(backbone.encoder.state_dict()["layer1.0.conv1.weight"], whole.layer1[0].conv1.weight)
    torch.save({"state_dict": whole.state_dict(), "epoch": 3}, tmp_path / "nested.pth")
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    for name in ("nested.pth", "weights.safetensors"):
        other = make_backbone(checkpoint_path=tmp_path / name)
        assert torch.equal(other.encoder.state_dict()["layer1.0.conv1.weight"], whole.layer1[0].conv1.weight)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"layer1.0.conv1.weight": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"weights.pth does not fit the network: .* missing: .*this very network"):
        make_backbone(checkpoint_path=tmp_path / "weights.pth")
    torch.save({"epoch": 3}, tmp_path / "nothing.pth")
    with pytest.raises(CheckpointError, match="is not a table of tensors"):
        make_backbone(checkpoint_path=tmp_path / "nothing.pth")


def test_unknown_networks_and_widths_are_refused() -> None:
    with pytest.raises(InputError, match="no network called 'resnet3'; choose one of its names, such as"):
        make_backbone(network="resnet3")
    with pytest.raises(InputError, match="image_width=100 must be a multiple of the 32 px of resnet10t"):
        make_backbone((54, 100))
