"""The front camera of Argoverse 2's sensor logs, 20 Hz: ``<log>/sensors/cameras/ring_front_center/<ns>.jpg``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from navsim_agents.common.time_grid import nearest_to_grid
from navsim_agents.errors import VideoError
from navsim_agents.video.guard import check_path
from navsim_agents.video.layouts import Layout, picture_names, sequence, stamp_of
from navsim_agents.video.manifest import Video

CAMERAS = "sensors/cameras"
FRONT_CAMERA = "ring_front_center"
CLIP_FPS = 2.0  # of pretraining's clips
NANOSECONDS = 1e-9
LATENESS = 0.25  # of the interval between pictures: one that is farther from its time is not taken for it
DEPTHS = ("", "*/", "*/*/")
"""Where logs are looked for below the root: it may be one, hold them, or hold their splits."""


@dataclass(frozen=True)
class ArgoverseLogs(Layout):
    """Sensor logs below ``root``; of the camera's pictures those are taken that are nearest to ``fps`` a second."""

    fps: float = CLIP_FPS
    camera: str = FRONT_CAMERA

    def __post_init__(self) -> None:
        if self.fps <= 0:
            raise VideoError(f"fps={self.fps} must be positive; set fps to the pictures a second that clips need")

    def sources(self) -> list[str]:
        """Folders of the camera's pictures."""
        found = [
            path for depth in DEPTHS for path in self.root.glob(f"{depth}{CAMERAS}/{self.camera}") if path.is_dir()
        ]
        sources = self.relative(found)
        for source in sources:
            check_path(source, self.root)
        return sources

    def stamp(self, source: str) -> str:
        """Of the folder, which changes when a picture comes or goes, and of the rate."""
        return f"{stamp_of(self.root / source)}-{self.fps:g}"

    def probe(self, source: str) -> list[Video]:
        """One video for every run of pictures without a gap.

        Raises:
            VideoError: a picture's name is no time, or there is no picture.
        """
        names = picture_names(self.root / source)
        runs = _runs(names, self.fps, source) if names else [names]
        return [sequence(self, source, self.root / source, run, self.fps) for run in runs]


def _runs(names: Sequence[str], fps: float, source: str) -> list[list[str]]:
    """Names of the pictures taken, in runs whose neighbours are one interval apart."""
    strange = [name for name in names if not PurePosixPath(name).stem.isdecimal()]
    if strange:
        raise VideoError(f"{source}/{strange[0]} is not named by its time in nanoseconds; remove it")
    stamps = np.array([int(Path(name).stem) for name in names], dtype=np.int64)
    order = np.argsort(stamps)
    times = (stamps[order] - stamps[order[0]]) * NANOSECONDS
    chosen = nearest_to_grid(times, 1.0 / fps, LATENESS / fps)
    breaks = np.flatnonzero(np.diff(times[chosen]) > 1.5 / fps) + 1
    return [[names[order[row]] for row in run] for run in np.split(chosen, breaks)]
