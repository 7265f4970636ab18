"""Lists the driving videos of a data set in a manifest, and says what it found.

    drive-jepa index-videos layout=navsim root=$OPENSCENE_DATA_ROOT data_set=openscene output=openscene.jsonl

Layouts: ``videos`` (any folder of video files), ``covla``, ``drivingdojo``, ``folders`` (one folder of pictures a
video), ``navsim`` (OpenScene, NAVSIM and the built-in world), ``argoverse2`` (its sensor logs). An interrupted run goes
on where it stopped, and a later run probes only what is new, has changed, or could not be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

from navsim_agents.common.command import command
from navsim_agents.common.conventions import FRONT_CAMERA
from navsim_agents.common.settings import READS, at_least, writes_file
from navsim_agents.errors import VideoError
from navsim_agents.video.argoverse_layout import CLIP_FPS, ArgoverseLogs
from navsim_agents.video.guard import read_forbidden_logs
from navsim_agents.video.indexing import describe, index_layout
from navsim_agents.video.layouts import CovlaVideos, DrivingDojoFolders, Layout, PictureFolders, VideoFiles
from navsim_agents.video.manifest import Row
from navsim_agents.video.navsim_layout import NavsimLogs

DRIVINGDOJO_FPS = 5.0  # not verified: see docs/video_data.md


@dataclass(frozen=True)
class IndexVideosConfig:
    """Options of the command; paths are relative to the working directory."""

    layout: str
    root: str = field(metadata=READS)
    output: str = field(metadata=writes_file(".jsonl"))
    data_set: Optional[str] = None  # name in the manifest; the layout's by default
    fps: Optional[float] = (
        None  # layouts of picture folders: pictures a second; argoverse2: how many to take, 2 by default
    )
    split: str = "trainval"  # layout navsim: folder of navsim_logs
    camera: str = FRONT_CAMERA  # layout navsim
    forbidden_logs: Optional[str] = field(
        default=None, metadata=READS
    )  # layout navsim: file of log names to refuse, e.g. the devkit's navtest.yaml
    workers: int = field(default=2, metadata=at_least(0))  # processes; 0: this one alone


def _navsim(config: IndexVideosConfig, name: str) -> Layout:
    forbidden = read_forbidden_logs(Path(config.forbidden_logs)) if config.forbidden_logs else frozenset()
    return NavsimLogs(name, Path(config.root), config.split, config.camera, forbidden)


LAYOUTS: dict[str, Callable[[IndexVideosConfig, str], Layout]] = {
    "videos": lambda config, name: VideoFiles(name, Path(config.root)),
    "covla": lambda config, name: CovlaVideos(name, Path(config.root)),
    "folders": lambda config, name: PictureFolders(name, Path(config.root), config.fps or 0.0),
    "drivingdojo": lambda config, name: DrivingDojoFolders(name, Path(config.root), config.fps or DRIVINGDOJO_FPS),
    "navsim": _navsim,
    "argoverse2": lambda config, name: ArgoverseLogs(name, Path(config.root), config.fps or CLIP_FPS),
}


def build_layout(config: IndexVideosConfig) -> Layout:
    """The layout that ``config`` names.

    Raises:
        VideoError: there is none of that name.
    """
    if config.layout not in LAYOUTS:
        raise VideoError(f"layout={config.layout!r} is unknown; choose from {', '.join(LAYOUTS)}")
    return LAYOUTS[config.layout](config, config.data_set or config.layout)


def index_videos(config: IndexVideosConfig) -> list[Row]:
    """Write the manifest ``config.output`` and return its rows.

    Raises:
        VideoError: the root does not have this layout, holds test data, or needs a package that is not installed.
    """
    return index_layout(build_layout(config), Path(config.output), config.workers)


@command(IndexVideosConfig, "cache_tools.conf.index_videos")
def main(config: IndexVideosConfig) -> None:
    """Index, write the manifest and print what is in it."""
    print(describe(index_videos(config)))


if __name__ == "__main__":
    main()
