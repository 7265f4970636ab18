"""Backbone of the ResNet34 variant: four cameras of one frame through an image network and one level of a pyramid."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from navsim_agents.common.conventions import CAMERA_WIDTH_PX
from navsim_agents.errors import InputError
from navsim_agents.models.deformable import PictureRegion
from navsim_agents.models.picture_backbone import PictureBackbone
from navsim_agents.models.pictures import GridMask, PixelNormalize
from navsim_agents.models.timm_weights import create_timm_model, load_timm_weights

CAMERAS = ("cam_b0", "cam_f0", "cam_l0", "cam_r0")
"""Order of the pictures and projections."""
NUM_LEVELS = 2
"""Released code: codes for two pyramid levels, though there is one."""


class FeaturePyramidLevel(nn.Module):
    """The deepest level of a feature pyramid (arXiv 1612.03144): a 1 x 1 and a 3 x 3 convolution."""

    def __init__(self, num_channels: int, model_dim: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(num_channels, model_dim, 1)
        self.smooth = nn.Conv2d(model_dim, model_dim, 3, padding=1)

    def forward(self, planes: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        """Features of ``model_dim`` channels."""
        return self.smooth(self.lateral(planes))


class FourCameraBackbone(PictureBackbone):
    """timm network, pyramid level, and learned codes of the camera and the level."""

    num_pictures = len(CAMERAS)
    num_cameras = len(CAMERAS)

    def __init__(
        self,
        image_size: tuple[int, int],
        model_dim: int,
        grid_mask: GridMask,
        *,
        swapped_channels: bool,
        network: str = "resnet34",
        pretrained: bool = False,
        checkpoint_path: Optional[Union[str, Path]] = None,
    ) -> None:
        """Build the network.

        Args:
            image_size: height and width [px] of the pictures: whole camera pictures, scaled alike in x and y. Below,
                they are padded with the mean colour to whole strides of the network.
            model_dim: channels of the features.
            grid_mask: what is hidden of the pictures in training.
            swapped_channels: hand the network (blue, green, red), normalised by the statistics of (red, green, blue),
                as the released code does: it converts "to RGB" what is RGB already.
            network: timm's name of it.
            pretrained: let timm download its weights.
            checkpoint_path: a file of timm's weights for ``network``.

        Raises:
            InputError: no such network.
            CheckpointError: the file does not fit.
        """
        super().__init__()
        encoder = create_timm_model(network, pretrained=pretrained, features_only=True)
        if checkpoint_path is not None:
            load_timm_weights(encoder, checkpoint_path)
        self.encoder: nn.Module = encoder
        stride: int = encoder.feature_info.reduction()[-1]
        height, width = image_size
        if width % stride:
            raise InputError(f"image_width={width} must be a multiple of the {stride} px of {network}")
        self.padding_px = -height % stride
        px = CAMERA_WIDTH_PX / width  # camera pixels per picture pixel
        self.region = PictureRegion(0.0, 0.0, float(CAMERA_WIDTH_PX), (height + self.padding_px) * px)
        self.swapped_channels = swapped_channels
        self.pixel_normalize = PixelNormalize()
        self.grid_mask = grid_mask
        self.neck = FeaturePyramidLevel(encoder.feature_info.channels()[-1], model_dim)
        self.camera_embedding = nn.Parameter(torch.randn(self.num_cameras, model_dim))
        # Only the first level's code is read; the second is kept for the released files' sake.
        self.level_embedding = nn.Parameter(torch.randn(NUM_LEVELS, model_dim))

    def forward(
        self, pictures: UInt8[Tensor, "B 4 3 H W"], generator: Optional[torch.Generator] = None
    ) -> Float[Tensor, "B 4 h w D"]:
        """One feature map for each of ``CAMERAS``."""
        planes = self.normalise(pictures).flatten(0, 1)  # [B 4, 3, H, W]
        planes = self.grid_mask(planes, generator).to(self.camera_embedding.dtype)
        features = self.neck(self.encoder(planes)[-1]).unflatten(0, (-1, self.num_cameras))  # [B, 4, D, h, w]
        return features.permute(0, 1, 3, 4, 2) + self.camera_embedding[:, None, None] + self.level_embedding[0]

    def normalise(self, pictures: UInt8[Tensor, "B 4 3 H W"]) -> Float[Tensor, "B 4 3 Hp W"]:
        """Pictures as the network sees them: channels in its order, normalised, padded below with zeros."""
        if self.swapped_channels:
            pictures = pictures.flip(2)
        normalised = self.pixel_normalize(pictures.transpose(1, 2)).transpose(1, 2)
        return functional.pad(normalised, (0, 0, 0, self.padding_px))
