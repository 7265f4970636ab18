"""Who does the scorer's work: torch on any device, or on the CPU what Numba compiles."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec
from typing import Optional

from navsim_agents.scoring.by_tensors import ByTensors
from navsim_agents.scoring.judged import Engine
from navsim_agents.scoring.scene_batch import SceneBatch

WORTH_COMPILED = 256
"""Trajectories from which on loading compiled code pays."""


def engine_for(batch: SceneBatch, num_trajectories: int) -> Engine:
    """Who scores that many trajectories of a batch in all."""
    if batch.ego_pose.device.type != "cpu" or num_trajectories < WORTH_COMPILED:
        return ByTensors()
    return _compiled() or ByTensors()


@lru_cache(maxsize=1)
def _compiled() -> Optional[Engine]:
    """The compiled engine; None, said once, where there is no Numba."""
    if find_spec("numba") is None:
        warnings.warn(
            "Numba is not installed, so trajectories are scored by torch, which takes several times as long on the "
            "CPU; pip install 'navsim-drive-jepa[fast]' brings it",
            stacklevel=2,
        )
        return None
    from navsim_agents.scoring.compiled.run import Compiled

    return Compiled()
