"""Where the scenes of a training come from: NAVSIM's logs, or clips of Bench2Drive, as the agent has it."""

from __future__ import annotations

from typing import Any

from navsim_agents.bench2drive.agent import Bench2DriveAgent
from navsim_agents.data.logs import sensors_of
from navsim_agents.sources import LoggedScenes, SceneSource
from training.config import DataConfig


def source_of(data: DataConfig, agent: Any) -> SceneSource:
    """The scenes at ``data.root``; of clips there are no splits, so ``data.split`` is not read."""
    if isinstance(agent, Bench2DriveAgent):
        return agent.clips(data.root, data.frame_interval)
    return LoggedScenes(data.root, data.split, sensors_of([agent]), data.frame_interval)
