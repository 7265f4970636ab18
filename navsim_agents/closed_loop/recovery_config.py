"""Which world of recoveries is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from navsim_agents.common.settings import within
from navsim_agents.errors import InputError
from navsim_agents.world.config import RECOVERIES, WorldConfig


@dataclass(frozen=True)
class RecoveriesConfig(WorldConfig):
    """Settings of ``drive-jepa recoveries``: those of a world, and which of its logs are recoveries."""

    share: float = field(default=0.6, metadata=within(0.0, 1.0))  # of the logs; the others are drives as usual

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.two_stage:
            raise InputError(
                "two_stage=True, but recoveries are there to learn from; write the scenes of an evaluation with "
                "drive-jepa world"
            )

    def identity(self) -> dict[str, Any]:
        """As a world's, which it is no more."""
        return {**super().identity(), RECOVERIES: {"share": self.share}}
