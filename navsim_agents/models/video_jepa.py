"""V-JEPA 2's objective: guess the features of masked tokens, as an averaged copy of the encoder sees them.

Loss = mean |P(E(visible tokens), places of the masked ones) - layer-normed Ē(whole clip)| over the masked tokens, where
Ē is the exponential moving average of E and gets no gradient (Drive-JEPA paper, §1).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional

from navsim_agents.models.masks import Masks
from navsim_agents.models.pictures import PixelNormalize
from navsim_agents.models.predictor import PredictorConfig
from navsim_agents.models.transformer import TokenGrid
from navsim_agents.models.video_encoder import VideoEncoderConfig

TARGET_NORM_EPS = 1e-5
"""V-JEPA 2: of the layer norm without weights that targets go through."""


class VideoJepa(nn.Module):
    """Encoder, predictor, and the moving average that they learn from."""

    def __init__(self, encoder: VideoEncoderConfig, predictor: PredictorConfig) -> None:
        super().__init__()
        self.normalize = PixelNormalize()
        self.encoder = encoder.build()
        self.predictor = predictor.build(encoder.width)
        self.target_encoder = copy.deepcopy(self.encoder).requires_grad_(False)

    def forward(
        self, clip: UInt8[Tensor, "B 3 T H W"], masks: Sequence[Masks]
    ) -> tuple[Float32[Tensor, " F"], Float32[Tensor, "B N D"]]:
        """Loss of every mask family, and the target features of the whole clip.

        Args:
            clip: RGB pixels, oldest frame first.
            masks: one item a family, on the device of ``clip``.
        """
        pixels = self.normalize(clip)
        targets = self.targets(pixels)
        grid = self.encoder.config.grid(*clip.shape[2:])
        losses = []
        for mask in masks:
            context = self.encoder(pixels, keep=mask.context)
            predicted = self.predictor(context, mask.context, mask.target, grid)
            losses.append(self.family_loss(predicted, targets, mask, grid))
        return torch.stack(losses), targets

    def family_loss(
        self, predicted: Float[Tensor, "B P D"], targets: Float32[Tensor, "B N D"], mask: Masks, grid: TokenGrid
    ) -> Float32[Tensor, ""]:
        """Loss of one mask family, of what the predictor says: here of the masked tokens alone."""
        return masked_l1(predicted, targets, mask.target)

    @torch.no_grad()
    def targets(self, pixels: Float32[Tensor, "B 3 T H W"]) -> Float32[Tensor, "B N D"]:
        """Features of all tokens by the averaged encoder; each token has mean 0 and variance 1 over its channels."""
        features = self.target_encoder(pixels).float()
        return functional.layer_norm(features, features.shape[-1:], eps=TARGET_NORM_EPS)

    @torch.no_grad()
    def update_target(self, momentum: float) -> None:
        """Ē = momentum · Ē + (1 - momentum) · E, after every optimiser step."""
        for average, online in zip(self.target_encoder.parameters(), self.encoder.parameters()):
            average.lerp_(online, 1.0 - momentum)


def masked_l1(
    predicted: Float[Tensor, "B M D"], targets: Float32[Tensor, "B N D"], target_ids: Int64[Tensor, "B M"]
) -> Float32[Tensor, ""]:
    """Mean |predicted - target| over clips, masked tokens and channels; ``predicted`` lies at ``target_ids``."""
    wanted = targets.gather(1, target_ids.unsqueeze(-1).expand(-1, -1, targets.shape[-1]))
    return (predicted.float() - wanted).abs().mean()
