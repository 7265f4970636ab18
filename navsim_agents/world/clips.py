"""The world as clips of Bench2Drive (``format=bench2drive``), clip by clip, in several processes if asked for.

As of the usual world, what exists is kept: a run that was stopped goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from navsim_agents.bench2drive.clips import annotation_path, picture_path
from navsim_agents.common.conventions import WORLD_STEP_S
from navsim_agents.common.files import is_there
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.jobs import for_every_log
from navsim_agents.world.parts import WorldParts
from navsim_agents.world.plan import LogEntry, LogPlan, plan_logs
from navsim_agents.world.writers.bench2drive import ClipWriter, clip_camera, clip_name, write_hd_map

CLIPS_FOLDER, MAPS_FOLDER = "clips", "maps"


@dataclass(frozen=True)
class ClipTask:
    """All that a process needs for one clip."""

    plan: LogPlan
    config: WorldConfig
    parts: WorldParts

    @property
    def folder(self) -> Path:
        """Of the clip."""
        return Path(self.config.output) / CLIPS_FOLDER / clip_name(self.plan.location, self.plan.index)

    @property
    def is_finished(self) -> bool:
        """Whether annotations, pictures and the map are there."""
        config, clips = self.config, self.config.clips
        steps = range(round(config.duration_s / WORLD_STEP_S) + 1)
        files = [annotation_path(self.folder, step) for step in steps]
        shown = steps[:: clips.picture_interval]
        return all(map(is_there, files)) and all(
            is_there(picture_path(self.folder, camera, step)) for camera in clips.cameras for step in shown
        )


def produce_clip(task: ClipTask) -> LogEntry:
    """Drive, render and write one clip."""
    plan, config, clips = task.plan, task.config, task.config.clips
    drive = task.parts.drive(plan.location, plan.index, config.identity())
    writer = ClipWriter(drive, task.parts.map(plan.location, config.seed), task.folder)
    cameras = [clip_camera(name, clips.width, clips.height) for name in clips.cameras]
    if cameras:
        render = task.parts.painter(plan.location, config.seed, config.textures).render
        writer.write_pictures(render, cameras, clips.picture_interval, clips.jpeg_quality)
    writer.write_annotations()
    steps = len(drive.ego.poses)
    return LogEntry(plan.index, task.folder.name, plan.split, CLIPS_FOLDER, plan.location, steps)


def write_clips(
    config: WorldConfig, parts: WorldParts, entries: dict[int, LogEntry], remember: Callable[[], object]
) -> None:
    """Write the clips that are not there, and the maps of their towns; ``remember`` what is written, clip by clip.

    Raises:
        WorldDataError: some failed (the others are written).
    """
    plans = plan_logs(config)
    for location in dict.fromkeys(plan.location for plan in plans):
        write_hd_map(parts.town(location, config.seed), Path(config.output) / MAPS_FOLDER)
    tasks = [ClipTask(plan, config, parts) for plan in plans]
    open_tasks = [task for task in tasks if task.plan.index not in entries or not task.is_finished]

    def keep(task: ClipTask, entry: LogEntry) -> None:
        entries[task.plan.index] = entry
        remember()

    def name(task: ClipTask) -> str:
        return f"clip {task.plan.index} of seed {config.seed}"

    for_every_log(produce_clip, open_tasks, config.workers, title="Clips", name=name, keep=keep)
