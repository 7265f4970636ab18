"""What is driven by whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from navsim_agents.common.conventions import WORLD_STEP_S
from navsim_agents.common.settings import READS, SEED, WRITES_FOLDER, at_least, within
from navsim_agents.drive_jepa.runs import BEST, LAST
from navsim_agents.errors import InputError
from navsim_agents.world.config import NUM_VEHICLES, ClipPictures
from navsim_agents.world.town_styles import TOWN_LOCATIONS

CONSTANT_VELOCITY, EXPERT, REFERENCE_DRIVER = "constant_velocity", "expert", "reference_driver"
BASELINES = (CONSTANT_VELOCITY, EXPERT, REFERENCE_DRIVER)
STEP_SLACK = 1e-6
MOST_PORTS = 65_535


@dataclass(frozen=True)
class DriveLoopConfig:
    """Settings of ``drive-jepa drive``."""

    output: str = field(metadata=WRITES_FOLDER)
    baselines: list[str] = field(default_factory=lambda: list(BASELINES))
    runs: dict[str, str] = field(
        default_factory=dict, metadata=READS
    )  # name in the table -> output of drive-jepa train
    run_settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # of a run: agent's config keys that differ
    weights: str = BEST  # of the runs; or last
    served: dict[str, str] = field(default_factory=dict)  # name in the table -> host:port of drive-jepa serve
    routes: int = field(default=60, metadata=at_least(1))
    towns: list[str] = field(default_factory=lambda: ["us-ma-boston", "us-nv-las-vegas-strip"])
    world_seed: int = field(default=1, metadata=SEED)  # of the towns; the demo trains in those of its seed, 0
    seed: int = field(default=0, metadata=SEED)  # of routes and traffic
    vehicles: int = field(default=NUM_VEHICLES, metadata=at_least(0))  # that move near each route
    textures: bool = False  # in pictures, as of drive-jepa world
    jpeg_quality: int = field(default=90, metadata=within(0, 100))  # through which pictures go; 0: as rendered
    clips: ClipPictures = field(default_factory=ClipPictures)  # of runs that learnt from clips of Bench2Drive
    replan_s: float = field(default=0.5, metadata=within(0.1, 1.0))  # from a plan to the next
    restart_after_s: float = field(default=0.0, metadata=within(0.0, 50.0))  # runs that stand drive on then; 0: never
    time_limit_s: float = field(default=200.0, metadata=within(1.0, 1000.0))  # of a route
    films: list[str] = field(default_factory=list)  # names of routes
    workers: int = field(default=1, metadata=at_least(1))  # processes

    def __post_init__(self) -> None:
        unknown = sorted(set(self.baselines) - set(BASELINES))
        if unknown:
            raise InputError(f"baselines {unknown} are unknown; choose from {', '.join(BASELINES)}")
        strange = sorted(set(self.towns) - set(TOWN_LOCATIONS))
        if strange or not self.towns or len(set(self.towns)) < len(self.towns):
            raise InputError(f"towns={self.towns}, but must be some of {', '.join(TOWN_LOCATIONS)}, each once")
        if not self.agents:
            raise InputError("nobody drives; name baselines, runs or served drivers")
        self._check_names()
        self._check_runs()
        steps = self.replan_s / WORLD_STEP_S
        if abs(steps - round(steps)) > STEP_SLACK:
            raise InputError(f"replan_s={self.replan_s}, but the world's steps last {WORLD_STEP_S} s; take a multiple")

    def _check_names(self) -> None:
        for kind, named, others in (
            ("runs", self.runs, BASELINES),
            ("served drivers", self.served, (*BASELINES, *self.runs)),
        ):
            taken = sorted(set(named) & set(others))
            if taken:
                owners = "baselines" if set(taken) <= set(BASELINES) else "runs"
                raise InputError(f"{kind} are called {taken}, as are {owners}; give each row a name of its own")
            bad = [name for name in named if not name or "/" in name or name.startswith(".")]
            if bad:
                raise InputError(
                    f"{kind} are called {bad}, but each name is a folder's, too; leave out / and leading dots"
                )
        for name, target in self.served.items():
            host, _, port = target.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) <= MOST_PORTS:
                raise InputError(f"served.{name}={target!r}, but must be host:port, such as localhost:50051")

    def _check_runs(self) -> None:
        strange = sorted(set(self.run_settings) - set(self.runs))
        if strange:
            raise InputError(f"run_settings are given for {strange}, but runs holds {sorted(self.runs)}; name one")
        if self.weights not in (BEST, LAST):
            raise InputError(f"weights={self.weights!r}, but must be {BEST} or {LAST}")

    @property
    def agents(self) -> list[str]:
        """Rows of the table."""
        return [*self.baselines, *self.runs, *self.served]

    @property
    def replan_steps(self) -> int:
        """Steps of 0.1 s from a plan to the next."""
        return round(self.replan_s / WORLD_STEP_S)

    def identity(self, agent: str) -> Mapping[str, Any]:
        """What must not change between two runs into the same folder, for what ``agent`` has driven to be kept."""
        world = ("towns", "world_seed", "seed", "routes", "vehicles", "replan_s", "time_limit_s")
        pictures = ("textures", "jpeg_quality") if agent in self.runs or agent in self.served else ()
        found = {name: getattr(self, name) for name in (*world, *pictures)}
        if agent in self.runs:
            found.update(weights=self.weights, run=self.runs[agent], run_settings=self.run_settings.get(agent, {}))
            if self.restart_after_s:
                found.update(restart_after_s=self.restart_after_s)
            if self.clips != ClipPictures():  # drives of before this setting do not name it
                found.update(clips=asdict(self.clips))
        if agent in self.served:
            found.update(served=self.served[agent])
        kept: Mapping[str, Any] = json.loads(json.dumps(found))
        return kept
