"""Corners of oriented boxes in torch: the only place that computes them, except ``planar.py`` in NumPy."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def box_corners(
    center: Float[Tensor, "*batch 2"], direction: Float[Tensor, "*batch 2"], half_size: Float[Tensor, "*batch 2"]
) -> Float[Tensor, "*batch 4 2"]:
    """Corners (x, y) [m] in the frame of ``center``: front left, rear left, rear right, front right.

    ``direction`` is (cos, sin) of the heading; ``half_size`` half the length and half the width [m].
    """
    x, y = corner_coordinates(*center.unbind(-1), *direction.unbind(-1), *half_size.unbind(-1))
    return torch.stack((x, y), dim=-1).movedim(0, -2)


def corner_coordinates(
    x: Tensor, y: Tensor, cos: Tensor, sin: Tensor, half_length: Tensor, half_width: Tensor
) -> tuple[Float[Tensor, "4 ..."], Float[Tensor, "4 ..."]]:
    """As :func:`box_corners`, of separate coordinates that broadcast: x and y of the four corners [m]."""
    along_x, along_y = half_length * cos, half_length * sin
    left_x, left_y = -half_width * sin, half_width * cos
    front_x, front_y = x + along_x, y + along_y
    rear_x, rear_y = x - along_x, y - along_y
    return (
        torch.stack((front_x + left_x, rear_x + left_x, rear_x - left_x, front_x - left_x)),
        torch.stack((front_y + left_y, rear_y + left_y, rear_y - left_y, front_y - left_y)),
    )
