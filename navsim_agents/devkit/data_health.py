"""Whether the files that a split's scenes need are there: pictures per scene, and metric caches per list."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from tqdm import tqdm

from navsim_agents.data.logs import find_logs, read_log, split_into_scenes
from navsim_agents.data.scene import LogFrame
from navsim_agents.data.types import NUM_FUTURE_FRAMES, NUM_HISTORY_FRAMES
from navsim_agents.devkit.cache_files import list_metric_cache
from navsim_agents.devkit.finding import Finding
from navsim_agents.errors import NavsimDriveJepaError

NUM_EXAMPLES = 3


@dataclass
class SplitHealth:
    """Scenes of one split and the pictures that they lack."""

    split: str
    num_logs: int = 0
    num_scenes: int = 0
    incomplete: dict[str, list[str]] = field(default_factory=dict)  # token -> missing files

    def finding(self, cameras: Sequence[str]) -> Finding:
        """The split in one line."""
        names, lost = ", ".join(cameras), len(self.incomplete)
        text = f"split {self.split}: {self.num_scenes - lost} of {self.num_scenes} scenes in {self.num_logs} logs"
        if not lost:
            return Finding("data", self.num_scenes > 0, f"{text} have all pictures of {names}")
        token, files = next(iter(self.incomplete.items()))
        return Finding(
            "data",
            False,
            f"{text} have all pictures of {names}; {lost} lack some, such as {token}: {files[0]}. NAVSIM's loaders "
            "do not tell: download these sensor files, or leave the scenes out",
        )


def list_splits(root: Path) -> list[str]:
    """Splits that have logs."""
    return sorted(path.name for path in (root / "navsim_logs").glob("*") if path.is_dir())


def examine_split(root: Path, split: str, cameras: Sequence[str], show_progress: bool = True) -> SplitHealth:
    """Look for the pictures of every history frame of every scene, one scene a frame.

    Raises:
        WorldDataError: the split has no logs, or one of them is damaged.
    """
    health = SplitHealth(split)
    blobs = root / "sensor_blobs" / split
    for path in tqdm(find_logs(root / "navsim_logs" / split), desc=split, disable=not show_progress):
        health.num_logs += 1
        frames = read_log(path)
        missing = {frame["token"]: _missing_files(frame, cameras, blobs) for frame in frames}
        for window in split_into_scenes(frames, NUM_HISTORY_FRAMES + NUM_FUTURE_FRAMES, frame_interval=1):
            now = window[NUM_HISTORY_FRAMES - 1]
            if not now["roadblock_ids"]:
                continue
            health.num_scenes += 1
            lost = [name for frame in window[:NUM_HISTORY_FRAMES] for name in missing[frame["token"]]]
            if lost:
                health.incomplete[now["token"]] = lost
    return health


def check_splits(root: Path, splits: Collection[str], cameras: Sequence[str]) -> list[Finding]:
    """One finding a split; without names, all that have logs."""
    chosen = sorted(splits) or list_splits(root)
    if not chosen:
        return [Finding("data", False, f"{root} has no navsim_logs/<split>; give the folder that holds them")]
    findings = []
    for split in chosen:
        try:
            findings.append(examine_split(root, split, cameras).finding(cameras))
        except NavsimDriveJepaError as error:
            findings.append(Finding("data", False, f"split {split}: {error}"))
    return findings


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


def _missing_files(frame: LogFrame, cameras: Sequence[str], blobs: Path) -> list[str]:
    """Pictures that a frame names and nobody has, or that it does not name."""
    lost = []
    for camera in cameras:
        entry = frame["cams"].get(camera.upper())
        if not entry:
            lost.append(f"{camera} is not in frame {frame['token']}")
            continue
        folder, name = os.path.split(entry["data_path"])
        if name not in _names(str(blobs / folder)):
            lost.append(entry["data_path"])
    return lost


@lru_cache(maxsize=64)
def _names(folder: str) -> frozenset[str]:
    """Files of a folder, listed once: asking for each by name takes minutes on network disks."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except OSError:
        return frozenset()
