"""Stores of a written world's scoring scenes: ``scoring_scenes/<folder>``, one for each folder of ``navsim_logs``.

Each log's scenes are first written to a part of their own, by whichever process drove the log; when all logs are there,
the parts are joined in the order of the logs and deleted.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from navsim_agents.common.conventions import NUM_HISTORY_FRAMES
from navsim_agents.common.files import whole_folder
from navsim_agents.data.scene import LogFrame
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_store import SceneStore, SceneStoreWriter
from navsim_agents.world.plan import LogEntry
from navsim_agents.world.reference_driver.drive import reference_trajectories
from navsim_agents.world.scoring_scenes.build import SceneBuilder
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.writers.logs import STEPS_PER_FRAME, frame_token

STORES_FOLDER = "scoring_scenes"
PARTS_FOLDER = ".parts"

ReferenceDriver = Callable[[Sequence[ScoringScene], Sequence[float]], Tensor]
"""From scenes and speed limits [m/s] to states [B, 41, 11]."""


def store_path(output: Path, folder: str) -> Path:
    """Store of a folder of ``navsim_logs``."""
    return output / STORES_FOLDER / folder


def _part_path(output: Path, folder: str, log_name: str) -> Path:
    return output / STORES_FOLDER / PARTS_FOLDER / folder / log_name


def log_scenes(
    town_map: TownMap, frames: Sequence[LogFrame], driver: ReferenceDriver = reference_trajectories
) -> list[ScoringScene]:
    """Every scene of a log, the trajectory of ``driver`` in place."""
    builder = SceneBuilder(town_map, frames)
    indices = builder.indices()
    if not indices:
        return []
    scenes = [builder.build(index) for index in indices]
    driven = driver(scenes, [builder.speed_limit_mps(index) for index in indices])
    return [replace(scene, pdm_trajectory=states) for scene, states in zip(scenes, driven)]


def write_part(output: Path, folder: str, log_name: str, scenes: Iterable[ScoringScene]) -> None:
    """Write the scenes of one log, all of them or none."""
    target = _part_path(output, folder, log_name)
    with whole_folder(target) as unfinished, SceneStoreWriter(unfinished) as writer:
        for scene in scenes:
            writer.add(scene)


def missing_logs(output: Path, entries: Iterable[LogEntry]) -> set[str]:
    """Names of the logs whose scenes are neither in a store nor in a part."""
    stored: dict[str, frozenset[str]] = {}
    missing = set()
    for entry in entries:
        if entry.folder not in stored:
            stored[entry.folder] = _stored_tokens(store_path(output, entry.folder))
        is_stored = stored[entry.folder].issuperset(_tokens(entry))
        if not is_stored and not _part_path(output, entry.folder, entry.name).exists():
            missing.add(entry.name)
    return missing


def has_scenes(output: Path, folder: str, log_name: str, tokens: Iterable[str]) -> bool:
    """Whether the scenes ``tokens`` of a log are in the store of ``folder``, or those of the log in a part."""
    is_stored = _stored_tokens(store_path(output, folder)).issuperset(tokens)
    return is_stored or _part_path(output, folder, log_name).exists()


def _tokens(entry: LogEntry) -> list[str]:
    """Tokens of the log's scenes; every frame of the built-in world has a route."""
    first = NUM_HISTORY_FRAMES - 1
    return [frame_token(entry.name, STEPS_PER_FRAME * (first + i)) for i in range(entry.num_scenes())]


def _stored_tokens(path: Path) -> frozenset[str]:
    return frozenset(SceneStore(path).tokens) if path.exists() else frozenset()


def join_parts(output: Path, entries: Iterable[LogEntry]) -> None:
    """Move the parts of ``entries`` into the stores of their folders; an interruption loses nothing."""
    by_folder: dict[str, list[LogEntry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.index):
        if _part_path(output, entry.folder, entry.name).exists():
            by_folder[entry.folder].append(entry)
    for folder, logs in by_folder.items():
        with SceneStoreWriter(store_path(output, folder)) as writer:
            for entry in tqdm(logs, desc=f"Scoring scenes of {folder}", unit="log"):
                part = SceneStore(_part_path(output, folder, entry.name))
                for token in part:
                    if token not in writer.tokens:
                        writer.add(part[token])
        for entry in logs:
            shutil.rmtree(_part_path(output, folder, entry.name))
    shutil.rmtree(output / STORES_FOLDER / PARTS_FOLDER, ignore_errors=True)
