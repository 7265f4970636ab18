"""What a training's callbacks and its agent tell one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from torch import Tensor

Key = tuple[Any, ...]


@dataclass(frozen=True)
class StepRecord:
    """What a step says of itself; the callbacks log it."""

    terms: Mapping[str, Tensor] = field(default_factory=dict)  # of the loss, and beside it: scalars, detached
    proposals: Optional[Tensor] = None  # [B, N, T, 3] of the last stage, detached; None of the perception-free planner
    scenes_without_teachers: int = 0


@dataclass
class Progress:
    """Where a training is: the callbacks write the first two, the agent the last."""

    key: Key = ("step", 0)  # names the step, and decides what is drawn at random in it
    total_steps: Optional[int] = None  # optimiser steps of the whole training, where they are known
    step: StepRecord = field(default_factory=StepRecord)  # the last one
