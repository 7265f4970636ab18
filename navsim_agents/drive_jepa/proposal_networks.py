"""The network that a config of the full planner describes."""

from __future__ import annotations

from navsim_agents.drive_jepa.proposal_config import FOUR_CAMERAS_BACKBONE, ProposalAgentConfig
from navsim_agents.models.encoders import TIMM_PREFIX, build_encoder
from navsim_agents.models.four_cameras import FourCameraBackbone
from navsim_agents.models.picture_backbone import FrontVideoBackbone, PictureBackbone
from navsim_agents.models.pictures import GridMask
from navsim_agents.models.proposals import ProposalPlanner


def build_backbone(config: ProposalAgentConfig) -> PictureBackbone:
    """Encoder and what leads from it to feature maps, with random weights unless timm's are to be downloaded."""
    image_size = (config.image_height, config.image_width)
    mask = GridMask(config.grid_mask_ratio, config.grid_mask_probability)
    if config.backbone == FOUR_CAMERAS_BACKBONE:
        return FourCameraBackbone(
            image_size,
            config.model_dim,
            mask,
            network=config.encoder[len(TIMM_PREFIX) :],
            pretrained=config.encoder_pretrained,
            swapped_channels=config.swapped_channels,
        )
    encoder = build_encoder(
        config.encoder,
        image_size,
        activation_checkpointing=config.activation_checkpointing,
        pretrained=config.encoder_pretrained,
    )
    return FrontVideoBackbone(encoder, image_size, config.model_dim, mask)


def build_planner(config: ProposalAgentConfig) -> ProposalPlanner:
    """Network of ``config`` with random weights."""
    return ProposalPlanner(build_backbone(config), config)
