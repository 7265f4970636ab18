"""V-JEPA 2's video transformer for clips of any rectangular size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Optional, Union

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from navsim_agents.errors import InputError
from navsim_agents.models.transformer import (
    NUM_AXES,
    Block,
    RotaryTable,
    TokenGrid,
    init_weights,
    rescale_by_depth,
    rotary_table,
    run_blocks,
)

NUM_CHANNELS = 3

TokenIds = Int64[Tensor, "_ _"]  # [B, K]; checked by _check_masks


@dataclass(frozen=True)
class VideoEncoderConfig:
    """Sizes of a video encoder; ``presets.encoder_preset`` names the usual ones."""

    GENERATION: ClassVar[str] = "V-JEPA 2"

    width: int  # channels of a token
    depth: int  # blocks
    num_heads: int
    mlp_width: int
    patch_size: int = 16  # px
    tubelet_size: int = 2  # frames
    norm_eps: float = 1e-6
    init_std: float = 0.02
    activation_checkpointing: bool = False  # recompute activations backward: less memory, about a third more time

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise InputError(f"width={self.width} is not a multiple of num_heads={self.num_heads}; change one of them")
        if self.head_width % 2 or self.head_width < 2 * NUM_AXES:
            raise InputError(
                f"width={self.width} over num_heads={self.num_heads} gives heads of {self.head_width} channels; "
                f"rotary positions turn pairs in {NUM_AXES} axes: use an even number, {2 * NUM_AXES} at least"
            )

    @property
    def head_width(self) -> int:
        """Channels of one attention head."""
        return self.width // self.num_heads

    @property
    def token_width(self) -> int:
        """Channels of a token that the encoder gives."""
        return self.width

    def build(self) -> VideoEncoder:
        """The encoder, with fresh weights from torch's global generator."""
        return VideoEncoder(self)

    def grid(self, num_frames: int, height: int, width: int) -> TokenGrid:
        """Token grid of a clip of ``num_frames`` frames of ``height`` x ``width`` [px].

        Raises:
            InputError: the clip cannot be cut into whole patches.
        """
        sizes = {"frames": num_frames, "height": height, "width": width}
        units = {"frames": self.tubelet_size, "height": self.patch_size, "width": self.patch_size}
        for axis, size in sizes.items():
            if size == 0 or size % units[axis]:
                raise InputError(
                    f"a clip of {num_frames} frames of {height}x{width} px: {axis} {size} is not a multiple of "
                    f"{units[axis]}; resize or sample the clip"
                )
        return TokenGrid(*(size // units[axis] for axis, size in sizes.items()))


class PatchEmbedding(nn.Module):
    """One linear map of every tubelet of ``num_frames`` x patch_size x patch_size pixels."""

    def __init__(self, config: VideoEncoderConfig, num_frames: int) -> None:
        super().__init__()
        kernel = (num_frames, config.patch_size, config.patch_size)
        self.proj = nn.Conv3d(NUM_CHANNELS, config.width, kernel_size=kernel, stride=kernel)

    def forward(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B N D"]:
        """Tokens in the order of ``TokenGrid``."""
        return self.proj(clip).flatten(2).transpose(1, 2)


class VideoEncoder(nn.Module):
    """Patch embedding, blocks with rotary positions, final norm. State-dict names are V-JEPA 2's."""

    GENERATION: ClassVar[str] = VideoEncoderConfig.GENERATION
    norm: nn.LayerNorm

    def __init__(self, config: VideoEncoderConfig) -> None:
        """Build the encoder with fresh weights; ``config.build()`` does that with the class that ``config`` is of.

        Raises:
            InputError: ``config`` is of another generation of encoders.
        """
        super().__init__()
        if config.GENERATION != self.GENERATION:
            raise InputError(
                f"the sizes are of {config.GENERATION}, the encoder is of {self.GENERATION}; make it by config.build()"
            )
        self.config = config
        self.add_patches()
        self.blocks = nn.ModuleList(
            Block(config.width, config.num_heads, config.mlp_width, config.norm_eps) for _ in range(config.depth)
        )
        self.add_norms()
        init_weights(self, config.init_std)
        rescale_by_depth(self.blocks)

    def add_patches(self) -> None:
        """Make what leads to the blocks."""
        self.patch_embed = PatchEmbedding(self.config, self.config.tubelet_size)

    def add_norms(self) -> None:
        """Make what follows the blocks."""
        self.norm = nn.LayerNorm(self.config.width, eps=self.config.norm_eps)

    def forward(
        self, clip: Float[Tensor, "B 3 T H W"], keep: Optional[Union[TokenIds, Sequence[TokenIds]]] = None
    ) -> Float[Tensor, "B_masks K D"]:
        """Tokens of normalised clips.

        Args:
            clip: RGB after ``PixelNormalize``, oldest frame first.
            keep: ids (see ``TokenGrid``) of the tokens to encode; the others are dropped before the first block.
                A list of masks, all of one length, encodes the batch once per mask; the results lie one after another
                along the batch.

        Returns:
            Tokens after the final norm, K of them for each clip and mask; without ``keep`` all, row-major.

        Raises:
            InputError: the clip cannot be cut into whole patches, or masks do not fit the batch or one another.
        """
        grid = self.config.grid(*clip.shape[2:])
        tokens = self.embed(clip)
        ids = grid.all_ids(clip.device).unsqueeze(0)  # [1, N]
        if keep is not None:
            masks = [keep] if isinstance(keep, Tensor) else list(keep)
            _check_masks(masks, batch_size=len(clip))
            tokens, ids = torch.cat([_take(tokens, mask) for mask in masks]), torch.cat(masks)
        return self.encode(tokens, self.rotary(grid, ids))

    def embed(self, clip: Float[Tensor, "B 3 T H W"]) -> Float[Tensor, "B N D"]:
        """Tokens before the first block."""
        return self.patch_embed(clip)

    def rotary(self, grid: TokenGrid, ids: TokenIds) -> RotaryTable:
        """Factors of the tokens ``ids`` by their positions."""
        return rotary_table(grid.positions(ids), self.config.head_width)

    def encode(self, tokens: Float[Tensor, "B K D"], rotary: RotaryTable) -> Float[Tensor, "B K D_out"]:
        """Tokens after blocks and norm."""
        return self.norm(run_blocks(self.blocks, tokens, rotary, recompute=self.config.activation_checkpointing))


def _take(tokens: Float[Tensor, "B N D"], ids: Int64[Tensor, "B K"]) -> Float[Tensor, "B K D"]:
    return tokens.gather(1, ids.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def _check_masks(masks: Sequence[TokenIds], batch_size: int) -> None:
    shapes = [tuple(mask.shape) for mask in masks]
    if not masks or any(len(shape) != 2 or shape[0] != batch_size for shape in shapes):
        raise InputError(f"keep has shapes {shapes} for {batch_size} clips; each mask is [{batch_size}, K] token ids")
    if len({shape[1] for shape in shapes}) > 1:
        raise InputError(f"keep has masks of different lengths, shapes {shapes}; encode each length by itself")
