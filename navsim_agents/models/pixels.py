"""From camera pixels to what the encoder was trained on."""

from __future__ import annotations

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

# RGB statistics of ImageNet, which V-JEPA 2 normalises with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
WHITE = 255.0


class PixelNormalize(nn.Module):
    """RGB uint8 clips to zero mean and unit spread per channel. Its buffers stay out of state dicts."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1, 1), persistent=False)

    def forward(self, clip: UInt8[Tensor, "*batch 3 T H W"]) -> Float32[Tensor, "*batch 3 T H W"]:
        """Pixels 0..255 as (pixel / 255 - mean) / std."""
        return (clip.float() / WHITE - self.mean) / self.std
