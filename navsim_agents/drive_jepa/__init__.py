"""The agents: features, targets, planners, losses, optimisers, checkpoints."""

from navsim_agents.drive_jepa.config import PerceptionFreeConfig
from navsim_agents.drive_jepa.perception_free_agent import PerceptionFreeAgent

__all__ = ["PerceptionFreeAgent", "PerceptionFreeConfig"]
