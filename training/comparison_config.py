"""Settings of ``drive-jepa compare-pretrainings``: the table's rows, what they share, and what they learn from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from navsim_agents.common.settings import LARGEST_SEED, READS, WRITES_FOLDER, at_least, within
from navsim_agents.errors import InputError
from navsim_agents.evaluation.encoder_weights import RANDOM
from navsim_agents.evaluation.seeds import SEED
from training.demo_config import Pretraining, WorldSize
from training.world_stages import TEST_FOLDER, TEST_WORLD, TRAIN_FOLDER, TRAIN_WORLD, WorldStages

NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True)
class GivenLogs:
    """Logs with pictures that are there already, to learn from and to test on. Without them, worlds are made."""

    root: Optional[str] = field(default=None, metadata=READS)
    split: str = TRAIN_FOLDER
    test_root: Optional[str] = field(default=None, metadata=READS)
    test_split: str = TEST_FOLDER

    def __post_init__(self) -> None:
        if (self.root is None) != (self.test_root is None):
            raise InputError(
                f"given.root={self.root} with given.test_root={self.test_root}, but they go together; give both, or "
                "neither for the built-in world"
            )


@dataclass(frozen=True)
class ComparisonConfig:
    """Configuration of ``drive-jepa compare-pretrainings``."""

    output: str = field(metadata=WRITES_FOLDER)
    train_world: WorldSize
    test_world: WorldSize
    rows: dict[str, list[str]] = field(default_factory=dict)  # name -> settings of pretrain, after the shared ones
    has_random_row: bool = True  # encoders that learnt nothing, one a seed
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])  # of a pretraining, and of the planner on it
    pretraining: list[str] = field(default_factory=list)  # settings of drive-jepa pretrain that all rows share
    probe: list[str] = field(default_factory=list)  # settings of drive-jepa probe
    world: list[str] = field(default_factory=list)  # settings of drive-jepa world, of both worlds
    world_seed: int = field(default=0, metadata=within(0, LARGEST_SEED - 1))  # the test's world has the next one
    given: GivenLogs = field(default_factory=GivenLogs)
    workers: int = field(default=2, metadata=at_least(1))  # processes that render and index
    threads: int = field(default=1, metadata=at_least(1))  # of torch

    def __post_init__(self) -> None:
        if not self.rows and not self.has_random_row:
            raise InputError("rows={} leaves nothing to compare; name some: +rows.mine=['masks=temporal']")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise InputError(f"seeds={self.seeds} must be one or several different numbers from 0, such as [0,1,2]")
        strange = [name for name in self.rows if not NAME.fullmatch(name) or SEED.search(name) or name == RANDOM]
        if strange:
            raise InputError(f"rows are called {strange}, but names are of letters, digits and _, and not {RANDOM}")

    @property
    def worlds(self) -> WorldStages:
        """The stages that make both worlds."""
        return WorldStages(
            output=Path(self.output),
            train_world=self.train_world,
            test_world=self.test_world,
            pretraining=Pretraining(),
            vocabulary_size=1,
            seed=self.world_seed,
            workers=self.workers,
            threads=self.threads,
            needs_labels=False,
            world=tuple(self.world),
        )

    @property
    def logs(self) -> tuple[str, str, str, str]:
        """Root and split to learn from, root and split of the test."""
        given, output = self.given, Path(self.output)
        if given.root is not None and given.test_root is not None:
            return given.root, given.split, given.test_root, given.test_split
        return str(output / TRAIN_WORLD), TRAIN_FOLDER, str(output / TEST_WORLD), TEST_FOLDER
