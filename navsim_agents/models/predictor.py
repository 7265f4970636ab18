"""V-JEPA 2's predictor: from the tokens of the visible part of a clip to the features of the masked part."""

from __future__ import annotations

from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class PredictorConfig:
    """Sizes of a predictor; ``presets.predictor_preset`` names the usual ones."""

    width: int
    depth: int
    num_heads: int
    mlp_width: int
    num_mask_tokens: int = 10  # V-JEPA 2's public files hold 10; one a clip length is used
    norm_eps: float = 1e-6
    init_std: float = 0.02
    square_positions: bool = False  # positions as if a frame were rows x rows patches, as the reference computes them
    activation_checkpointing: bool = False

    def __post_init__(self) -> None:
        head_width, rest = divmod(self.width, self.num_heads)
        if rest or head_width % 2 or head_width < 2 * NUM_AXES:
            raise InputError(
                f"predictor width={self.width} over num_heads={self.num_heads} gives heads of {head_width} channels "
                f"and {rest} left over; use a multiple whose heads are even and {2 * NUM_AXES} channels at least"
            )
        if self.num_mask_tokens < 1:
            raise InputError(f"num_mask_tokens={self.num_mask_tokens}, but a predictor needs one at least; set 1 or 10")

    def build(self, encoder_width: int) -> Predictor:
        """The predictor behind an encoder of that width, with fresh weights from torch's global generator."""
        return Predictor(self, encoder_width)

    def joint_products(self, encoder_width: int, num_context: int, num_target: int) -> float:
        """Multiplications of a clip between the encoder's width and this one's, in and out."""
        return float((num_context + num_target) * encoder_width * self.width)


class Predictor(nn.Module):
    """A narrow transformer over context tokens and one mask token per target. State-dict names are V-JEPA 2's."""

    def __init__(self, config: PredictorConfig, encoder_width: int) -> None:
        super().__init__()
        self.config = config
        self.add_embedding(encoder_width)
        self.mask_tokens = nn.ParameterList(
            nn.Parameter(torch.zeros(1, 1, config.width)) for _ in range(config.num_mask_tokens)
        )
        self.predictor_blocks = nn.ModuleList(
            Block(config.width, config.num_heads, config.mlp_width, config.norm_eps) for _ in range(config.depth)
        )
        self.predictor_norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.add_projection(encoder_width)
        init_weights(self, config.init_std)
        rescale_by_depth(self.predictor_blocks)

    def add_embedding(self, encoder_width: int) -> None:
        """Make what leads to the blocks."""
        self.predictor_embed: nn.Module = nn.Linear(encoder_width, self.config.width)

    def add_projection(self, encoder_width: int) -> None:
        """Make what leads back to the encoder's width."""
        self.predictor_proj = nn.Linear(self.config.width, encoder_width)

    def forward(
        self,
        context: Float[Tensor, "B K D"],
        context_ids: Int64[Tensor, "B K"],
        target_ids: Int64[Tensor, "B M"],
        grid: TokenGrid,
        clip_length_group: int = 0,
    ) -> Float[Tensor, "B M D"]:
        """Features of the target tokens, in the order of ``target_ids``.

        Args:
            context: encoder tokens at ``context_ids`` (see ``TokenGrid``).
            context_ids: where they lie.
            target_ids: where the features are wanted.
            grid: tokens of the whole clip.
            clip_length_group: which mask token stands in for the targets; one for each length of clip that is trained
                on, so 0 where there is one length. Numbers beyond the last token start over (V-JEPA 2).
        """
        tokens = self.encode(context, context_ids, target_ids, grid, clip_length_group)
        return self.predictor_proj(tokens[:, context.shape[1] :])

    def encode(
        self,
        context: Float[Tensor, "B K D"],
        context_ids: Int64[Tensor, "B K"],
        target_ids: Int64[Tensor, "B M"],
        grid: TokenGrid,
        clip_length_group: int,
    ) -> Float[Tensor, "B K_and_M P"]:
        """Tokens of context and targets after blocks and norm; arguments as of :meth:`forward`."""
        mask_token = self.mask_tokens[clip_length_group % self.config.num_mask_tokens]
        queries = mask_token.expand(*target_ids.shape, -1)
        known = self.predictor_embed(context)
        tokens = torch.cat((known, queries.to(known.dtype)), dim=1)  # [B, K + M, width]
        ids = torch.cat((context_ids, target_ids), dim=1)
        rotary = self.rotary(self._position_grid(grid), ids)
        recompute = self.config.activation_checkpointing
        return self.predictor_norm(run_blocks(self.predictor_blocks, self.mark(tokens), rotary, recompute=recompute))

    def mark(self, tokens: Float[Tensor, "B N P"]) -> Float[Tensor, "B N P"]:
        """What the blocks see of the tokens: themselves."""
        return tokens

    def rotary(self, grid: TokenGrid, ids: Int64[Tensor, "B N"]) -> RotaryTable:
        """Factors of the tokens ``ids`` by their positions."""
        return rotary_table(grid.positions(ids), self.config.width // self.config.num_heads)

    def _position_grid(self, grid: TokenGrid) -> TokenGrid:
        """The grid that ids are read in; the reference takes every frame for a square one."""
        return replace(grid, columns=grid.rows) if self.config.square_positions else grid
