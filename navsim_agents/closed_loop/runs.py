"""Every route driven by every agent, in several processes if asked for; what was driven before is kept.

A route's record is written whole when the route is over, in the benchmark's own format, and what the car did before it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from tqdm import tqdm

from navsim_agents.bench2drive.inputs import Bench2DrivePlanner
from navsim_agents.bench2drive.records import (
    RouteRecord,
    metric_info_path,
    read_metric_info,
    read_records,
    write_metric_info,
    write_records,
)
from navsim_agents.closed_loop.clip_planner import ClipPlanner
from navsim_agents.closed_loop.config import CONSTANT_VELOCITY, EXPERT, DriveLoopConfig
from navsim_agents.closed_loop.drive import Driven, drive_route
from navsim_agents.closed_loop.film import Film, film_ending
from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.planners import AgentPlanner, ExpertPlanner, Planner, ReferencePlanner
from navsim_agents.closed_loop.restart import RestartingPlanner
from navsim_agents.closed_loop.routes import Route, pick_routes
from navsim_agents.closed_loop.stage import Stage, StageConfig, place_of
from navsim_agents.common.ending import is_machines_fault
from navsim_agents.common.files import is_there, read_json, reading, write_json, write_text
from navsim_agents.common.locks import driving_alone
from navsim_agents.common.processes import try_jobs
from navsim_agents.drive_jepa.runs import load_agent, training_digest
from navsim_agents.drive_jepa.sequential import SequentialAgent
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.evaluation.agents import has_momentum
from navsim_agents.evaluation.baselines import ConstantVelocity
from navsim_agents.world.generate import REAL
from navsim_agents.world.traffic import TrafficConfig

ROUTES_FOLDER, FILMS_FOLDER, IDENTITY_FILE = "routes", "films", "settings.json"
LOCK_FILE = ".driving"  # no agent is called so


@dataclass(frozen=True)
class DriveTask:
    """One route for one agent."""

    agent: str
    route: Route
    config: DriveLoopConfig

    @property
    def folder(self) -> Path:
        """Of the agent."""
        return Path(self.config.output) / self.agent

    @property
    def record_path(self) -> Path:
        """Of the route's record."""
        return self.folder / ROUTES_FOLDER / f"{self.route.name}.json"

    @property
    def error_path(self) -> Path:
        """Of what an agent said when it crashed."""
        return self.record_path.with_suffix(".error.txt")

    @property
    def film_path(self) -> Optional[Path]:
        """Of the route's film, where it is to be filmed."""
        is_filmed = self.route.name in self.config.films
        return self.folder / FILMS_FOLDER / f"{self.route.name}{film_ending()}" if is_filmed else None


def choose_routes(config: DriveLoopConfig) -> list[Route]:
    """The routes of the settings.

    Raises:
        InputError: there is none, or a film is asked for of one that there is not.
    """
    places = {location: place_of(location, config.world_seed) for location in config.towns}
    routes = pick_routes(places, config.world_seed, config.routes, config.seed)
    strange = sorted(set(config.films) - {route.name for route in routes})
    if strange:
        raise InputError(f"films={strange}, but the routes are {', '.join(route.name for route in routes)}; name those")
    return routes


def drive_all(config: DriveLoopConfig, routes: Sequence[Route]) -> dict[str, list[RouteRecord]]:
    """Drive what is missing, and return every agent's records in the order of the routes.

    Raises:
        InputError: an agent drove there before with other settings, or cannot be loaded or reached; or another process
            drives there.
        WorldDataError: some routes failed; all others are written.
        WorkerError: a process was killed.
    """
    with driving_alone(Path(config.output) / LOCK_FILE):
        return _drive_all(config, routes)


def _drive_all(config: DriveLoopConfig, routes: Sequence[Route]) -> dict[str, list[RouteRecord]]:
    for agent in config.agents:
        _claim(config, agent)
    tasks = [DriveTask(agent, route, config) for agent in config.agents for route in routes]
    load_runs(config)
    open_tasks = [task for task in tasks if finished(task) is None]
    _reach_all(config, {task.agent for task in open_tasks})
    failed: dict[str, BaseException] = {}
    ended = try_jobs(drive_one, open_tasks, config.workers if config.workers > 1 else 0, threads=1)
    for task, future in tqdm(ended, total=len(open_tasks), desc="Driving", unit="route"):
        error = future.exception()
        if error is not None:
            if is_machines_fault(error):
                raise error
            failed[f"{task.route.name} of {task.agent}"] = error
    records = {agent: [read_record(task) for task in tasks if task.agent == agent] for agent in config.agents}
    driven = {agent: [record for record in its if record is not None] for agent, its in records.items()}
    for agent, its in driven.items():
        write_records(Path(config.output) / agent / "results.json", its)
    if failed:
        name, first = min(failed.items(), key=lambda item: item[0])
        raise WorldDataError(
            f"{len(failed)} of {len(tasks)} routes failed ({', '.join(sorted(failed))}), {name} with {first!r}; the "
            "others are written and will be kept when the command runs again"
        ) from first
    return driven


def _claim(config: DriveLoopConfig, agent: str) -> None:
    """Refuse to mix results of two settings in one folder."""
    path = Path(config.output) / agent / IDENTITY_FILE
    asked = dict(config.identity(agent))
    if agent in config.runs:
        asked["trained"] = training_digest(Path(config.runs[agent]).expanduser())
    if path.exists():
        with reading(path):
            found = dict(read_json(path))
        for name in {**asked, **found}:
            before, now = found.get(name), asked.get(name)
            if before != now:
                raise InputError(
                    f"{path.parent} holds routes driven with {name}={before}, but {name}={now} is asked for; "
                    "choose another output, or delete this one"
                )
    write_json(path, asked)


def read_record(task: DriveTask) -> Optional[RouteRecord]:
    """The record of a route, whether it crashed or not; None where there is none that can be read."""
    try:
        records = read_records(task.record_path)
    except InputError:  # missing or damaged: the route is driven again
        return None
    return records[0] if len(records) == 1 else None


def finished(task: DriveTask) -> Optional[RouteRecord]:
    """The record of a route that needs not be driven again: its agent did not crash, and its files are there.

    Record and motion must be readable; a film that is asked for is looked for alone, as it is written whole.
    """
    record = read_record(task)
    if record is None or record.is_crashed:
        return None
    try:
        read_metric_info(metric_info_path(task.folder, record))
    except InputError:  # missing or damaged, as above
        return None
    film = task.film_path
    return record if film is None or is_there(film) else None


def drive_one(task: DriveTask) -> RouteRecord:
    """Drive one route, and write its film, its motion and at last its record."""
    with one_thread():
        driven = _drive(task)
    if driven.error:
        write_text(task.error_path, driven.error + "\n")
    elif task.error_path.exists():
        task.error_path.unlink()
    write_metric_info(metric_info_path(task.folder, driven.record), driven.ticks)
    write_records(task.record_path, [driven.record])
    return driven.record


def _drive(task: DriveTask) -> Driven:
    with _at_the_wheel(task.config, task.agent) as planner:
        return _drive_with(planner, task)


def _drive_with(planner: Planner, task: DriveTask) -> Driven:
    config, route = task.config, task.route
    settings = StageConfig(TrafficConfig(num_vehicles=config.vehicles), time_limit_s=config.time_limit_s)
    stage = Stage(route, *place_of(route.location, route.world_seed), settings)
    witness = witness_of(stage, planner, config, is_filmed=task.film_path is not None)
    if task.film_path is None:
        return drive_route(stage, planner, witness, config.replan_steps, config.time_limit_s)
    with Film(task.film_path, f"{task.agent}: {route.name}") as film:
        return drive_route(stage, planner, witness, config.replan_steps, config.time_limit_s, film.add)


def witness_of(stage: Stage, planner: Planner, config: DriveLoopConfig, is_filmed: bool = False) -> Witness:
    """Who shows ``stage`` to ``planner``; pictures are painted where it, or a film, asks for any."""
    route, painter = stage.route, None
    if planner.cameras or is_filmed:
        painter = REAL.painter(route.location, route.world_seed, config.textures)
    return Witness(stage, planner.cameras, painter, config.jpeg_quality)


@contextmanager
def _at_the_wheel(config: DriveLoopConfig, agent: str) -> Iterator[Planner]:
    """Inside, whoever plans; a served driver has a session, which is over afterwards."""
    if agent not in config.served:
        yield planner_of(config, agent)
        return
    from navsim_agents.closed_loop.served_planner import ServedPlanner  # of an extra

    with ServedPlanner(config.served[agent], config.jpeg_quality) as planner:
        yield planner


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch works on one thread, so that sums come out the same in whatever process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_PLANNERS: dict[str, Planner] = {}
"""Of this process; the last that was asked for alone, as networks are large."""


def planner_of(config: DriveLoopConfig, agent: str) -> Planner:
    """Whoever plans for a row of the table; a run whose momentum is on goes on from what it really planned."""
    key = json.dumps(
        [
            *(agent, config.runs.get(agent), config.run_settings.get(agent), config.weights, asdict(config.clips)),
            config.restart_after_s,
        ],
        default=str,
    )
    if key not in _PLANNERS:
        _PLANNERS.clear()
        _PLANNERS[key] = _make_planner(config, agent)
    return _PLANNERS[key]


def _make_planner(config: DriveLoopConfig, agent: str) -> Planner:
    if agent == EXPERT:
        return ExpertPlanner()
    if agent == CONSTANT_VELOCITY:
        return AgentPlanner(ConstantVelocity())
    if agent not in config.runs:
        return ReferencePlanner()
    settings: Optional[Mapping[str, Any]] = config.run_settings.get(agent)
    loaded = load_agent(config.runs[agent], settings=settings, weights=config.weights)
    planner: Planner
    if isinstance(loaded, Bench2DrivePlanner):
        planner = ClipPlanner(loaded, config.clips)
    else:
        planner = AgentPlanner(SequentialAgent(loaded) if has_momentum(loaded) else loaded)
    return RestartingPlanner(planner, config.restart_after_s) if config.restart_after_s else planner


def load_runs(config: DriveLoopConfig) -> None:
    """Find out before hours of driving that an agent cannot be loaded."""
    for agent in config.runs:
        planner_of(config, agent)


def _reach_all(config: DriveLoopConfig, agents: Collection[str]) -> None:
    """Find out before hours of driving that a served driver cannot be reached; of ``agents``, which have to drive."""
    for agent, target in config.served.items():
        if agent in agents:
            from navsim_agents.closed_loop.served_planner import ServedPlanner

            with ServedPlanner(target, config.jpeg_quality) as planner:
                planner.check()
