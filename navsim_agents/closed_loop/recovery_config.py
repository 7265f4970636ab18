"""Which world of recoveries is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from navsim_agents.closed_loop.config import DriveLoopConfig
from navsim_agents.common.settings import READS, within
from navsim_agents.drive_jepa.runs import BEST, training_digest
from navsim_agents.errors import InputError
from navsim_agents.world.config import RECOVERIES, WorldConfig

TRAINED = "trained"
OF_RUNS = ("runs", "run_settings", "weights", "run_share")


@dataclass(frozen=True)
class RecoveriesConfig(WorldConfig):
    """Settings of ``drive-jepa recoveries``: those of a world, and which of its logs are recoveries."""

    share: float = field(default=0.6, metadata=within(0.0, 1.0))  # of the logs; the others are drives as usual
    runs: dict[str, str] = field(default_factory=dict, metadata=READS)  # name -> output of drive-jepa train
    run_settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # of a run: agent's config keys that differ
    weights: str = BEST  # of the runs; or last
    run_share: float = field(default=0.5, metadata=within(0.0, 1.0))  # of the recoveries: runs lead

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.run_settings and not self.runs:
            raise InputError(f"run_settings are given for {sorted(self.run_settings)}, but runs is empty; name one")
        if self.runs:
            self.at_the_wheel()  # refuses names, settings and weights
        if self.two_stage:
            raise InputError(
                "two_stage=True, but recoveries are there to learn from; write the scenes of an evaluation with "
                "drive-jepa world"
            )

    def at_the_wheel(self) -> DriveLoopConfig:
        """Who the runs are, and what they are shown.

        Raises:
            InputError: a name, settings or weights that ``drive-jepa drive`` would refuse.
        """
        return at_the_wheel(self.runs, self.run_settings, self.weights, self.textures, self.jpeg_quality)

    def identity(self) -> dict[str, Any]:
        """As a world's, which it is no more."""
        told: dict[str, Any] = {"share": self.share}
        if self.runs:
            told.update({name: getattr(self, name) for name in OF_RUNS})
            told[TRAINED] = digests(self.runs)
        return {**super().identity(), RECOVERIES: told}


def digests(runs: Mapping[str, str]) -> dict[str, str]:
    """What tells each run from another training in its place."""
    return {name: training_digest(Path(run).expanduser()) for name, run in runs.items()}


def at_the_wheel(
    runs: Mapping[str, str], run_settings: Mapping[str, Any], weights: str, textures: bool, jpeg_quality: int
) -> DriveLoopConfig:
    """Who the runs are, and what they are shown: pictures as the world's.

    Raises:
        InputError: a name, settings or weights that ``drive-jepa drive`` would refuse.
    """
    return DriveLoopConfig(
        output="",
        baselines=[],
        runs=dict(runs),
        run_settings=dict(run_settings),
        weights=weights,
        textures=textures,
        jpeg_quality=jpeg_quality,
    )
