"""Attention spelt out, as the slow reference for the fused one."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from navsim_agents.models.blocks import RotaryAttention


class PlainAttention(RotaryAttention):
    """The same weights; scores, softmax and mixture are three tensors. ``blocked`` keys get a score of -inf."""

    blocked: Tensor | None = None  # [N] bool

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        if self.blocked is not None:
            scores = scores.masked_fill(self.blocked, -torch.inf)
        return scores.softmax(-1) @ value


def with_plain_attention(encoder: nn.Module, blocked: Tensor | None = None) -> nn.Module:
    """A copy of ``encoder`` that attends plainly, and to unblocked tokens only."""
    plain = copy.deepcopy(encoder)
    for block in plain.blocks:
        block.attn.__class__ = PlainAttention
        block.attn.blocked = blocked
    return plain
