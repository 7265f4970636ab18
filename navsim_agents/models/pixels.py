"""From camera pixels to what the encoder was trained on."""

from __future__ import annotations

import torch
from jaxtyping import Float32, Shaped
from torch import Tensor, nn

from navsim_agents.errors import InputError

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

    def forward(self, clip: Shaped[Tensor, "*batch 3 T H W"]) -> Float32[Tensor, "*batch 3 T H W"]:
        """Pixels 0..255 as (pixel / 255 - mean) / std.

        Raises:
            InputError: ``clip`` is not uint8, so it may have been scaled before.
        """
        if clip.dtype != torch.uint8:
            raise InputError(f"clip is {clip.dtype}, but pixels are uint8 in 0..255; hand it over as it was decoded")
        return (clip.float() / WHITE - self.mean) / self.std
