"""Settings of ``drive-jepa ablate``: rows of the table, the budget that they share, and what they learn from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from navsim_agents.common.conventions import EPDMS_NAME
from navsim_agents.common.settings import LARGEST_SEED, READS, WRITES_FOLDER, at_least, within
from navsim_agents.drive_jepa.runs import LAST
from navsim_agents.errors import InputError
from navsim_agents.evaluation.agents import Contestants
from navsim_agents.evaluation.seeds import SEED
from training.demo_config import Pretraining, WorldSize
from training.world_stages import WorldStages

ABLATION_FILE = "ablation.json"
WITH_MOMENTUM = {"momentum": {"mode": "on"}}
NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Row:
    """One line of the table: by default the full planner, pretrained and distilled, without momentum."""

    agent: str = "drive_jepa_small"  # group file of navsim_configs/agent
    overrides: list[str] = field(default_factory=list)  # of drive-jepa train, after those that all rows share
    needs_labels: bool = True  # it scores its proposals and has pseudo-teachers
    is_pretrained: bool = True  # its encoder starts from the pretrained one
    when_planning: dict[str, Any] = field(default_factory=dict)  # keys of the agent's config that differ then
    in_sequence: bool = False  # momentum goes on from the plan that was really made, as in the released evaluation
    encoder: Optional[str] = field(default=None, metadata=READS)  # that it starts from, in the place of given.encoder

    def __post_init__(self) -> None:
        if self.encoder is not None and not self.is_pretrained:
            raise InputError(f"encoder={self.encoder} with is_pretrained=false, but it is pretrained; leave one out")


@dataclass(frozen=True)
class Given:
    """What is there already. With ``root`` and ``test_root`` no world is made."""

    root: Optional[str] = field(default=None, metadata=READS)  # logs to learn from, with pictures
    split: str = "trainval"
    scenes: Optional[str] = field(default=None, metadata=READS)  # their scoring scenes
    labels: Optional[str] = field(default=None, metadata=READS)  # of drive-jepa score-vocabulary
    vocabulary: Optional[str] = field(default=None, metadata=READS)  # that was labelled
    encoder: Optional[str] = field(default=None, metadata=READS)  # checkpoint of a pretraining
    test_root: Optional[str] = field(default=None, metadata=READS)  # logs that nothing learns from
    test_split: str = "test"
    test_scenes: Optional[str] = field(default=None, metadata=READS)  # null: those of a built-in world at test_root

    def __post_init__(self) -> None:
        if (self.root is None) != (self.test_root is None):
            raise InputError(
                f"root={self.root} with test_root={self.test_root}, but they must be given together; give both, or "
                "neither for the built-in world"
            )
        if self.root is None:
            return
        assert self.test_root is not None
        if self.split == self.test_split and Path(self.root).resolve() == Path(self.test_root).resolve():
            raise InputError(
                f"test_split={self.test_split} of {self.test_root} is what the rows learn from; name other logs"
            )


@dataclass(frozen=True)
class AblateConfig:
    """Configuration of ``drive-jepa ablate``."""

    output: str = field(metadata=WRITES_FOLDER)  # of the table, and of what is made for it
    train_world: WorldSize
    test_world: WorldSize
    rows: dict[str, Row] = field(default_factory=dict)  # by name, in the table's order
    numbers_of_teachers: list[int] = field(default_factory=list)  # one more row each, such as [0,1,2,4,8]
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    training: list[str] = field(default_factory=list)  # settings of drive-jepa train that all rows share: the budget
    pretraining: Pretraining = field(default_factory=Pretraining)
    vocabulary_size: int = field(default=256, metadata=at_least(1))
    world_seed: int = field(default=0, metadata=within(0, LARGEST_SEED - 1))  # the test's world has the next one
    given: Given = field(default_factory=Given)
    trainings: Optional[str] = field(default=None, metadata=WRITES_FOLDER)  # null: in output, as are the next two
    evaluation: Optional[str] = field(default=None, metadata=WRITES_FOLDER)
    cache: Optional[str] = field(default=None, metadata=WRITES_FOLDER)
    baselines: list[str] = field(default_factory=lambda: ["constant_velocity", "reference_driver", "human"])
    columns: list[str] = field(default_factory=lambda: ["displacement"])
    weights: str = LAST  # of the trainings; or best, by validation
    judged_by: str = EPDMS_NAME  # the column whose differences are told first
    max_scenes: int = field(default=0, metadata=at_least(0))  # of the test, evenly spaced; 0 takes all
    traffic: Optional[str] = None  # of the test's EPDMS, as drive-jepa evaluate has it
    workers: int = field(default=2, metadata=at_least(0))  # trainings at a time; 0: one, in this process
    threads: int = field(default=1, metadata=at_least(1))  # of torch in each training

    def __post_init__(self) -> None:
        if not self.rows and not self.numbers_of_teachers:
            raise InputError("rows={} leaves nothing to train; name some: +rows.mine.agent=drive_jepa_small")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise InputError(f"seeds={self.seeds} must be one or several different numbers from 0, such as [0,1,2]")
        if any(number < 0 for number in self.numbers_of_teachers):
            raise InputError(f"numbers_of_teachers={self.numbers_of_teachers} must not be negative; 0 is none")
        strange = [name for name in self.all_rows if not NAME.fullmatch(name) or SEED.search(name)]
        if strange:
            raise InputError(
                f"rows are called {strange}, but names are of letters, digits, _, . and -, and do not end in -seed<n>"
            )
        Contestants(self.baselines, dict.fromkeys(self.all_rows, ""), weights=self.weights).check()
        self._check_given()

    def _check_given(self) -> None:
        given, rows = self.given, self.all_rows.values()
        lacking = [name for name in ("scenes", "labels", "vocabulary") if getattr(given, name) is None]
        if given.root is not None and lacking and any(row.needs_labels for row in rows):
            raise InputError(
                f"given.{lacking[0]}=null, but with given.root rows that score their proposals need it; give it, or "
                "set rows.<name>.needs_labels=false"
            )
        has_encoder = given.encoder is not None or (given.root is None and self.pretraining.steps > 0)
        if not has_encoder and any(row.is_pretrained and row.encoder is None for row in rows):
            raise InputError(
                "given.encoder=null and no pretraining is made, but rows start from a pretrained encoder; give "
                "given.encoder=…, rows.<name>.encoder=… or pretraining.steps=…, or set rows.<name>.is_pretrained=false"
            )

    @property
    def all_rows(self) -> dict[str, Row]:
        """Rows by name, then those with other numbers of pseudo-teachers: with momentum, as in the paper's table."""
        rows = dict(self.rows)
        for number in self.numbers_of_teachers:
            change = f"agent.config.teachers.number={number}" if number else "agent.config.losses.teacher_weight=0"
            rows[f"teachers_{number}"] = Row(overrides=[change], when_planning=WITH_MOMENTUM, in_sequence=True)
        return rows

    @property
    def world(self) -> WorldStages:
        """The stages that make what is not given."""
        return WorldStages(
            output=Path(self.output),
            train_world=self.train_world,
            test_world=self.test_world,
            pretraining=self.pretraining,
            vocabulary_size=self.vocabulary_size,
            seed=self.world_seed,
            workers=max(1, self.workers),
            threads=max(1, self.workers) * self.threads,
            needs_labels=any(row.needs_labels for row in self.all_rows.values()),
        )

    def folder(self, name: str) -> Path:
        """Where ``trainings``, ``evaluation`` and ``cache`` lie."""
        given = getattr(self, name)
        return Path(self.output) / name if given is None else Path(given)
