"""Whether the files that a split's scenes need are there and whole: logs, pictures per scene, metric caches."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Optional

from tqdm import tqdm

from navsim_agents.common.conventions import FRONT_CAMERA
from navsim_agents.data.logs import find_logs, read_log
from navsim_agents.data.pictures import MISSING, PictureCheck, picture_fault
from navsim_agents.data.scene import LogFrame
from navsim_agents.data.scene_filter import EVERY_FRAME, SceneFilter
from navsim_agents.devkit.cache_files import list_metric_cache
from navsim_agents.devkit.finding import Finding
from navsim_agents.errors import NavsimDriveJepaError

NUM_EXAMPLES = 3

WHAT_NAVSIM_DOES = (
    "Of NAVSIM's scripts caching stops at the first such scene, and training without a cache too; scoring and "
    "submissions go on without it ('Agent failed'; v2.2's one-stage scoring then ends in a ValueError, without a "
    "result); training from an unfinished cache leaves it out silently"
)
WAY_OUT = (
    f"{WHAT_NAVSIM_DOES}: download these sensor files, or leave the scenes out (--scene-filter examines those of one "
    "filter only)"
)


@dataclass(frozen=True)
class PictureQuery:
    """What is checked of a split."""

    cameras: Sequence[str] = (FRONT_CAMERA,)
    check: PictureCheck = PictureCheck.ENDS
    num_frames: Optional[int] = None  # newest history frames whose pictures an agent reads; null: all of them
    scene_filter: SceneFilter = EVERY_FRAME


@dataclass
class SplitHealth:
    """Scenes of one split, and what they lack."""

    split: str
    num_logs: int = 0
    num_scenes: int = 0
    incomplete: dict[str, list[str]] = field(default_factory=dict)  # token -> faults of its pictures
    absent_logs: list[str] = field(default_factory=list)  # that the filter names and the split has not
    absent_tokens: list[str] = field(default_factory=list)
    way_out: str = WAY_OUT

    def finding(self, cameras: Sequence[str]) -> Finding:
        """The pictures in one line."""
        lost = len(self.incomplete)
        text = f"split {self.split}: {self.num_scenes - lost} of {self.num_scenes} scenes in {self.num_logs} logs"
        text += f" have all pictures of {', '.join(cameras)}"
        if not self.num_scenes:
            return Finding("data", False, f"{text}: no window of frames is a scene; check split and scene filter")
        if not lost:
            return Finding("data", True, text)
        token, faults = next(iter(self.incomplete.items()))
        files = {fault for found in self.incomplete.values() for fault in found}
        kinds = Counter(fault.split(" (")[0].rsplit(": ", 1)[1] for fault in files)
        counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return Finding(
            "data",
            False,
            f"{text}; {lost} do not (pictures: {counted}), such as {token}: {faults[0]}. {self.way_out}",
        )


def list_splits(root: Path) -> list[str]:
    """Splits that have logs."""
    return sorted(path.name for path in (root / "navsim_logs").glob("*") if path.is_dir())


def examine_split(root: Path, split: str, query: PictureQuery, show_progress: bool = True) -> SplitHealth:
    """Look at the pictures of the history frames of every scene.

    Raises:
        WorldDataError: the split has no logs, or one of them is damaged.
    """
    health, chosen = SplitHealth(split), query.scene_filter
    logs = {path.stem: path for path in find_logs(root / "navsim_logs" / split)}
    if chosen.log_names is not None:
        health.absent_logs = sorted(chosen.log_names - set(logs))
        logs = {name: path for name, path in logs.items() if name in chosen.log_names}
    found: set[str] = set()
    for path in tqdm(logs.values(), desc=split, disable=not show_progress):
        health.num_logs += 1
        faults = FrameFaults(query, root / "sensor_blobs" / split)
        for window in chosen.scenes_of(read_log(path)):
            if len(found) == chosen.max_scenes:
                return health
            token = window[chosen.num_history_frames - 1]["token"]
            found.add(token)
            seen = window[: chosen.num_history_frames][-(query.num_frames or chosen.num_history_frames) :]
            health.num_scenes += 1
            lost = [fault for frame in seen for fault in faults.of(frame)]
            if lost:
                health.incomplete[token] = lost
    health.absent_tokens = sorted((chosen.tokens or frozenset()) - found)
    return health


def check_splits(root: Path, splits: Collection[str], query: PictureQuery) -> list[Finding]:
    """Findings of each split; without names, of all that have logs."""
    chosen = sorted(splits) or list_splits(root)
    if not chosen:
        return [Finding("data", False, f"{root} has no navsim_logs/<split>; give the folder that holds them")]
    note = query.scene_filter.note
    findings = [Finding("data", False, note)] if note else []
    healths = []
    for split in chosen:
        try:
            healths.append(examine_split(root, split, query))
        except NavsimDriveJepaError as error:
            findings.append(Finding("data", False, f"split {split}: {error}"))
    used = [health for health in healths if health.num_scenes] or healths
    return findings + [health.finding(query.cameras) for health in used] + absent_names(healths)


def absent_names(healths: Sequence[SplitHealth]) -> list[Finding]:
    """What the filter names and none of the splits has."""
    if not healths:
        return []
    logs = set.intersection(*(set(health.absent_logs) for health in healths))
    tokens = set.intersection(*(set(health.absent_tokens) for health in healths))
    parts = [
        f"{len(names)} {kind} ({', '.join(sorted(names)[:NUM_EXAMPLES])})"
        for kind, names in (("logs", logs), ("tokens", tokens))
        if names
    ]
    if not parts:
        return []
    where = ", ".join(health.split for health in healths)
    return [
        Finding(
            "data",
            False,
            f"split {where}: the scene filter names {' and '.join(parts)} that are not there as scenes; NAVSIM leaves "
            "them out silently: download these logs, or take the filter of this split",
        )
    ]


def check_metric_cache(path: Path) -> Finding:
    """Whether NAVSIM's own loader would find the files of a metric cache."""
    try:
        listing = list_metric_cache(path)
    except NavsimDriveJepaError as error:
        return Finding("metric cache", False, str(error))
    problems = []
    if listing.num_lists == 0:
        problems.append("has no list in metadata/, so NAVSIM's loader fails")
    if listing.num_lists > 1:
        problems.append(f"has {listing.num_lists} lists, of which NAVSIM's loader reads one")
    if listing.num_moved:
        problems.append(f"was moved: {listing.num_moved} listed paths lie elsewhere")
    if listing.missing:
        examples = ", ".join(entry.token for entry in listing.missing[:NUM_EXAMPLES])
        problems.append(f"lacks {len(listing.missing)} listed files ({examples})")
    text = f"{path} holds {len(listing.entries)} scenes"
    if not problems:
        return Finding("metric cache", True, text)
    return Finding(
        "metric cache",
        False,
        f"{text}, but {'; '.join(problems)}. Our own commands merge lists and follow moves; for NAVSIM's, write one "
        "metadata/*.csv of the present paths, or cache again",
    )


class FrameFaults:
    """Faults of the pictures of a log's frames, each file looked at once."""

    def __init__(self, query: PictureQuery, blobs: Path) -> None:
        self._query, self._blobs = query, blobs
        self._known: dict[str, list[str]] = {}

    def of(self, frame: LogFrame) -> list[str]:
        """``<file>: <fault>`` of each camera whose picture is not there, not whole, or not named by the frame."""
        token = frame["token"]
        if token not in self._known:
            found = ((camera, frame["cams"].get(camera.upper())) for camera in self._query.cameras)
            faults = (
                self._fault(entry["data_path"]) if entry else f"frame {token}: {camera} not named"
                for camera, entry in found
            )
            self._known[token] = [fault for fault in faults if fault]
        return self._known[token]

    def _fault(self, name: str) -> str:
        folder, file = os.path.split(name)
        if file not in _names(str(self._blobs / folder)):
            return f"{name}: {MISSING}"
        if self._query.check is PictureCheck.NAMES:
            return ""
        fault = picture_fault(self._blobs / name, self._query.check)
        return f"{name}: {fault}" if fault else ""


@lru_cache(maxsize=64)
def _names(folder: str) -> frozenset[str]:
    """Files of a folder, listed once: asking for each by name takes minutes on network disks."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except OSError:
        return frozenset()
