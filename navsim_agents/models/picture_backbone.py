"""From camera pictures to the feature maps that the proposal planner attends to."""

from __future__ import annotations

from abc import abstractmethod
from typing import Optional

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from navsim_agents.common.conventions import CAMERA_HEIGHT_PX, CAMERA_WIDTH_PX, NUM_CLIP_FRAMES
from navsim_agents.models.deformable import PictureRegion
from navsim_agents.models.encoders import AnyEncoder
from navsim_agents.models.pictures import GridMask, PixelNormalize
from navsim_agents.models.timm_encoder import TimmVideoEncoder

CROPPED_ROWS = 28
"""Cut from the front camera's picture at the top and at the bottom, before it is scaled."""
FRONT_REGION = PictureRegion(0.0, CROPPED_ROWS, CAMERA_WIDTH_PX, CAMERA_HEIGHT_PX - 2 * CROPPED_ROWS)


class PictureBackbone(nn.Module):
    """Base of the backbones.

    Attributes:
        encoder: the pretrained part.
        num_pictures: that it takes for a scene.
        num_cameras: feature maps that it gives.
        region: the part of a camera's picture that a feature map covers.
    """

    encoder: nn.Module
    num_pictures: int
    num_cameras: int
    region: PictureRegion

    @abstractmethod
    def forward(
        self, pictures: UInt8[Tensor, "B F 3 H W"], generator: Optional[torch.Generator] = None
    ) -> Float[Tensor, "B C h w D"]:
        """One feature map a camera; ``generator`` draws the grid mask in training."""


class FrontVideoBackbone(PictureBackbone):
    """Two frames of the front camera through the video encoder, and a linear projector."""

    num_pictures = NUM_CLIP_FRAMES
    num_cameras = 1
    region = FRONT_REGION

    def __init__(self, encoder: AnyEncoder, image_size: tuple[int, int], model_dim: int, grid_mask: GridMask) -> None:
        """Put a projector behind ``encoder``.

        Args:
            encoder: becomes part of the backbone.
            image_size: height and width [px] of the frames.
            model_dim: channels of the features.
            grid_mask: what is hidden of the frames in training.

        Raises:
            InputError: the frames cannot be cut into whole patches.
        """
        super().__init__()
        grid = encoder.config.grid(NUM_CLIP_FRAMES, *image_size)
        self.grid_size = (grid.rows, grid.columns)
        self.pixel_normalize = PixelNormalize()
        self.grid_mask = grid_mask
        self.encoder: AnyEncoder = encoder
        self.projector = nn.Linear(encoder.config.token_width, model_dim)

    def forward(
        self, pictures: UInt8[Tensor, "B 2 3 H W"], generator: Optional[torch.Generator] = None
    ) -> Float[Tensor, "B 1 h w D"]:
        """One feature map, of the frames (the previous one first)."""
        hidden = self.encoder.mean_colour if isinstance(self.encoder, TimmVideoEncoder) else None
        clip = self.grid_mask(self.pixel_normalize(pictures.transpose(1, 2)), generator, hidden)  # [B, 3, 2, H, W]
        tokens = self.projector(self.encoder(clip.to(self.projector.weight.dtype)))
        return tokens.unflatten(1, (1, *self.grid_size))
