"""What NAVSIM's data set and default collation make of some scenes."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import default_collate

from navsim_agents.drive_jepa import ProposalAgent
from tests.drive_jepa.planner_scenes import Drive

Batch = tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]


def planner_batch(agent: ProposalAgent, frames: tuple[int, ...] = (4, 6), **drive: Any) -> Batch:
    """Features and targets of one drive's frames."""
    samples = []
    for scene in (Drive(seed=1, **drive).scene(frame) for frame in frames):
        targets: dict[str, Any] = {}
        for builder in agent.get_target_builders():
            targets.update(builder.compute_targets(scene))
        samples.append((agent.build_features(scene.get_agent_input()), targets))
    return default_collate(samples)
