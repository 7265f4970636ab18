"""Rotary positions in three axes (time, row, column) as V-JEPA 2's pretrained weights expect them.

A head's channels are cut into three equal even parts, one per axis; what is left over is not rotated.
In a part of width ``w`` the angle of frequency ``i`` is ``position * 10000 ** (-2 i / w)``, ``i < w / 2``.

The quirk: frequencies are laid out as [f, f] while *adjacent* channels form a pair, so the two members of a pair turn
by different angles ``a`` and ``b``: (x, y) becomes (x cos a - y sin a, y cos b + x sin b). That is a rotation only
where a = b (parts of width 2), so scores depend on absolute positions too. The released weights were trained with it.
Source: facebookresearch/vjepa2, pull request 15.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

NUM_AXES = 3
FREQUENCY_BASE = 10000.0


class RotaryTable(NamedTuple):
    """Factors by which a head's channels are turned; one row per token, shared by all heads and all blocks."""

    cos: Float32[Tensor, "B N H"]  # B is 1 where all clips keep the same tokens
    signed_sin: Float32[Tensor, "B N H"]  # negative on the first channel of each pair


def axis_width(head_width: int) -> int:
    """Channels of a head that one axis rotates: the largest even number that fits three times."""
    return 2 * (head_width // NUM_AXES // 2)


def rotary_table(positions: Int64[Tensor, "B N 3"], head_width: int) -> RotaryTable:
    """Factors for tokens at ``positions`` (time, row, column) [patches].

    Computed in float32 whatever autocast says: bfloat16 cannot tell neighbouring positions above 256 apart.
    """
    angles = _angles(positions, head_width)
    sign = torch.tensor((-1.0, 1.0), device=angles.device).repeat(head_width // 2)
    return RotaryTable(angles.cos(), angles.sin() * sign)


def rotate(
    heads: Float[Tensor, "B N *heads H"], cos: Float32[Tensor, "#B N H"], signed_sin: Float32[Tensor, "#B N H"]
) -> Float[Tensor, "B N *heads H"]:
    """``heads`` turned by a ``rotary_table``; computed in float32 and rounded once to the dtype of ``heads``."""
    per_head = (cos.shape[0], cos.shape[1], *[1] * (heads.ndim - 3), cos.shape[2])
    partner = heads.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    turned = heads * cos.view(per_head) + partner * signed_sin.view(per_head)
    return turned.to(heads.dtype)


def _angles(positions: Int64[Tensor, "B N 3"], head_width: int) -> Float32[Tensor, "B N H"]:
    """Angle of every channel [rad], tiled [f, f] within each axis's part; 0 for the channels left over."""
    width = axis_width(head_width)
    exponents = torch.arange(width // 2, device=positions.device, dtype=torch.float32) / (width / 2)
    frequencies = FREQUENCY_BASE**-exponents
    angles = positions.float().unsqueeze(-1) * torch.cat((frequencies, frequencies))  # [B, N, 3, w]
    return torch.nn.functional.pad(angles.flatten(-2), (0, head_width - NUM_AXES * width))
