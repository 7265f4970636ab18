"""V-JEPA 2.1's video transformer: the blocks of V-JEPA 2, and another way in, other positions, another way out.

- In: a single frame has patches of its own; to every token is added whether it is of an image or of a video.
- Positions: both channels of a pair turn by one angle, so that scores depend on offsets alone; rows and columns are
  spread over 0 … 15 whatever their number, the positions of the 256 px that training began with.
- Out: one norm for each of four levels of blocks. The last level's tokens are the output, or all four side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from navsim_agents.errors import InputError
from navsim_agents.models.transformer import RotaryTable, TokenGrid, rotary_table, run_blocks
from navsim_agents.models.video_encoder import PatchEmbedding, TokenIds, VideoEncoder, VideoEncoderConfig

LEVELS: Mapping[int, tuple[int, ...]] = {
    4: (0, 1, 2, 3),  # of ours
    12: (2, 5, 8, 11),
    24: (5, 11, 17, 23),
    40: (9, 19, 29, 39),
    48: (11, 23, 37, 47),
}
"""Depth → number of the block after which each level is read; V-JEPA 2.1 has no other depths than these."""
NUM_LEVELS = 4
LAST_POSITION = 15.0
"""Of the last row and of the last column: 256 px are 16 patches."""
SINGLE_FRAME = 1
MODALITY_STD = 1e-6
"""Of the start of what tells images from videos."""


@dataclass(frozen=True)
class VideoEncoder21Config(VideoEncoderConfig):
    """Sizes of an encoder of V-JEPA 2.1."""

    GENERATION: ClassVar[str] = "V-JEPA 2.1"

    num_levels: int = 1  # of the output: 1, or 4, whose tokens are four times as wide

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth not in LEVELS:
            raise InputError(f"depth={self.depth}, but V-JEPA 2.1 has levels for {', '.join(map(str, LEVELS))} blocks")
        if self.num_levels not in (1, NUM_LEVELS):
            raise InputError(f"num_levels={self.num_levels}, but the output is of 1 level or of all {NUM_LEVELS}")

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of the last block of each level."""
        return LEVELS[self.depth]

    @property
    def token_width(self) -> int:
        """Channels of a token that the encoder gives."""
        return self.num_levels * self.width

    def build(self) -> VideoEncoder21:
        """The encoder, with fresh weights from torch's global generator."""
        return VideoEncoder21(self)

    def grid(self, num_frames: int, height: int, width: int) -> TokenGrid:
        """Token grid of a clip, or of a single frame.

        Raises:
            InputError: it cannot be cut into whole patches.
        """
        if num_frames == SINGLE_FRAME:
            return replace(super().grid(self.tubelet_size, height, width), times=1)
        return super().grid(num_frames, height, width)


class VideoEncoder21(VideoEncoder):
    """An encoder of V-JEPA 2.1. State-dict names are its own; a single frame is a clip of one."""

    GENERATION = VideoEncoder21Config.GENERATION
    config: VideoEncoder21Config

    def __init__(self, config: VideoEncoder21Config) -> None:
        super().__init__(config)
        for embedding in (self.img_mod_embed, self.video_mod_embed):
            nn.init.normal_(embedding, std=MODALITY_STD)
        self.requires_grad_(True)

    def add_patches(self) -> None:
        """Patches of clips and of single frames, and marks of both."""
        super().add_patches()
        self.patch_embed_img = PatchEmbedding(self.config, SINGLE_FRAME)
        self.img_mod_embed = nn.Parameter(torch.zeros(1, 1, self.config.width))
        self.video_mod_embed = nn.Parameter(torch.zeros(1, 1, self.config.width))

    def add_norms(self) -> None:
        """A norm a level."""
        width, eps = self.config.width, self.config.norm_eps
        self.norms_block = nn.ModuleList(nn.LayerNorm(width, eps=eps) for _ in range(NUM_LEVELS))

    def requires_grad_(self, requires_grad: bool = True) -> VideoEncoder21:
        """As of any module, but what clips of several frames do not pass through never learns.

        Nothing here trains on single frames, and a parameter without a gradient stops a training of several processes.
        """
        super().requires_grad_(requires_grad)
        idle: list[Any] = [self.patch_embed_img, self.img_mod_embed]
        for part in (*idle, *self.norms_block[: NUM_LEVELS - self.config.num_levels]):
            part.requires_grad_(False)
        return self

    def embed(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B N D"]:
        """Tokens before the first block; a clip of one frame takes the images' way."""
        if clip.shape[2] == SINGLE_FRAME:
            return self.patch_embed_img(clip) + self.img_mod_embed
        return self.patch_embed(clip) + self.video_mod_embed

    def rotary(self, grid: TokenGrid, ids: TokenIds) -> RotaryTable:
        """Factors of the tokens ``ids`` by their spread positions."""
        return rotary_table(spread_positions(grid, ids), self.config.head_width, turns_pairs=True)

    def encode(self, tokens: Float[Tensor, "B K D"], rotary: RotaryTable) -> Float[Tensor, "B K D_out"]:
        """Tokens after blocks and norms; with 4 levels the shallowest comes first."""
        recompute = self.config.activation_checkpointing
        if self.config.num_levels == 1:
            return self.norms_block[-1](run_blocks(self.blocks, tokens, rotary, recompute=recompute))
        outputs, start = [], 0
        for last, norm in zip(self.config.levels, self.norms_block):
            level: nn.ModuleList = self.blocks[start : last + 1]
            tokens, start = run_blocks(level, tokens, rotary, recompute=recompute), last + 1
            outputs.append(norm(tokens))
        return torch.cat(outputs, dim=-1)


def spread_positions(grid: TokenGrid, ids: TokenIds) -> Float32[Tensor, "B N 3"]:
    """(time, row, column) of each token id; rows and columns run from 0 to ``LAST_POSITION``, a single one is at 0."""
    positions = grid.positions(ids).float()
    gaps = (1.0, max(1.0, grid.rows - 1.0), max(1.0, grid.columns - 1.0))
    last = positions.new_tensor((1.0, LAST_POSITION, LAST_POSITION))
    return positions * last / positions.new_tensor(gaps)
