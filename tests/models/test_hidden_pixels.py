"""Whatever encoder looks at them: hidden pixels are 0 where it reads them, and what is shown is as without a mask."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from navsim_agents.models.encoders import AnyEncoder, build_encoder
from navsim_agents.models.picture_backbone import FrontVideoBackbone
from navsim_agents.models.pictures import GridMask, PixelNormalize
from navsim_agents.models.timm_encoder import TimmVideoEncoder

OURS = ["tiny", "vjepa21_tiny"]
OF_IMAGENET = ["timm:vit_small_patch14_dinov2", "timm:vit_small_patch16_dinov3", "timm:deit_tiny_patch16_224"]
OTHERS = [
    "timm:vit_tiny_patch16_224",
    "timm:vit_base_patch16_siglip_256.v2_webli",
    "timm:vit_base_patch32_clip_224.openai",
]


class Seen:
    """In the place of an encoder's last input: what it would work on."""

    def __init__(self, encoder: AnyEncoder) -> None:
        self.clip = torch.empty(0)
        self._owner: Any = encoder
        if isinstance(encoder, TimmVideoEncoder):
            self._owner = encoder.network
            self._owner.forward_features = self._frames
        else:
            encoder.register_forward_pre_hook(lambda _, given: setattr(self, "clip", given[0]))

    def _frames(self, frames: Tensor) -> Tensor:
        self.clip = frames.unflatten(0, (-1, 2)).transpose(1, 2)
        return type(self._owner).forward_features(self._owner, frames)


def seen(backbone: FrontVideoBackbone, pictures: Tensor) -> Tensor:
    """What the encoder reads of the pictures [B, 3, 2, H, W] in a step whose mask is drawn from one seed."""
    watch = Seen(backbone.encoder)
    with torch.no_grad():
        backbone(pictures, torch.Generator().manual_seed(3))
    return watch.clip


@pytest.mark.parametrize("name", [*OURS, *OF_IMAGENET, *OTHERS])
def test_hidden_pixels_are_the_encoders_own_mean(name: str) -> None:
    size = (28, 56) if "patch14" in name else (32, 64)
    pictures = torch.randint(0, 256, (2, 2, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    backbone = FrontVideoBackbone(build_encoder(name, size), size, 8, GridMask(0.5, 1.0)).train()
    mask = GridMask(0.5, 1.0).train()
    torch.rand((), generator=(generator := torch.Generator().manual_seed(3)))
    kept = mask.draw(size, generator)
    assert 0 < kept.float().mean() < 1
    masked = seen(backbone, pictures)
    backbone.grid_mask.probability = -1.0
    whole = seen(backbone, pictures)
    assert torch.equal(masked[..., kept], whole[..., kept])
    assert (whole[..., ~kept].abs() > 0.01).float().mean() > 0.9
    if name not in OTHERS:  # to the last bit what it was before others were thought of
        clip, encoder = PixelNormalize()(pictures.transpose(1, 2)) * kept, backbone.encoder
        wanted = clip * encoder.scale + encoder.shift if isinstance(encoder, TimmVideoEncoder) else clip
        assert torch.equal(masked.view(torch.int32), wanted.view(torch.int32))
    assert masked[..., ~kept].abs().max() < 1e-6
