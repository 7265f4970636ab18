"""GridMask (arXiv 2001.04086): hide a regular lattice of rectangles of the training pictures."""

from __future__ import annotations

from typing import Optional

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from navsim_agents.errors import InputError

SHORTEST_PERIOD_PX = 2
CANVAS = 1.5
"""The lattice is laid over a canvas this many times the picture's size, whose middle is used."""


class GridMask(nn.Module):
    """Keep stripes of rows and stripes of columns, hide the rectangles between them (mode 1 of the released code).

    One lattice is drawn for the whole batch. Hidden pixels become 0, which is the mean colour of normalised pictures.
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
        self, pictures: Float[Tensor, "*batch h w"], generator: Optional[torch.Generator] = None
    ) -> Float[Tensor, "*batch h w"]:
        """Normalised pictures, masked in training.

        Args:
            pictures: normalised.
            generator: of the CPU; torch's own by default.
        """
        if not self.training or torch.rand((), generator=generator) > self.probability:
            return pictures
        mask = self.draw((pictures.shape[-2], pictures.shape[-1]), generator)
        return pictures * mask.to(pictures.device)

    def draw(self, size: tuple[int, int], generator: Optional[torch.Generator] = None) -> Bool[Tensor, "h w"]:
        """True where a picture of ``size`` (height, width) [px] is kept.

        Raises:
            InputError: the picture is too small for a lattice.
        """
        if size[0] <= SHORTEST_PERIOD_PX:
            raise InputError(f"a picture of {size[0]} rows is too small for a grid mask; set grid_mask_probability=0")
        period = _draw_integer(SHORTEST_PERIOD_PX, size[0], generator)
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
