"""Perception-free planner: queries attend to the pooled tokens of a two-frame clip and become poses.

Layout of the paper (section 3.2) with the sizes and the post-norm transformer of its released code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
STATUS_DIM = 8
"""Driving command 4 (one-hot), velocity 2 [m/s], acceleration 2 [m/s^2]."""
POSE_DIM = 3
POOL = 2
"""Tokens are averaged over POOL x POOL patches."""


@dataclass(frozen=True)
class PlannerConfig:
    """Sizes of the planner behind the video encoder."""

    model_dim: int = 256
    num_heads: int = 8
    ffn_dim: int = 1024
    num_layers: int = 3  # of the transformer's encoder and of its decoder
    dropout: float = 0.0
    num_poses: int = 8

    def __post_init__(self) -> None:
        for name in ("model_dim", "num_heads", "ffn_dim", "num_layers", "num_poses"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.model_dim % self.num_heads:
            raise ValueError(f"model_dim={self.model_dim} must be a multiple of num_heads={self.num_heads}")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout={self.dropout} must be in [0, 1)")


def poses_from_head(raw: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """x, y [m] as they come; heading = pi · tanh, so it lies in [-pi, pi] rad."""
    return torch.cat((raw[..., :2], math.pi * torch.tanh(raw[..., 2:])), dim=-1)


class PerceptionFreePlanner(nn.Module):
    """Video encoder, 2 x 2 average pool, projector, one status token, transformer with one query a pose, head."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, encoder: nn.Module, token_dim: int, grid: tuple[int, int], config: PlannerConfig) -> None:
        """Wrap ``encoder``: [B, 3, 2, H, W] normalised pixels → [B, rows · columns, ``token_dim``] tokens.

        Args:
            encoder: any module with that contract.
            token_dim: width of its tokens.
            grid: its token grid (rows, columns) for one pair of frames; both even.
            config: sizes of the planner.

        Raises:
            ValueError: the grid cannot be pooled.
        """
        super().__init__()
        rows, columns = grid
        if rows % POOL or columns % POOL:
            raise ValueError(
                f"token grid {rows} x {columns} must be even on both sides to be pooled {POOL} x {POOL}; "
                f"choose an image whose sides are multiples of {POOL} patches"
            )
        self.grid = (rows, columns)
        num_tokens = rows * columns // POOL**2 + 1
        self.encoder = encoder
        self.projector = nn.Linear(token_dim, config.model_dim)
        self.status_projector = nn.Linear(STATUS_DIM, config.model_dim)
        self.kv_embedding = nn.Parameter(torch.randn(num_tokens, config.model_dim))
        self.query_embedding = nn.Parameter(torch.randn(config.num_poses, config.model_dim))
        self.transformer = nn.Transformer(
            d_model=config.model_dim,
            nhead=config.num_heads,
            num_encoder_layers=config.num_layers,
            num_decoder_layers=config.num_layers,
            dim_feedforward=config.ffn_dim,
            dropout=config.dropout,
            batch_first=True,
        )
        self.head = nn.Sequential(
            nn.Linear(config.model_dim, config.ffn_dim), nn.ReLU(), nn.Linear(config.ffn_dim, POSE_DIM)
        )
        for name, values in (("pixel_mean", IMAGENET_MEAN), ("pixel_std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1, 1), persistent=False)

    def forward(self, images: UInt8[Tensor, "B 2 3 H W"], status: Float[Tensor, "B 8"]) -> Float[Tensor, "B T 3"]:
        """Plan poses (x, y, heading) [m, m, rad] in the ego frame of now.

        Args:
            images: RGB frames, the previous one first.
            status: one-hot command, velocity [m/s], acceleration [m/s^2].
        """
        keys_values = self.scene_tokens(images, status)
        queries = self.query_embedding.expand(len(images), -1, -1)  # [B, T, D]
        decoded = self.transformer(src=keys_values, tgt=queries)
        return self.decode(decoded)

    def scene_tokens(
        self, images: UInt8[Tensor, "B 2 3 H W"], status: Float[Tensor, "B 8"]
    ) -> Float[Tensor, "B tokens D"]:
        """Pooled image tokens, then the status token, each with its learned embedding added."""
        image_tokens = self.projector(self.pool(self.encoder(self.normalise(images))))
        status_token = self.status_projector(status).unsqueeze(1)  # [B, 1, D]
        return torch.cat((image_tokens, status_token), dim=1) + self.kv_embedding

    def normalise(self, images: UInt8[Tensor, "B 2 3 H W"]) -> Float[Tensor, "B 3 2 H W"]:
        """Grey levels to ImageNet's mean 0 and deviation 1, in the encoder's axis order."""
        pixels = images.transpose(1, 2).to(self.pixel_mean.dtype) / 255.0  # [B, 3, 2, H, W]
        return (pixels - self.pixel_mean) / self.pixel_std

    def pool(self, tokens: Float[Tensor, "B grid C"]) -> Float[Tensor, "B pooled C"]:
        """Average each 2 x 2 block of the row-major token grid."""
        planes = tokens.transpose(1, 2).unflatten(2, self.grid)  # [B, C, rows, columns]
        return nn.functional.avg_pool2d(planes, POOL).flatten(2).transpose(1, 2)

    def decode(self, decoded: Float[Tensor, "B T D"]) -> Float[Tensor, "B T 3"]:
        """Poses of the queries; never in reduced precision, where 30 m would be rounded to 0.25 m."""
        with torch.autocast(decoded.device.type, enabled=False):
            raw = self.head(decoded.to(self.pixel_mean.dtype))
        return poses_from_head(raw)
