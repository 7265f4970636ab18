"""The agents: features, targets, planners, losses, optimisers, checkpoints.

Names are imported when they are first asked for: Hydra reads the defaults of this package at each start of any
application, and they need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from navsim_agents.drive_jepa.config import PerceptionFreeConfig
    from navsim_agents.drive_jepa.perception_free_agent import PerceptionFreeAgent
    from navsim_agents.drive_jepa.proposal_agent import ProposalAgent
    from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig

__all__ = ["PerceptionFreeAgent", "PerceptionFreeConfig", "ProposalAgent", "ProposalAgentConfig"]

_PLACES = {
    "PerceptionFreeAgent": "perception_free_agent",
    "PerceptionFreeConfig": "config",
    "ProposalAgent": "proposal_agent",
    "ProposalAgentConfig": "proposal_config",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value
