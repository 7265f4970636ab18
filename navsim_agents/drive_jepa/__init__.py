"""The agents: features, targets, planners, losses, optimisers, checkpoints."""

from navsim_agents.drive_jepa.config import PerceptionFreeConfig
from navsim_agents.drive_jepa.perception_free_agent import PerceptionFreeAgent
from navsim_agents.drive_jepa.proposal_agent import ProposalAgent
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig

__all__ = ["PerceptionFreeAgent", "PerceptionFreeConfig", "ProposalAgent", "ProposalAgentConfig"]
