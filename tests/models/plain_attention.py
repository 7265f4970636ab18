"""Attention spelt out, as the slow reference for the fused one (also of benchmarks/encoder.py)."""

from __future__ import annotations

import copy
import math
from typing import Optional

import torch
from torch import Tensor

from navsim_agents.models.transformer import Block, RotaryAttention
from navsim_agents.models.video_encoder import VideoEncoder


class PlainAttention(RotaryAttention):
    """The same weights; scores, softmax and mixture are three tensors. ``blocked`` keys get a score of -inf."""

    blocked: Optional[Tensor] = None  # [N] bool

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        if self.blocked is not None:
            scores = scores.masked_fill(self.blocked, -torch.inf)
        return scores.softmax(-1) @ value


def attend_with(encoder: VideoEncoder, attention: type[RotaryAttention]) -> None:
    """Make every block of ``encoder`` attend in this way, with the weights it has."""
    for block in encoder.blocks:
        assert isinstance(block, Block)
        block.attn.__class__ = attention


def with_plain_attention(encoder: VideoEncoder, blocked: Optional[Tensor] = None) -> VideoEncoder:
    """A copy of ``encoder`` that attends plainly, and to unblocked tokens only."""
    plain = copy.deepcopy(encoder)
    attend_with(plain, PlainAttention)
    for attention in plain.modules():
        if isinstance(attention, PlainAttention):
            attention.blocked = blocked
    return plain
