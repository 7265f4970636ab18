"""The transformer under the video encoder and the V-JEPA predictor: token grid, rotary positions, pre-norm blocks.

Blocks know nothing of grids or masks: a caller keeps the tokens it wants and hands over the ``RotaryTable`` of their
positions. Parameter names are V-JEPA 2's, so that its checkpoints load as they stand.

Rotary positions have three axes (time, row, column), as V-JEPA 2's pretrained weights expect them. A head's channels
are cut into three equal even parts, one per axis; what is left over is not rotated. In a part of width ``w`` the angle
of frequency ``i`` is ``position * 10000 ** (-2 i / w)``, ``i < w / 2``.

The quirk: frequencies are laid out as [f, f] while *adjacent* channels form a pair, so the two members of a pair turn
by different angles ``a`` and ``b``: (x, y) becomes (x cos a - y sin a, y cos b + x sin b). That is a rotation only
where a = b (parts of width 2), so scores depend on absolute positions too. The released weights were trained with it.
Source: facebookresearch/vjepa2, pull request 15. V-JEPA 2.1 lays frequencies out as [f0, f0, f1, f1, …], which rotates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Optional, Union

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class TokenGrid:
    """Tokens of a clip, numbered row-major: ``id = (time * rows + row) * columns + column``."""

    times: int
    rows: int
    columns: int

    @property
    def num_tokens(self) -> int:
        """Tokens of the whole clip."""
        return self.times * self.rows * self.columns

    def all_ids(self, device: Optional[torch.device] = None) -> Int64[Tensor, " N"]:
        """Every token id, in order."""
        return torch.arange(self.num_tokens, device=device)

    def positions(self, ids: Int64[Tensor, "*batch N"]) -> Int64[Tensor, "*batch N 3"]:
        """(time, row, column) of each token id [patches]."""
        frame, in_frame = ids // (self.rows * self.columns), ids % (self.rows * self.columns)
        return torch.stack((frame, in_frame // self.columns, in_frame % self.columns), dim=-1)


NUM_AXES = 3
FREQUENCY_BASE = 10000.0


class RotaryTable(NamedTuple):
    """Factors by which a head's channels are turned; one row per token, shared by all heads and all blocks."""

    cos: Float32[Tensor, "B N H"]  # B is 1 where all clips keep the same tokens
    signed_sin: Float32[Tensor, "B N H"]  # negative on the first channel of each pair


def axis_width(head_width: int) -> int:
    """Channels of a head that one axis rotates: the largest even number that fits three times."""
    return 2 * (head_width // NUM_AXES // 2)


Positions = Union[Int64[Tensor, "*batch N 3"], Float32[Tensor, "*batch N 3"]]
"""(time, row, column) [patches]."""


def rotary_table(positions: Positions, head_width: int, *, turns_pairs: bool = False) -> RotaryTable:
    """Factors for tokens at ``positions`` (time, row, column) [patches].

    ``turns_pairs`` gives both channels of a pair one angle (V-JEPA 2.1), instead of the quirk. Computed in float32
    whatever autocast says: bfloat16 cannot tell neighbouring positions above 256 apart.
    """
    angles = _angles(positions, head_width, turns_pairs)
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


def _angles(positions: Positions, head_width: int, turns_pairs: bool) -> Float32[Tensor, "B N H"]:
    """Angle of every channel [rad], tiled [f, f] within each axis's part, or by pairs; 0 for the channels left over."""
    width = axis_width(head_width)
    exponents = torch.arange(width // 2, device=positions.device, dtype=torch.float32) / (width / 2)
    frequencies = FREQUENCY_BASE**-exponents
    tiled = frequencies.repeat_interleave(2) if turns_pairs else torch.cat((frequencies, frequencies))
    angles = positions.float().unsqueeze(-1) * tiled  # [B, N, 3, w]
    return torch.nn.functional.pad(angles.flatten(-2), (0, head_width - NUM_AXES * width))


class RotaryAttention(nn.Module):
    """Self-attention whose queries and keys are turned by their tokens' positions."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "B N D"], rotary: RotaryTable) -> Float[Tensor, "B N D"]:
        """Every token attends to every token it was handed with."""
        qkv = self.qkv(tokens).unflatten(-1, (3, self.num_heads, -1))  # [B, N, 3, heads, H]
        pair, value = qkv.split((2, 1), dim=2)
        query, key = rotate(pair, *rotary).permute(2, 0, 3, 1, 4)  # 2 x [B, heads, N, H]
        mixed = self.attend(query, key, value.squeeze(2).transpose(1, 2))
        return self.proj(mixed.transpose(1, 2).flatten(2))

    def attend(
        self, query: Float[Tensor, "B h N H"], key: Float[Tensor, "B h N H"], value: Float[Tensor, "B h N H"]
    ) -> Float[Tensor, "B h N H"]:
        """softmax(query key^T / sqrt(H)) value, by whichever fused kernel torch has for the device."""
        return functional.scaled_dot_product_attention(query, key, value)


class Mlp(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden_width)
        self.fc2 = nn.Linear(hidden_width, width)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Each token by itself."""
        return self.fc2(functional.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """Attention and MLP, each on normalised tokens and added to them."""

    def __init__(self, width: int, num_heads: int, mlp_width: int, norm_eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.attn = RotaryAttention(width, num_heads)
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)
        self.mlp = Mlp(width, mlp_width)

    def forward(self, tokens: Float[Tensor, "B N D"], rotary: RotaryTable) -> Float[Tensor, "B N D"]:
        """Tokens of the same number and width."""
        tokens = tokens + self.attn(self.norm1(tokens), rotary)
        return tokens + self.mlp(self.norm2(tokens))


def run_blocks(
    blocks: nn.ModuleList, tokens: Float[Tensor, "B N D"], rotary: RotaryTable, *, recompute: bool
) -> Float[Tensor, "B N D"]:
    """``tokens`` after all ``blocks``; with ``recompute`` only their inputs are kept for the backward pass."""
    for block in blocks:
        if recompute and torch.is_grad_enabled():
            tokens = checkpoint(block, tokens, rotary, use_reentrant=False)
        else:
            tokens = block(tokens, rotary)
    return tokens


@torch.no_grad()
def init_weights(module: nn.Module, std: float) -> None:
    """V-JEPA's start for every layer inside: normal weights of spread ``std``, zero biases, unit norms."""
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv3d)):
            nn.init.trunc_normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.LayerNorm):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def rescale_by_depth(blocks: Iterable[nn.Module]) -> None:
    """After ``init_weights``: divide what block i (from 1) adds to the residual stream by sqrt(2 i), as V-JEPA does."""
    for number, block in enumerate(blocks, start=1):
        assert isinstance(block, Block)
        scale = 1.0 / math.sqrt(2.0 * number)
        block.attn.proj.weight.mul_(scale)
        block.mlp.fc2.weight.mul_(scale)
