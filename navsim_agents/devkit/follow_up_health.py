"""Whether the second stage of v2.2's two-stage splits has the pictures that an agent reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from navsim_agents.data.split_mapping import some
from navsim_agents.data.synthetic_scenes import read_synthetic_scene
from navsim_agents.devkit.data_health import FrameFaults, PictureQuery, SplitHealth
from navsim_agents.devkit.finding import Finding
from navsim_agents.errors import WorldDataError

SCENES, PICTURES = "synthetic_scene_pickles", "sensor_blobs"
WAY_OUT = (
    "NAVSIM's loader opens what an agent asks for, and fails the scene ('Agent failed'); run_pdm_score goes on and "
    "ends in an exception after the last scene, without a result; a submission lacks the scene. Download the pictures "
    "(those of the history are an archive of their own)"
)


def check_follow_ups(folder: Path, query: PictureQuery) -> list[Finding]:
    """Findings about a folder such as ``navhard_two_stage``, or about those of its scenes that the filter names."""
    if not (folder / SCENES).is_dir():
        text = f"{folder} has no {SCENES}; give the folder of a two-stage split, such as …/navhard_two_stage"
        return [Finding("data", False, text)]
    damaged: dict[str, str] = {}
    health = examine_follow_ups(folder, query, damaged)
    return [*_damaged_pickles(damaged), health.finding(query.cameras), *_absent_scenes(health)]


def _damaged_pickles(damaged: Mapping[str, str]) -> list[Finding]:
    """Scenes that nobody can read."""
    if not damaged:
        return []
    text = f"{len(damaged)} synthetic scenes cannot be read ({some(list(damaged))}), the first as follows: "
    return [Finding("data", False, text + next(iter(damaged.values())))]


def _absent_scenes(health: SplitHealth) -> list[Finding]:
    """What the filter names and the folder has not."""
    if not health.absent_tokens:
        return []
    absent = f"{len(health.absent_tokens)} tokens ({some(health.absent_tokens)})"
    text = (
        f"split {health.split}: the scene filter names {absent} that are not there as scenes; NAVSIM "
        "passes them over and ends without a result, as their groups lack them: download the scenes again, or take the "
        "filter of this split"
    )
    return [Finding("data", False, text)]


def examine_follow_ups(
    folder: Path, query: PictureQuery, damaged: dict[str, str], show_progress: bool = True
) -> SplitHealth:
    """Look at the pictures of every scene's newest frames; ``damaged`` gets why a pickle, by its name, is none."""
    health, wanted = SplitHealth(folder.name), query.scene_filter.reactive_synthetic_initial_tokens
    faults, whole = FrameFaults(query, folder / PICTURES), Counter[int]()
    logs: set[str] = set()
    found: set[str] = set()
    for path in tqdm(sorted((folder / SCENES).glob("[!.]*.pkl")), desc=folder.name, disable=not show_progress):
        try:
            scene = read_synthetic_scene(path, folder / PICTURES, {})
        except WorldDataError as error:
            damaged[path.stem] = str(error)
            continue
        about = scene.scene_metadata
        if wanted is not None and about.initial_token not in wanted:
            continue
        logs.add(about.log_name)
        found.add(about.initial_token)
        history = scene.log_frames[: about.num_history_frames][-(query.num_frames or about.num_history_frames) :]
        lost = [faults.of(frame) for frame in reversed(history)]
        whole[next((newest for newest, fault in enumerate(lost) if fault), len(lost))] += 1
        if any(lost):
            health.incomplete[about.initial_token] = [fault for frame in lost for fault in frame]
    health.num_logs, health.num_scenes = len(logs), len(found)
    health.absent_tokens = sorted((wanted or frozenset()) - found - damaged.keys())
    health.way_out = f"{WAY_OUT}{_fewer_frames(whole)}"
    return health


def _fewer_frames(whole: Counter[int]) -> str:
    """For an agent that reads fewer frames: in how many of them every scene is whole."""
    frames = min(whole, default=0)
    if not frames:
        return "; some lack even the newest frame, which every agent reads"
    return (
        f", or take an agent that reads fewer frames: every scene is whole in its newest {frames} (momentum reads one "
        "frame more than agent.config.momentum.mode=off)"
    )
