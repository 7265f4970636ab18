"""Pictures on their way into an encoder: pixels normalised as it was trained on, and in training a lattice hidden."""

from __future__ import annotations

from typing import Optional

import torch
from jaxtyping import Bool, Float, Float32, Shaped
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


SHORTEST_PERIOD_PX = 2
CANVAS = 1.5
"""The lattice is laid over a canvas this many times the picture's size, whose middle is used."""


class GridMask(nn.Module):
    """Keep stripes of rows and stripes of columns, hide the rectangles between them (mode 1 of the released code).

    One lattice is drawn for the whole batch. Hidden pixels become 0, which is the mean colour of normalised pictures,
    or another colour where an encoder normalises them anew.
    """

    def __init__(self, ratio: float, probability: float) -> None:
        """Make the mask.

        Args:
            ratio: part of each period that its stripe takes.
            probability: with which a batch is masked at all, in training.

        Raises:
            InputError: one of them is no fraction.
        """
        super().__init__()
        for name, value in (("ratio", ratio), ("probability", probability)):
            if not 0.0 <= value <= 1.0:
                raise InputError(f"{name}={value} of the grid mask must be a fraction in [0, 1]")
        self.ratio = ratio
        self.probability = probability

    def forward(
        self,
        pictures: Float[Tensor, "*batch h w"],
        generator: Optional[torch.Generator] = None,
        hidden: Optional[Float[Tensor, "3 1 1 1"]] = None,
    ) -> Float[Tensor, "*batch h w"]:
        """Normalised pictures, masked in training.

        Args:
            pictures: normalised.
            generator: of the CPU; torch's own by default.
            hidden: what hidden pixels of clips [*batch, 3, T, h, w] become; None: 0.
        """
        if not self.training or torch.rand((), generator=generator) > self.probability:
            return pictures
        mask = self.draw((pictures.shape[-2], pictures.shape[-1]), generator)
        mask = mask.to(pictures.device)
        return pictures * mask if hidden is None else torch.where(mask, pictures, hidden.to(pictures))

    def draw(self, size: tuple[int, int], generator: Optional[torch.Generator] = None) -> Bool[Tensor, "h w"]:
        """True where a picture of ``size`` (height, width) [px] is kept.

        Raises:
            InputError: the picture is too small for a lattice.
        """
        height, _ = size
        if height <= SHORTEST_PERIOD_PX:
            raise InputError(f"a picture of {height} rows is too small for a grid mask; set grid_mask_probability=0")
        period = _draw_integer(SHORTEST_PERIOD_PX, height, generator)
        stripe = min(max(int(period * self.ratio + 0.5), 1), period - 1)
        rows, columns = (stripes(length, period, stripe, _draw_integer(0, period, generator)) for length in size)
        return rows.unsqueeze(1) | columns


def stripes(length: int, period: int, stripe: int, start: int) -> Bool[Tensor, " length"]:
    """True where a stripe lies: ``stripe`` pixels in every ``period``, from ``start`` on a canvas around the picture.

    As in the released code, a canvas has as many stripes as whole periods fit on it, so a late start may leave a part
    without any.
    """
    canvas = int(CANVAS * length)
    place = torch.arange(length) + (canvas - length) // 2 - start
    number = torch.div(place, period, rounding_mode="floor")
    return (number >= 0) & (number < canvas // period) & (place % period < stripe)


def _draw_integer(low: int, high: int, generator: Optional[torch.Generator]) -> int:
    return int(torch.randint(low, high, (), generator=generator))
