"""V-JEPA 2.1's predictor: from four levels of the visible tokens to four levels of all."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from navsim_agents.models.predictor import Predictor, PredictorConfig
from navsim_agents.models.transformer import RotaryTable, TokenGrid, rotary_table
from navsim_agents.models.video_encoder_21 import MODALITY_STD, NUM_LEVELS, spread_positions


@dataclass(frozen=True)
class Predictor21Config(PredictorConfig):
    """Sizes of a predictor of V-JEPA 2.1."""

    def build(self, encoder_width: int) -> Predictor21:
        """The predictor behind an encoder of that width (of one level), with fresh weights."""
        return Predictor21(self, encoder_width)

    def joint_products(self, encoder_width: int, num_context: int, num_target: int) -> float:
        """Multiplications of a clip between the encoder's width and this one's, in and out."""
        levels = NUM_LEVELS * encoder_width
        inward = num_context * encoder_width * (levels + self.width)
        return float(inward + (num_context + num_target) * self.width * levels)


class Predictor21(Predictor):
    """State-dict names are V-JEPA 2.1's. Positions are spread over the true grid, as its training configs say."""

    def __init__(self, config: Predictor21Config, encoder_width: int) -> None:
        super().__init__(config, encoder_width)
        for embedding in (self.video_mod_embed, self.img_mod_embed):
            nn.init.normal_(embedding, std=MODALITY_STD)
        self.img_mod_embed.requires_grad_(False)  # nothing here trains on single frames

    def add_embedding(self, encoder_width: int) -> None:
        """From four levels by way of one level's width; marks of clips and of single frames."""
        self.predictor_embed = nn.Sequential(
            nn.Linear(NUM_LEVELS * encoder_width, encoder_width),
            nn.GELU(),
            nn.Linear(encoder_width, self.config.width),
        )
        self.video_mod_embed = nn.Parameter(torch.zeros(1, 1, self.config.width))
        self.img_mod_embed = nn.Parameter(torch.zeros(1, 1, self.config.width))

    def add_projection(self, encoder_width: int) -> None:
        """Masked and visible tokens have a projection each."""
        self.predictor_proj = nn.Linear(self.config.width, NUM_LEVELS * encoder_width)
        self.predictor_proj_context = nn.Linear(self.config.width, NUM_LEVELS * encoder_width)

    def forward(
        self,
        context: Float[Tensor, "B K D"],
        context_ids: Int64[Tensor, "B K"],
        target_ids: Int64[Tensor, "B M"],
        grid: TokenGrid,
        clip_length_group: int = 0,
    ) -> Float[Tensor, "B K_and_M D"]:
        """Features of the context tokens and, after them, of the target tokens; arguments as of the base class."""
        num_context = context.shape[1]
        tokens = self.encode(context, context_ids, target_ids, grid, clip_length_group)
        seen, masked = tokens[:, :num_context], tokens[:, num_context:]
        return torch.cat((self.predictor_proj_context(seen), self.predictor_proj(masked)), dim=1)

    def mark(self, tokens: Float[Tensor, "B N P"]) -> Float[Tensor, "B N P"]:
        """Tokens of a clip, marked as such."""
        return tokens + self.video_mod_embed

    def rotary(self, grid: TokenGrid, ids: Int64[Tensor, "B N"]) -> RotaryTable:
        """Factors of the tokens ``ids`` by their spread positions."""
        head_width = self.config.width // self.config.num_heads
        return rotary_table(spread_positions(grid, ids), head_width, turns_pairs=True)
