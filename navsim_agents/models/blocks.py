"""Pre-norm transformer blocks with rotary positions, shared by the video encoder and the V-JEPA predictor.

Blocks know nothing of grids or masks: a caller keeps the tokens it wants and hands over the ``RotaryTable`` of their
positions. Parameter names are V-JEPA 2's, so that its checkpoints load as they stand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from navsim_agents.models.rope import RotaryTable, rotate


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
        query, key = rotate(qkv[:, :, :2], *rotary).permute(2, 0, 3, 1, 4)  # 2 x [B, heads, N, H]
        mixed = self.attend(query, key, qkv[:, :, 2].transpose(1, 2))
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
