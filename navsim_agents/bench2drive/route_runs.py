"""The official evaluation, one route a process: what is driven survives any end, and a crash of one route costs one.

The benchmark's own resuming goes back to the first route of a file that failed and repeats everything after it, so each
route has a file, a result file and a log of its own here.
"""

from __future__ import annotations

import os
import queue
import shlex
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from navsim_agents.bench2drive.records import read_records
from navsim_agents.bench2drive.routes import Route, write_routes
from navsim_agents.common.own_packages import HOME
from navsim_agents.common.processes import run_on_threads
from navsim_agents.errors import InputError

TEAM_AGENT = Path(__file__).resolve().with_name("team_agent.py")
EVALUATOR = "leaderboard/leaderboard/leaderboard_evaluator.py"
PORT_STEP = 150  # between the ports of tasks, as in the benchmark's own scripts
DONE, CRASHED, MISSING = "done", "crashed", "missing"
LOOK_EVERY_S = 0.5
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Benchmark:
    """Where the benchmark lies and how it is to be run."""

    root: Path  # clone of Thinklab-SJTU/Bench2Drive
    carla_root: Path
    evaluator: Path
    python: str
    team_config: str
    base_port: int
    base_tm_port: int
    timeout_s: Optional[float] = None  # of a whole route


@dataclass(frozen=True)
class Task:
    """A place where one route is driven at a time."""

    number: int
    gpu: int


class RouteFolder:
    """Files of a run: ``routes/``, ``results/``, ``saved/`` (SAVE_PATH) and ``logs/``."""

    def __init__(self, folder: Path) -> None:
        """In ``folder``."""
        self.folder = folder.resolve()
        self.results, self.saved = self.folder / "results", self.folder / "saved"

    def route(self, route: Route) -> Path:
        """Its route file."""
        return self.folder / "routes" / f"{route.number}.xml"

    def result(self, route: Route) -> Path:
        """Its CHECKPOINT_ENDPOINT."""
        return self.results / f"{route.number}.json"

    def log(self, route: Route) -> Path:
        """What the evaluator said of the last try."""
        return self.folder / "logs" / f"{route.number}.log"

    def prepare(self, routes: Sequence[Route]) -> None:
        """Write a route file for each, and make the other folders."""
        for route in routes:
            write_routes(self.route(route), [route])
        for folder in (self.results, self.saved, self.folder / "logs"):
            folder.mkdir(parents=True, exist_ok=True)

    def state(self, route: Route) -> str:
        """Whether a route is done, was crashed, or has no result."""
        try:
            records = [record for record in read_records(self.result(route)) if record.number == route.number]
        except InputError:
            return MISSING
        if not records:
            return MISSING
        return CRASHED if all(record.is_crashed for record in records) else DONE


def environment(benchmark: Benchmark, folder: RouteFolder, route: Route, task: Task) -> dict[str, str]:
    """What the evaluator reads from its environment, beside what is there already."""
    root, carla = benchmark.root, benchmark.carla_root
    paths = [root / "leaderboard", root / "leaderboard" / "team_code", root / "scenario_runner"]
    paths += [carla / "PythonAPI", carla / "PythonAPI" / "carla", HOME]
    given = os.environ.get("PYTHONPATH")
    return {
        "CARLA_ROOT": str(carla),
        "SCENARIO_RUNNER_ROOT": str(root / "scenario_runner"),
        "LEADERBOARD_ROOT": str(root / "leaderboard"),
        "PYTHONPATH": os.pathsep.join([*map(str, paths), *([given] if given else [])]),
        "IS_BENCH2DRIVE": "True",
        "PLANNER_TYPE": "traj",
        "ROUTES": str(folder.route(route)),
        "TEAM_AGENT": str(TEAM_AGENT),
        "TEAM_CONFIG": benchmark.team_config,
        "CHECKPOINT_ENDPOINT": str(folder.result(route)),
        "SAVE_PATH": str(folder.saved),
        "GPU_RANK": str(task.gpu),
        "CUDA_VISIBLE_DEVICES": str(task.gpu),
        "PORT": str(benchmark.base_port + PORT_STEP * task.number),
        "TM_PORT": str(benchmark.base_tm_port + PORT_STEP * task.number),
    }


def command_line(benchmark: Benchmark, variables: Mapping[str, str]) -> list[str]:
    """The evaluator's command; ``--resume`` is left out, for any text there means yes."""
    options = {
        "routes": variables["ROUTES"],
        "repetitions": "1",
        "track": "SENSORS",
        "checkpoint": variables["CHECKPOINT_ENDPOINT"],
        "agent": variables["TEAM_AGENT"],
        "agent-config": variables["TEAM_CONFIG"],
        "debug": "0",
        "port": variables["PORT"],
        "traffic-manager-port": variables["TM_PORT"],
        "gpu-rank": variables["GPU_RANK"],
    }
    return [benchmark.python, str(benchmark.evaluator), *(f"--{name}={value}" for name, value in options.items())]


def shell_lines(benchmark: Benchmark, folder: RouteFolder, routes: Sequence[Route], tasks: Sequence[Task]) -> str:
    """A shell script of a line a route, those of the routes that are not done; tasks take turns."""
    lines = ["#!/bin/sh", f"cd {shlex.quote(str(benchmark.root))}"]
    for at, route in enumerate(route for route in routes if folder.state(route) != DONE):
        variables = environment(benchmark, folder, route, tasks[at % len(tasks)])
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        lines.append(f"env {settings} {shlex.join(command_line(benchmark, variables))}")
    return "\n".join(lines) + "\n"


class Runner:
    """Drives routes on several tasks at once until each is done or has been tried often enough."""

    def __init__(self, benchmark: Benchmark, folder: RouteFolder, attempts: int) -> None:
        """With so many tries of a route that crashes."""
        self._benchmark, self._folder, self._attempts = benchmark, folder, attempts
        self._waiting: queue.SimpleQueue[Route] = queue.SimpleQueue()
        self._tries: Counter[str] = Counter()
        self._children: set[subprocess.Popen[bytes]] = set()
        self._lock, self._has_ended = threading.Lock(), threading.Event()

    def run(self, routes: Sequence[Route], tasks: Sequence[Task]) -> dict[str, str]:
        """Id of each route → its state at the end. Whatever ends this ends the evaluators, too."""
        for route in routes:
            if self._folder.state(route) != DONE:
                self._waiting.put(route)
        free: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in tasks:
            free.put(task)
        try:
            with interrupted_by_terminate():
                run_on_threads(lambda: self._work(free.get()), len(tasks))
        finally:
            self._end_all()
        return {route.number: self._folder.state(route) for route in routes}

    def _work(self, task: Task) -> None:
        try:
            while not self._has_ended.is_set():
                try:
                    route = self._waiting.get_nowait()
                except queue.Empty:
                    return
                self._try(route, task)
        except BaseException:
            self._end_all()  # the other threads wait for their children
            raise

    def _try(self, route: Route, task: Task) -> None:
        self._tries[route.number] += 1
        attempt = f"try {self._tries[route.number]} of {self._attempts}"
        print(f"route {route.scene}: {attempt}, GPU {task.gpu}", flush=True)
        self._evaluate(route, task)
        if self._has_ended.is_set():
            return
        state = self._folder.state(route)
        if state != DONE:
            print(f"route {route.scene}: {state}; see {self._folder.log(route)}", flush=True)
            if self._tries[route.number] < self._attempts:
                self._waiting.put(route)

    def _evaluate(self, route: Route, task: Task) -> None:
        variables = environment(self._benchmark, self._folder, route, task)
        line = command_line(self._benchmark, variables)
        with self._folder.log(route).open("wb") as log:
            with self._lock:
                if self._has_ended.is_set():
                    return
                child = subprocess.Popen(
                    line,
                    cwd=self._benchmark.root,  # the evaluator looks for files of its own by relative paths
                    env={**os.environ, **variables},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._children.add(child)
            self._wait(child)

    def _wait(self, child: subprocess.Popen[bytes]) -> None:
        waited, longest = 0.0, self._benchmark.timeout_s
        while child.poll() is None:
            try:
                child.wait(LOOK_EVERY_S)
            except subprocess.TimeoutExpired:
                waited += LOOK_EVERY_S
                if longest is not None and waited >= longest:
                    print(f"a route took more than {longest:g} s and is ended", flush=True)
                    end_group(child)
        with self._lock:
            self._children.discard(child)

    def _end_all(self) -> None:
        self._has_ended.set()
        with self._lock:
            children = list(self._children)
        for child in children:
            end_group(child)


@contextmanager
def interrupted_by_terminate() -> Iterator[None]:
    """Inside, SIGTERM does what Ctrl-C does, so that the evaluators end, too; on another thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and the group: first kindly, so that it can stop its CARLA server."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(PATIENCE_S)
        except (ProcessLookupError, PermissionError):
            return
        except subprocess.TimeoutExpired:
            continue
