"""The kinds of pictures that the full planner may look at: each with its cameras, its feature and its backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from navsim_agents.common.conventions import FRONT_CAMERA
from navsim_agents.drive_jepa.features import FRONT_VIDEO, FrontVideoBuilder
from navsim_agents.drive_jepa.proposal_config import FOUR_CAMERAS_SOURCE, FRONT_VIDEO_SOURCE, ProposalAgentConfig
from navsim_agents.drive_jepa.proposal_features import SURROUND_PICTURES, SurroundPicturesBuilder
from navsim_agents.models.encoders import build_encoder, load_pretrained
from navsim_agents.models.four_cameras import CAMERAS, FourCameraBackbone
from navsim_agents.models.picture_backbone import FrontVideoBackbone, PictureBackbone
from navsim_agents.models.pictures import GridMask
from navsim_agents.models.timm_weights import load_timm_weights


class PictureInput(ABC):
    """One kind of pictures.

    Attributes:
        feature: name of the pictures among the features.
        cameras: that they come from, in the order of the projections.
    """

    feature: ClassVar[str]
    cameras: ClassVar[tuple[str, ...]]

    def __init__(self, config: ProposalAgentConfig) -> None:
        self.config = config

    @abstractmethod
    def builder(self) -> Any:
        """Feature builder of the pictures."""

    @abstractmethod
    def backbone(self) -> PictureBackbone:
        """Encoder and what leads from it to feature maps; random weights unless timm's are to be downloaded."""

    @abstractmethod
    def load_encoder(self, encoder: Any, path: Path) -> str:
        """Read pretrained weights of the encoder alone; says what was read.

        Raises:
            CheckpointError: they are not of this encoder.
        """

    def grid_mask(self) -> GridMask:
        """What is hidden of the pictures in training."""
        return GridMask(self.config.pictures.grid_mask_ratio, self.config.pictures.grid_mask_probability)


class FrontVideoInput(PictureInput):
    """Two frames of the front camera, through a video encoder."""

    feature = FRONT_VIDEO
    cameras = (FRONT_CAMERA,)

    def builder(self) -> Any:
        """Both frames, cropped and resized."""
        return FrontVideoBuilder(self.config.pictures)

    def backbone(self) -> PictureBackbone:
        """Encoder and projector."""
        size, named = self.config.pictures.size, self.config.encoder
        encoder = build_encoder(
            named.name,
            size,
            activation_checkpointing=named.activation_checkpointing,
            pretrained=named.pretrained,
            num_levels=named.levels,
        )
        return FrontVideoBackbone(encoder, size, self.config.planner.model_dim, self.grid_mask())

    def load_encoder(self, encoder: Any, path: Path) -> str:
        """Weights of V-JEPA, Drive-JEPA or ``drive-jepa pretrain``; of timm behind one of its encoders."""
        return load_pretrained(encoder, path, self.config.encoder.entry, self.config.encoder.positions)


class FourCamerasInput(PictureInput):
    """One frame of four cameras, through one of timm's image networks."""

    feature = SURROUND_PICTURES
    cameras = CAMERAS

    def builder(self) -> Any:
        """Whole pictures, resized."""
        return SurroundPicturesBuilder(self.config.pictures, self.cameras)

    def backbone(self) -> PictureBackbone:
        """Network, pyramid level and codes."""
        return FourCameraBackbone(
            self.config.pictures.size,
            self.config.planner.model_dim,
            self.grid_mask(),
            network=self.config.encoder.timm_name,
            pretrained=self.config.encoder.pretrained,
            swapped_channels=self.config.quirks.of(FOUR_CAMERAS_SOURCE).swapped_channels,
        )

    def load_encoder(self, encoder: nn.Module, path: Path) -> str:
        """A file of timm's weights."""
        load_timm_weights(encoder, path)
        return str(path)


KINDS: dict[str, type[PictureInput]] = {FRONT_VIDEO_SOURCE: FrontVideoInput, FOUR_CAMERAS_SOURCE: FourCamerasInput}


def picture_input(config: ProposalAgentConfig) -> PictureInput:
    """The kind that ``config.pictures.source`` names."""
    return KINDS[config.pictures.source](config)
