"""V-JEPA 2.1's objective: guess four levels of features, of the masked tokens and, with less weight, the visible ones.

Loss = mean |z - h| over the masked tokens + weight · mean (|z - h| / √distance) over the visible ones, where h are four
levels of the averaged encoder's features, each layer-normed, and distance [tokens] is that to the nearest masked token.
Only what the training code of the g and G sizes says is here; B and L were distilled by code that is not public. Half
of its processes train on single images, which no data set here has.
"""

from __future__ import annotations

from typing import Optional

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor
from torch.nn import functional

from navsim_agents.errors import InputError
from navsim_agents.models.masks import Masks
from navsim_agents.models.predictor_21 import Predictor21Config
from navsim_agents.models.transformer import TokenGrid
from navsim_agents.models.video_encoder import VideoEncoderConfig
from navsim_agents.models.video_encoder_21 import NUM_LEVELS, VideoEncoder21Config
from navsim_agents.models.video_jepa import TARGET_NORM_EPS, VideoJepa, masked_l1


class VideoJepa21(VideoJepa):
    """Encoder and predictor of V-JEPA 2.1, and the moving average that they learn from.

    Attributes:
        context_weight: of the visible tokens' loss in this step.
        weighs_distance: divide a visible token's loss by the root of its distance to the nearest masked one.
    """

    def __init__(self, encoder: VideoEncoderConfig, predictor: Predictor21Config) -> None:
        """Build the networks with fresh weights.

        Raises:
            InputError: the encoder is not of V-JEPA 2.1, or does not give all levels.
        """
        if not isinstance(encoder, VideoEncoder21Config) or encoder.num_levels != NUM_LEVELS:
            raise InputError(
                f"model.objective=vjepa21 learns {NUM_LEVELS} levels, which an encoder of {encoder.GENERATION} with "
                f"{encoder.token_width // encoder.width} has not; set model.encoder=vjepa21_…"
            )
        super().__init__(encoder, predictor)
        self.context_weight = 0.0
        self.weighs_distance = True

    def family_loss(
        self, predicted: Float[Tensor, "B P D"], targets: Float32[Tensor, "B N D"], mask: Masks, grid: TokenGrid
    ) -> Float32[Tensor, ""]:
        """Of the masked tokens, and weighted of the visible ones, which the predictor answers first."""
        seen, guessed = predicted.split((mask.context.shape[1], mask.target.shape[1]), dim=1)
        distances = nearest_masked(grid, *mask) if self.weighs_distance else None
        seen_loss = seen_l1(seen, targets, mask.context, distances)
        return masked_l1(guessed, targets, mask.target) + self.context_weight * seen_loss

    @torch.no_grad()
    def targets(self, pixels: Float32[Tensor, "B 3 T H W"]) -> Float32[Tensor, "B N D"]:
        """Four levels of all tokens by the averaged encoder; each level of a token has mean 0 and variance 1."""
        levels = self.target_encoder(pixels).float().unflatten(-1, (NUM_LEVELS, -1))
        return functional.layer_norm(levels, levels.shape[-1:], eps=TARGET_NORM_EPS).flatten(-2)


def nearest_masked(
    grid: TokenGrid, context_ids: Int64[Tensor, "B K"], target_ids: Int64[Tensor, "B M"]
) -> Float32[Tensor, "B K"]:
    """Distance [tokens; a time step counts as one] of every context token to the nearest target token."""
    context, target = (grid.positions(ids).float() for ids in (context_ids, target_ids))
    return torch.cdist(context, target).amin(dim=-1)


def seen_l1(
    features: Float[Tensor, "B K D"],
    targets: Float32[Tensor, "B N D"],
    ids: Int64[Tensor, "B K"],
    distances: Optional[Float32[Tensor, "B K"]],
) -> Float32[Tensor, ""]:
    """Mean |feature - target| at ``ids``, each token's divided by the root of its distance where there are any."""
    wanted = targets.gather(1, ids.unsqueeze(-1).expand(-1, -1, targets.shape[-1]))
    per_token = (features.float() - wanted).abs().mean(dim=-1)
    return (per_token if distances is None else per_token / distances.sqrt()).mean()
