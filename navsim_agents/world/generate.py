"""Drive, render and write a world: maps, logs and sensor files, log by log, in several processes if asked for.

What exists already is kept: a log whose file is there is neither driven nor written again, and an image that is there
is not rendered again, so a run that was stopped continues where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from navsim_agents.common.files import is_there
from navsim_agents.world.camera import default_cameras
from navsim_agents.world.clips import write_clips
from navsim_agents.world.config import BENCH2DRIVE, WorldConfig
from navsim_agents.world.follow_ups.produce import check_two_stage, write_follow_ups
from navsim_agents.world.jobs import for_every_log
from navsim_agents.world.parts import WorldParts
from navsim_agents.world.plan import (
    LogEntry,
    LogPlan,
    WorldIndex,
    check_same_world,
    plan_logs,
    read_index,
    write_index,
)
from navsim_agents.world.scoring_scenes.store import join_parts, missing_logs, write_part
from navsim_agents.world.types import Drive
from navsim_agents.world.writers.blobs import write_images, write_point_clouds
from navsim_agents.world.writers.logs import (
    STEPS_PER_FRAME,
    frame_steps,
    image_path,
    lidar_path,
    log_frames,
    write_log,
)
from navsim_agents.world.writers.shell import write_shell_variables

REAL = WorldParts()


def package_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("navsim-drive-jepa")
    except PackageNotFoundError:
        return "0+unknown"


@dataclass(frozen=True)
class LogTask:
    """All that a process needs for one log."""

    plan: LogPlan
    config: WorldConfig
    needs_scoring_scenes: bool
    parts: WorldParts


def produce_log(task: LogTask) -> LogEntry:
    """Drive, render, score the reference driver and write one log; its pickle comes last and marks it as finished."""
    plan, config = task.plan, task.config
    output = Path(config.output)
    drive = task.parts.drive(plan.location, plan.index, config.identity())
    write_blobs(drive, task, output / "sensor_blobs" / plan.folder)
    if task.needs_scoring_scenes:
        frames, town_map = log_frames(drive, default_cameras()), task.parts.map(plan.location, config.seed)
        write_part(output, plan.folder, frames[0]["log_name"], task.parts.score_log(town_map, frames))
    folder = output / "navsim_logs" / plan.folder
    if not (folder / f"{drive.log_name}.pkl").exists():
        write_log(drive, default_cameras(), folder)
    return LogEntry(plan.index, drive.log_name, plan.split, plan.folder, plan.location, len(frame_steps(drive)))


def is_finished(entry: LogEntry, config: WorldConfig) -> bool:
    """Whether log and sensor files of ``entry`` are all there."""
    output, steps = Path(config.output), range(0, entry.num_frames * STEPS_PER_FRAME, STEPS_PER_FRAME)
    shown = steps[: max(0, entry.num_frames - config.hidden_frames())]
    files = [image_path(entry.name, step, camera) for camera in config.cameras for step in shown]
    files += [lidar_path(entry.name, step) for step in steps if config.lidar]
    blobs = output / "sensor_blobs" / entry.folder
    log = output / "navsim_logs" / entry.folder / f"{entry.name}.pkl"
    return log.exists() and all(is_there(blobs / file) for file in files)


def write_blobs(drive: Drive, task: LogTask, folder: Path) -> None:
    """Sensor files of a drive, those that are missing."""
    config, steps = task.config, frame_steps(drive)
    if config.lidar:
        write_point_clouds(drive, folder, steps)
    cameras = {name: camera for name, camera in default_cameras().items() if name in config.cameras}
    if cameras:
        shown = steps[: max(0, len(steps) - config.hidden_frames())]
        render = task.parts.painter(task.plan.location, config.seed, config.textures).render
        write_images(drive, cameras, folder, render, shown, config.jpeg_quality)


def generate_world(config: WorldConfig, parts: WorldParts = REAL) -> WorldIndex:
    """Write the world of ``config``, made by ``parts``, into ``config.output`` and return its index.

    :raises InputError: ``two_stage`` is asked for of logs that can have no follow-up scene.
    :raises WorldDataError: the folder holds another world, or some logs failed (the others are written).
    :raises WorkerError: a process was killed.
    """
    if config.two_stage:
        check_two_stage(config)
    output = Path(config.output)
    found = read_index(output)
    if found is not None:
        check_same_world(output, found, config, package_version())
    entries = {entry.index: entry for entry in found.logs} if found else {}
    _remember(output, config, entries)
    if config.format == BENCH2DRIVE:
        write_clips(config, parts, entries, partial(_remember, output, config, entries))
        return _remember(output, config, entries)
    parts.write_maps(partial(parts.town, seed=config.seed), output / "maps")
    tasks = _open_tasks(config, parts, entries)

    def keep(task: LogTask, entry: LogEntry) -> None:
        entries[task.plan.index] = entry
        _remember(output, config, entries)

    def name(task: LogTask) -> str:
        return f"log {task.plan.index} of seed {config.seed}"

    for_every_log(produce_log, tasks, config.workers, title="World", name=name, keep=keep)
    join_parts(output, entries.values())
    index = _remember(output, config, entries)
    write_shell_variables(output, index)
    if config.two_stage:
        write_follow_ups(config, parts, index.logs)
    return index


def _open_tasks(config: WorldConfig, parts: WorldParts, entries: dict[int, LogEntry]) -> list[LogTask]:
    """Logs of which something is missing; a log that is in no index yet may still have its part."""
    missing = missing_logs(Path(config.output), entries.values()) if config.scoring_scenes else set()
    tasks = []
    for plan in plan_logs(config):
        entry = entries.get(plan.index)
        needs_scenes = config.scoring_scenes and (entry is None or entry.name in missing)
        if entry is None or needs_scenes or not is_finished(entry, config):
            tasks.append(LogTask(plan, config, needs_scenes, parts))
    return tasks


def _remember(output: Path, config: WorldConfig, entries: dict[int, LogEntry]) -> WorldIndex:
    """Write what is known of the logs so far."""
    logs = tuple(entry for _, entry in sorted(entries.items()))
    index = WorldIndex(package_version(), config.identity(), logs)
    write_index(output, index)
    return index
