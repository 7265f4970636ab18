"""Drives Bench2Drive's official routes, one a process, so that a crash costs one.

    drive-jepa bench2drive-routes routes=….xml team_config=RUN benchmark=Bench2Drive carla_root=CARLA output=FOLDER

The same command again drives what is not done yet. ``launch=false`` only writes ``commands.sh``. Afterwards
``drive-jepa bench2drive-table results=[FOLDER/results] save_path=FOLDER/saved …`` gives the figures.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from navsim_agents.bench2drive.route_runs import DONE, EVALUATOR, Benchmark, RouteFolder, Runner, Task, shell_lines
from navsim_agents.bench2drive.routes import Route, read_routes
from navsim_agents.bench2drive.team_config import SEPARATOR, read_team_config
from navsim_agents.common.command import command
from navsim_agents.common.files import write_text
from navsim_agents.common.locks import driving_alone
from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least, within
from navsim_agents.drive_jepa.runs import RESULT_FILE
from navsim_agents.errors import InputError, SettingError

HIGHEST_PORT = 65_000
CARLA_SERVER = "CarlaUE4.sh"  # which the evaluator starts


@dataclass(frozen=True)
class Bench2DriveRoutesConfig:
    """Options of the command, explained in ``conf/bench2drive_routes.yaml``."""

    routes: str = field(metadata=READS)
    team_config: str = field(metadata=READS)
    benchmark: str = field(metadata=READS)
    carla_root: str = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    only: list[str] = field(default_factory=list)
    gpus: list[int] = field(default_factory=lambda: [0])
    tasks_per_gpu: int = field(default=1, metadata=at_least(1))
    attempts: int = field(default=3, metadata=at_least(1))
    timeout_s: Optional[float] = field(default=None, metadata=at_least(1.0))
    launch: bool = True
    python: Optional[str] = None
    evaluator: Optional[str] = field(default=None, metadata=READS)
    base_port: int = field(default=30_000, metadata=within(1024, HIGHEST_PORT))
    base_tm_port: int = field(default=50_000, metadata=within(1024, HIGHEST_PORT))

    def __post_init__(self) -> None:
        """Raises SettingError without a GPU, or on a path that the leaderboard would cut."""
        if not self.gpus or min(self.gpus) < 0:
            raise SettingError(f"gpus={self.gpus}, but must be a list of numbers from 0 on; write gpus=[0]")
        if SEPARATOR in self.team_config:
            raise SettingError(
                f"team_config={self.team_config} holds a '{SEPARATOR}', behind which the leaderboard puts the names of "
                "routes; give it a path without"
            )


def chosen_routes(routes: Sequence[Route], only: Sequence[str]) -> list[Route]:
    """Those that ``only`` names, or all.

    Raises:
        InputError: there is none of a name.
    """
    unknown = sorted(set(only) - {route.number for route in routes})
    if unknown:
        raise InputError(f"only={unknown}, but the route file has no such routes; there is {routes[0].number}, …")
    return [route for route in routes if not only or route.number in only]


def benchmark_of(config: Bench2DriveRoutesConfig) -> Benchmark:
    """Where everything is.

    Raises:
        InputError: the evaluator or CARLA's server is not there, or TEAM_CONFIG is no agent's.
    """
    root = Path(config.benchmark).resolve()
    evaluator = root / EVALUATOR if config.evaluator is None else Path(config.evaluator).resolve()
    if not evaluator.is_file():
        raise InputError(f"{evaluator} is not there; set benchmark to a clone of Thinklab-SJTU/Bench2Drive")
    if not (Path(config.carla_root) / CARLA_SERVER).is_file():
        raise InputError(f"{config.carla_root} holds no {CARLA_SERVER}; set carla_root to the folder of CARLA 0.9.15")
    team_config = Path(config.team_config).resolve()
    run = read_team_config(str(team_config)).run
    if run is not None and not (Path(run) / RESULT_FILE).is_file():
        raise InputError(f"{run} holds no {RESULT_FILE}; set TEAM_CONFIG to a training that is finished")
    return Benchmark(
        root,
        Path(config.carla_root).resolve(),
        evaluator,
        config.python or sys.executable,
        str(team_config),
        config.base_port,
        config.base_tm_port,
        config.timeout_s,
    )


def bench2drive_routes(config: Bench2DriveRoutesConfig) -> dict[str, str]:
    """Drive all routes that are not done; id of each → ``done``, ``crashed`` or ``missing``.

    Raises:
        InputError: something that is needed is not there, or another process drives in the same folder.
    """
    routes = chosen_routes(read_routes(Path(config.routes)), config.only)
    benchmark, folder = benchmark_of(config), RouteFolder(Path(config.output))
    gpus = [gpu for gpu in config.gpus for _ in range(config.tasks_per_gpu)]
    tasks = [Task(number, gpu) for number, gpu in enumerate(gpus)]
    folder.prepare(routes)
    with driving_alone(folder.folder / "driving"):
        write_text(folder.folder / "commands.sh", shell_lines(benchmark, folder, routes, tasks))
        if not config.launch:
            return {route.number: folder.state(route) for route in routes}
        return Runner(benchmark, folder, config.attempts).run(routes, tasks)


@command(Bench2DriveRoutesConfig, "cache_tools.conf.bench2drive_routes")
def main(config: Bench2DriveRoutesConfig) -> None:
    """Drive, and say what is done; a route that is not makes the command fail, once the others are driven."""
    states = bench2drive_routes(config)
    left = [number for number, state in states.items() if state != DONE]
    print(f"{len(states) - len(left)} of {len(states)} routes are done: {config.output}")
    if left and config.launch:
        sys.exit(f"not done: routes {', '.join(left)}; see {config.output}/logs, then run the same command again")


if __name__ == "__main__":
    main()
