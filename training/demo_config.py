"""Configuration of ``drive-jepa demo``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from navsim_agents.common.settings import WRITES_FOLDER, at_least
from navsim_agents.errors import InputError


@dataclass(frozen=True)
class WorldSize:
    """How much to drive and render."""

    logs: int = field(metadata=at_least(1))  # drives
    duration_s: float = field(metadata=at_least(1.0))  # of each


@dataclass(frozen=True)
class Pretraining:
    """The video encoder's own training before those of the planners."""

    steps: int = field(default=0, metadata=at_least(0))  # 0: planners start from random weights
    settings: list[str] = field(default_factory=list)  # of drive-jepa pretrain, as on its command line


@dataclass(frozen=True)
class TrainingRun:
    """One training, by the name that its agent has in the table."""

    agent: str  # group file of navsim_configs/agent
    epochs: int = field(metadata=at_least(1))
    batch_size: int = field(default=16, metadata=at_least(1))
    needs_labels: bool = False  # it scores its proposals and has pseudo-teachers
    settings: list[str] = field(default_factory=list)  # of drive-jepa train, as on its command line
    when_planning: dict[str, Any] = field(default_factory=dict)  # keys of the agent's config that differ then


@dataclass(frozen=True)
class Variant:
    """Weights of a training that choose in another way."""

    training: str
    when_planning: dict[str, Any] = field(default_factory=dict)
    in_sequence: bool = False  # as rows of drive-jepa ablate have it


@dataclass(frozen=True)
class DemoConfig:
    """Worlds, pretraining, labels, trainings and the evaluation of them all."""

    output: str = field(metadata=WRITES_FOLDER)
    train_world: WorldSize
    test_world: WorldSize
    trainings: dict[str, TrainingRun] = field(default_factory=dict)
    shown: str = ""  # of trainings and variants: whose plans and proposals the pictures show
    imitating: str = ""  # of trainings: the one that is compared with constant velocity
    variants: dict[str, Variant] = field(default_factory=dict)
    pretraining: Pretraining = field(default_factory=Pretraining)
    vocabulary_size: int = field(default=256, metadata=at_least(1))
    seed: int = field(
        default=0, metadata=at_least(0)
    )  # of the training's world; the test's has the next one, so it has other towns and other drives
    workers: int = field(default=2, metadata=at_least(1))  # processes that render, cache, label and train
    threads: int = field(default=2, metadata=at_least(1))  # of torch, in all trainings together
    evaluate: list[str] = field(default_factory=list)  # columns, baselines, weights, … as drive-jepa ablate takes them

    def __post_init__(self) -> None:
        strange = sorted({variant.training for variant in self.variants.values()} - set(self.trainings))
        if strange:
            raise InputError(f"variants name the trainings {strange}, but there are {sorted(self.trainings)}")
        for key, name, known in (
            ("shown", self.shown, {**self.trainings, **self.variants}),
            ("imitating", self.imitating, self.trainings),
        ):
            if name not in known:
                raise InputError(f"{key}={name!r}, but must be one of {', '.join(known)}")

    @property
    def needs_labels(self) -> bool:
        """Whether any training does."""
        return any(run.needs_labels for run in self.trainings.values())
