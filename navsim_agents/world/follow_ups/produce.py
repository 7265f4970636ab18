"""Follow-up scenes of a written world's test logs, log by log, in several processes if asked for.

As with logs, what exists is kept, and a log that fails is named when the others are done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from navsim_agents.common.files import remove_leftovers_of_the_dead
from navsim_agents.common.poses import XY
from navsim_agents.errors import InputError
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.world.camera import default_cameras
from navsim_agents.world.config import SPLIT_FOLDERS, WorldConfig
from navsim_agents.world.follow_ups.choose import LEAST_DURATION_S, pair_steps, shown_steps
from navsim_agents.world.follow_ups.plans import SAME_PLACE_M, Plan, PlanLeftOut, draw_plans, plan_poses
from navsim_agents.world.follow_ups.record import Pair, is_finished, read_record, write_record
from navsim_agents.world.follow_ups.rollout import check_driven, drive_with, driven_states
from navsim_agents.world.follow_ups.scoring import follow_up_scenes
from navsim_agents.world.jobs import for_every_log
from navsim_agents.world.parts import WorldParts
from navsim_agents.world.plan import LogEntry, plan_logs
from navsim_agents.world.scoring_scenes.store import join_parts, write_part
from navsim_agents.world.types import Drive
from navsim_agents.world.writers.blobs import write_images
from navsim_agents.world.writers.follow_ups import FOLDER, SCENES, FollowUp, pictures_path, write_follow_up
from navsim_agents.world.writers.split import write_split

SPLIT = "test"
STREAM = 2  # tells these random numbers from those of drives


@dataclass(frozen=True)
class _Task:
    """All that a process needs for the follow-ups of one log."""

    entry: LogEntry
    config: WorldConfig
    parts: WorldParts


def check_two_stage(config: WorldConfig) -> None:
    """Refuse settings that give no follow-up at all.

    Raises:
        InputError: logs are too short, or none is for tests.
    """
    if not any(plan.split == SPLIT for plan in plan_logs(config)):
        raise InputError(
            f"two_stage=true with logs={config.logs} and splits={dict(config.splits)}, but follow-ups are of the logs "
            f"of {SPLIT}, of which there is none; give more logs or a larger splits.{SPLIT}"
        )
    if config.duration_s < LEAST_DURATION_S:
        raise InputError(
            f"two_stage=true with duration_s={config.duration_s}, but a scene with history and follow-ups lasts "
            f"{LEAST_DURATION_S} s; make logs at least as long"
        )


def write_follow_ups(config: WorldConfig, parts: WorldParts, entries: Iterable[LogEntry]) -> list[Pair]:
    """Write what is missing of the follow-ups of the test logs among ``entries``, and their split; returns all pairs.

    Raises:
        WorldDataError: some logs failed (the others are written), or another number of pairs was written before.
        WorkerError: a process was killed.
    """
    output = Path(config.output)
    remove_leftovers_of_the_dead(output / FOLDER / SCENES)  # the devkit reads every file there
    logs = [entry for entry in entries if entry.split == SPLIT]
    found = {entry.name: read_record(output, entry.name, config.two_stage_pairs) for entry in logs}
    tasks = []
    for entry in logs:
        pairs = found[entry.name]
        if pairs is None or not is_finished(output, config, pairs):
            tasks.append(_Task(entry, config, parts))

    def keep(task: _Task, pairs: list[Pair]) -> None:
        found[task.entry.name] = pairs

    def name(task: _Task) -> str:
        return f"those of {task.entry.name}"

    for_every_log(_produce, tasks, config.workers, title="Follow-ups", name=name, keep=keep)
    join_parts(output, [replace(entry, folder=FOLDER) for entry in logs])
    pairs = [pair for entry in logs for pair in found[entry.name] or ()]
    _write_split(output, pairs)
    return pairs


def _write_split(output: Path, pairs: Sequence[Pair]) -> None:
    kept = [pair for pair in pairs if pair.plans]
    groups = [(pair.tokens, [item.tokens() for item in pair.follow_ups()]) for pair in kept]
    write_split(output, SPLIT_FOLDERS[SPLIT], list(dict.fromkeys(pair.log_name for pair in kept)), groups)


def _produce(task: _Task) -> list[Pair]:
    """Drive a log again, and write the follow-ups of its pairs."""
    entry, config, parts = task.entry, task.config, task.parts
    output = Path(config.output)
    drive = parts.drive(entry.location, entry.index, config.identity())
    rng = np.random.default_rng([config.seed, entry.index, STREAM])
    pairs: list[Pair] = []
    scenes: list[ScoringScene] = []
    for now in pair_steps(drive, config.two_stage_pairs, rng):
        driven, left_out = _driven_plans(drive, now, draw_plans(rng), task)
        for plan, new in driven.items():
            follow_up = FollowUp(drive.log_name, now, plan)
            _write(new, follow_up, task)
            if config.scoring_scenes:
                scenes += follow_up_scenes(new, follow_up, parts.map(entry.location, config.seed))
        pairs.append(Pair(drive.log_name, now, list(driven), left_out))
    if scenes:
        write_part(output, FOLDER, entry.name, scenes)
    write_record(output, entry.name, config.two_stage_pairs, pairs)
    return pairs


def _driven_plans(
    drive: Drive, now: int, plans: Sequence[Plan], task: _Task
) -> tuple[dict[str, Drive], dict[str, str]]:
    """Drives along the plans that can be driven, and why the others cannot."""
    location, seed = task.entry.location, task.config.seed
    town, town_map = task.parts.town(location, seed), task.parts.map(location, seed)
    driven: dict[str, Drive] = {}
    left_out: dict[str, str] = {}
    for plan in plans:
        try:
            states = driven_states(drive.ego, now, plan_poses(drive.ego, now, plan))
            for name, other in driven.items():
                apart = float(np.hypot(*(other.ego.poses[now + len(states) - 1, XY] - states[-1, XY])))
                if apart < SAME_PLACE_M:
                    raise PlanLeftOut(f"it ends {apart:.2f} m from where {name} does")
            new = drive_with(drive, now, states, town)
            check_driven(new, now, FollowUp(drive.log_name, now, plan.name).ends, town_map)
            driven[plan.name] = new
        except PlanLeftOut as reason:
            left_out[plan.name] = str(reason)
    return driven, left_out


def _write(drive: Drive, follow_up: FollowUp, task: _Task) -> None:
    """Pictures first; the pickles are what the devkit looks for."""
    config, output = task.config, Path(task.config.output)
    cameras = {name: camera for name, camera in default_cameras().items() if name in config.cameras}
    if cameras:
        render = task.parts.painter(drive.location, config.seed, config.textures).render
        steps, folder = shown_steps(follow_up.now), pictures_path(output)
        write_images(drive, cameras, folder, render, steps, config.jpeg_quality, follow_up.image_path)
    write_follow_up(drive, follow_up, default_cameras(), output)
