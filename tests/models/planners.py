"""Tiny planners, and scenes that they can look at."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from navsim_agents.models.config import QUIRKS_OF_RELEASED_VIT_L, PlanSampling, ProposalConfig, Quirks
from navsim_agents.models.encoders import build_encoder
from navsim_agents.models.picture_backbone import FrontVideoBackbone
from navsim_agents.models.pictures import GridMask
from navsim_agents.models.proposals import ProposalPlanner

IMAGE_SIZE = (32, 96)
CONFIG = ProposalConfig(
    model_dim=24,
    num_heads=2,
    ffn_dim=40,
    num_proposals=5,
    num_stages=4,
)
SAMPLING = PlanSampling(num_poses=3, steps_per_pose=2)
QUIRKS = QUIRKS_OF_RELEASED_VIT_L


def shake(module: nn.Module, seed: int = 0, scale: float = 0.2) -> None:
    """Move every weight off its start, where offsets and attention weights do not depend on the query."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)


def make_planner(quirks: Quirks = QUIRKS, **changes: Any) -> ProposalPlanner:
    """A planner whose proposals lie 10 m or so ahead, with the quirks of released weights."""
    torch.manual_seed(0)
    config = replace(CONFIG, **changes)
    backbone = FrontVideoBackbone(build_encoder("tiny", IMAGE_SIZE), IMAGE_SIZE, config.model_dim, GridMask(0.5, 0.7))
    planner = ProposalPlanner(backbone, config, quirks, SAMPLING)
    shake(planner.refiner.attention)
    with torch.no_grad():
        planner.refiner.decoder[-1].bias += torch.tensor([10.0, 0.0, 0.0])
    return planner.eval()


def camera_from_ego(yaw: float = 0.0) -> Tensor:
    """A camera [4, 4] of NAVSIM's size on the roof, turned left by ``yaw`` [rad]."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    axes = torch.tensor([[sin, -cos, 0.0, 0.0], [0.0, 0.0, -1.0, 1.6], [cos, sin, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    intrinsics = torch.tensor(
        [[1545.0, 0.0, 960.0, 0.0], [0.0, 1545.0, 560.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    )
    return intrinsics @ axes


def make_inputs(yaws: tuple[float, ...] = (0.0, 0.4, math.pi)) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, ego vectors and projections of one scene for each yaw of its camera."""
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (len(yaws), 2, 3, *IMAGE_SIZE), generator=generator, dtype=torch.uint8)
    projections = torch.stack([camera_from_ego(yaw) for yaw in yaws]).unsqueeze(1)
    return pictures, torch.randn(len(yaws), 11, generator=generator), projections
