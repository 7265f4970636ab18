"""Settings of the probe, and the encoders that it compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Union

from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least
from navsim_agents.errors import InputError
from navsim_agents.evaluation.encoder_weights import RANDOM
from training.config import CacheConfig, DataConfig, ParamsConfig, TrainConfig

WEIGHTS = "weights"
PLANNER, LINEAR_FIT = MEASURES = ("planner", "linear_fit")


@dataclass(frozen=True)
class TestConfig:
    """The logs that no planner learns from."""

    root: str = field(metadata=READS)
    split: str = "test"
    frame_interval: int = field(default=1, metadata=at_least(1))
    max_scenes: int = field(default=0, metadata=at_least(0))  # evenly spaced over the split; 0 takes all

    __test__ = False  # its name begins with Test, but it is none of pytest's


@dataclass(frozen=True)
class Candidate:
    """One encoder of the comparison."""

    weights: Union[str, list[str]]  # checkpoint, or random; or one of these a seed
    settings: dict[str, Any]  # keys of the agent's config that differ from the other encoders'

    @classmethod
    def of(cls, name: str, entry: Any) -> Candidate:
        """The entry of ``encoders`` that is called ``name``: weights, or a mapping of weights and settings.

        Raises:
            InputError: it is neither.
        """
        if _are_weights(entry):
            return cls(entry, {})
        if not isinstance(entry, Mapping) or not _are_weights(entry.get(WEIGHTS)):
            raise InputError(
                f"encoders.{name}={entry!r} names no weights; give <checkpoint> or {RANDOM}, or a mapping: "
                f"+encoders.{name}={{{WEIGHTS}: <checkpoint>, encoder: {{name: timm:<name>}}}}"
            )
        return cls(entry[WEIGHTS], {key: value for key, value in entry.items() if key != WEIGHTS})

    def weights_of(self, number: int) -> str:
        """Those of the seed that is the ``number``-th."""
        return self.weights if isinstance(self.weights, str) else self.weights[number]


def _are_weights(entry: Any) -> bool:
    several = isinstance(entry, list) and bool(entry) and all(isinstance(path, str) for path in entry)
    return isinstance(entry, str) or several


@dataclass(frozen=True)
class ProbeConfig:
    """Configuration of ``drive-jepa probe``."""

    BELOW: ClassVar[Mapping[str, Any]] = TrainConfig.BELOW

    output: str = field(metadata=WRITES_FOLDER)
    agent: Any  # group of navsim_configs; its encoder is frozen
    data: DataConfig  # what the planners learn from
    test: TestConfig
    cache: CacheConfig  # of pictures, shared by all runs
    encoders: dict[str, Any] = field(default_factory=dict)  # name in the table -> Candidate, as its ``of`` reads it
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    dataloader: ParamsConfig = field(default_factory=ParamsConfig)
    trainer: ParamsConfig = field(default_factory=ParamsConfig)
    baselines: list[str] = field(default_factory=lambda: ["constant_velocity"])
    columns: list[str] = field(default_factory=lambda: ["displacement"])
    measures: list[str] = field(default_factory=lambda: [PLANNER])  # of MEASURES
    threads: int = field(default=0, metadata=at_least(0))

    def __post_init__(self) -> None:
        if not self.encoders or not self.seeds:
            raise InputError(
                f"encoders={self.encoders} and seeds={self.seeds} must both name something: "
                "+encoders.<name>=<checkpoint> or =random, seeds=[0,1,2]"
            )
        for name in self.encoders:
            weights = self.candidate(name).weights
            if isinstance(weights, list) and len(weights) != len(self.seeds):
                raise InputError(
                    f"encoders.{name} has {len(weights)} weights, but there are {len(self.seeds)} seeds; give one a "
                    f"seed, or a single one for all"
                )
        if not self.measures or not set(self.measures) <= set(MEASURES):
            raise InputError(f"measures={self.measures}, but must be some of {', '.join(MEASURES)}")
        if self.test.split == self.data.split and Path(self.test.root).resolve() == Path(self.data.root).resolve():
            raise InputError(
                f"the planners would be tested on what they learn from, {self.data.root} ({self.data.split}); "
                "name another test.root or test.split"
            )

    def candidate(self, name: str) -> Candidate:
        """The encoder called ``name``."""
        return Candidate.of(name, self.encoders[name])
