"""A tiny agent for the tests of this room."""

from __future__ import annotations

from typing import Any, Callable

import pytest
import torch

from navsim_agents.drive_jepa import PerceptionFreeAgent
from tests.drive_jepa.scenes import TINY


@pytest.fixture
def make_agent() -> Callable[..., PerceptionFreeAgent]:
    def make(checkpoint_path: Any = None, encoder_checkpoint_path: Any = None, **config: Any) -> PerceptionFreeAgent:
        torch.manual_seed(config.pop("seed", 0))
        return PerceptionFreeAgent({**TINY, **config}, checkpoint_path, encoder_checkpoint_path, device="cpu")

    return make


@pytest.fixture
def agent(make_agent: Callable[..., PerceptionFreeAgent]) -> PerceptionFreeAgent:
    return make_agent()
