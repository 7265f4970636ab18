"""Random weights that all processes share."""

from __future__ import annotations

from pathlib import Path

import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from navsim_agents.drive_jepa.checkpoints import RECORD, training_record

SEED = 8  # of weights whose best proposal is not always the steady one


def save_weights(name: str, path: Path) -> str:
    """Random weights as a training's checkpoint, and the override that names it."""
    with initialize_config_module("navsim_configs", version_base=None):
        torch.manual_seed(SEED)
        agent = instantiate(compose(overrides=[f"+agent={name}"]).agent)
    weights = {f"agent.{key}": value for key, value in agent.state_dict().items()}
    torch.save({"state_dict": weights, RECORD: training_record(agent.config)}, path)
    return f"agent.checkpoint_path={path}"
