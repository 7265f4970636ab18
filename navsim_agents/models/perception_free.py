"""Perception-free planner: queries attend to the pooled tokens of a two-frame clip and become poses.

Layout of the paper (section 3.2) with the sizes and the post-norm transformer of its released code.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from navsim_agents.common.conventions import DRIVING_COMMANDS, NUM_CLIP_FRAMES
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.errors import InputError
from navsim_agents.models.config import PlannerConfig
from navsim_agents.models.encoders import AnyEncoder
from navsim_agents.models.pictures import PixelNormalize

STATUS_DIM = len(DRIVING_COMMANDS) + 4
"""Driving command 4 (one-hot), velocity 2 [m/s], acceleration 2 [m/s^2]."""
COMMAND_DIM = len(DRIVING_COMMANDS)
POSE_DIM = 3
POOL = 2
"""Tokens are averaged over POOL x POOL patches."""


def poses_from_head(raw: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """x, y [m] as they come; heading = pi · tanh, so it lies in [-pi, pi] rad."""
    return torch.cat((raw[..., XY], math.pi * torch.tanh(raw[..., HEADING:])), dim=-1)


class PerceptionFreePlanner(nn.Module):
    """Video encoder, 2 x 2 average pool, projector, one status token, transformer with one query a pose, head."""

    def __init__(self, encoder: AnyEncoder, image_size: tuple[int, int], config: PlannerConfig) -> None:
        """Put a planner behind ``encoder``.

        Args:
            encoder: becomes part of the planner.
            image_size: height and width [px] of the two frames; whole patches, an even number of them on each side.
            config: sizes of the planner.

        Raises:
            InputError: the image cannot be cut into such patches.
        """
        super().__init__()
        self.grid = pooled_grid_source(encoder, image_size)
        self.sees_motion = config.sees_motion
        num_tokens = self.grid[0] * self.grid[1] // POOL**2 + 1
        self.pixel_normalize = PixelNormalize()
        self.encoder = encoder
        self.projector = nn.Linear(encoder.config.token_width, config.model_dim)
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

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.projector.weight.dtype

    def forward(self, images: UInt8[Tensor, "B 2 3 H W"], status: Float[Tensor, "B 8"]) -> Float[Tensor, "B T 3"]:
        """Plan poses (x, y, heading) [m, m, rad] in the ego frame of now.

        Args:
            images: RGB frames, the previous one first.
            status: one-hot command, velocity [m/s], acceleration [m/s^2].
        """
        keys_values = self.scene_tokens(images, status)
        queries = self.query_embedding.expand(len(images), -1, -1)  # [B, T, D]
        return self.decode(self.transformer(src=keys_values, tgt=queries))

    def scene_tokens(
        self, images: UInt8[Tensor, "B 2 3 H W"], status: Float[Tensor, "B 8"]
    ) -> Float[Tensor, "B tokens D"]:
        """Pooled image tokens, then the status token, each with its learned embedding added."""
        image_tokens = self.projector(self.image_tokens(images))
        if not self.sees_motion:
            status = nn.functional.pad(status[:, :COMMAND_DIM], (0, STATUS_DIM - COMMAND_DIM))
        status_token = self.status_projector(status.to(self.dtype)).unsqueeze(1)  # [B, 1, D]
        return torch.cat((image_tokens, status_token), dim=1) + self.kv_embedding

    def image_tokens(self, images: UInt8[Tensor, "B 2 3 H W"]) -> Float[Tensor, "B pooled C"]:
        """Pooled tokens of the encoder."""
        clip = self.pixel_normalize(images.transpose(1, 2))  # [B, 3, 2, H, W]
        return self.pool(self.encoder(clip.to(self.dtype)))

    def pool(self, tokens: Float[Tensor, "B grid C"]) -> Float[Tensor, "B pooled C"]:
        """Average each 2 x 2 block of the row-major token grid."""
        planes = tokens.transpose(1, 2).unflatten(2, self.grid)  # [B, C, rows, columns]
        return nn.functional.avg_pool2d(planes, POOL).flatten(2).transpose(1, 2)

    def decode(self, decoded: Float[Tensor, "B T D"]) -> Float[Tensor, "B T 3"]:
        """Poses of the queries, kept out of autocast: in bfloat16 a pose 30 m away is off by up to 0.06 m."""
        with torch.autocast(decoded.device.type, enabled=False):
            return poses_from_head(self.head(decoded.to(self.dtype)))


def pooled_grid_source(encoder: AnyEncoder, image_size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the token grid that is pooled.

    Raises:
        InputError: the image has no whole patches, or an odd number of them on a side.
    """
    height, width = image_size
    grid = encoder.config.grid(NUM_CLIP_FRAMES, height, width)
    if grid.rows % POOL or grid.columns % POOL:
        raise InputError(
            f"an image of {height}x{width} px has {grid.rows}x{grid.columns} patches; to be pooled "
            f"{POOL}x{POOL} both must be even: choose sides that are multiples of {POOL * encoder.config.patch_size} px"
        )
    return grid.rows, grid.columns
