"""How data sets lie on disk: which sources a root holds, and which videos each source gives.

``docs/video_data.md`` says where each layout is documented and what of it could not be verified.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from navsim_agents.errors import VideoError
from navsim_agents.video.decode import load_av
from navsim_agents.video.guard import check_path
from navsim_agents.video.manifest import IMAGE_SEQUENCE, VIDEO_FILE, Video
from navsim_agents.video.probe_file import probe_file

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".mpeg", ".hevc", ".h264", ".h265")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Layout(ABC):
    """A data set below ``root``. ``source`` is always a path relative to it, with forward slashes."""

    data_set: str
    root: Path

    @abstractmethod
    def sources(self) -> list[str]:
        """Everything to be probed, sorted.

        Raises:
            VideoError: the root has not this layout, or must not be learnt from.
        """

    @abstractmethod
    def probe(self, source: str) -> list[Video]:
        """The videos of one source.

        Raises:
            VideoError, WorldDataError: it cannot be read.
        """

    def stamp(self, source: str) -> str:
        """Changes when ``source`` or a setting that decides its videos does."""
        return stamp_of(self.root / source)

    def check_tools(self) -> None:  # noqa: B027  (most layouts need none)
        """Refuse to probe without the packages that reading needs: every source would seem broken.

        Raises:
            VideoError: one is not installed.
        """

    def folder(self, name: str) -> Path:
        """The folder of this layout.

        Raises:
            VideoError: it is not there.
        """
        path = self.root / name
        if not path.is_dir():
            raise VideoError(f"{path} is no folder, but {type(self).__name__} expects one; check root and layout")
        return path

    def relative(self, paths: Sequence[Path]) -> list[str]:
        """``paths`` relative to the root, sorted.

        Raises:
            VideoError: there are none.
        """
        if not paths:
            raise VideoError(f"{self.root} holds nothing that {type(self).__name__} reads; check root and layout")
        return sorted(path.relative_to(self.root).as_posix() for path in paths)


@dataclass(frozen=True)
class VideoFiles(Layout):
    """Every video file below ``subfolder``, at any depth."""

    subfolder: str = "."

    def sources(self) -> list[str]:
        """Video files by their suffix."""
        files = self.folder(self.subfolder).rglob("[!.]*")
        found = self.relative([path for path in files if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()])
        for source in found:
            check_path(source, self.root)
        return found

    def check_tools(self) -> None:
        """PyAV."""
        load_av()

    def probe(self, source: str) -> list[Video]:
        """The one video of the file."""
        facts = probe_file(self.root / source)
        fps = facts.clock.fps
        return [
            Video(
                data_set=self.data_set,
                source=source,
                stamp=self.stamp(source),
                kind=VIDEO_FILE,
                path=source,
                fps=fps,
                num_frames=facts.num_frames,
                duration_s=round(facts.num_frames / fps, 3) if fps else 0.0,
                width=facts.width,
                height=facts.height,
                codec=facts.codec,
                clock=facts.clock.kind,
                first_tick=facts.clock.first_tick,
            )
        ]


@dataclass(frozen=True)
class PictureFolders(Layout):
    """Every folder of ``subfolder`` is one video: its pictures in order of name, ``fps`` a second."""

    fps: float
    subfolder: str = "."

    def __post_init__(self) -> None:
        if self.fps <= 0:
            raise VideoError(f"fps={self.fps} must be positive: pictures do not tell their rate; set fps")

    def stamp(self, source: str) -> str:
        """Of the folder, which changes when a picture comes or goes, and of the rate."""
        return f"{stamp_of(self.root / source)}-{self.fps:g}"

    def sources(self) -> list[str]:
        """Folders that hold a picture."""
        folders = [path for path in self.folder(self.subfolder).iterdir() if path.is_dir()]
        found = self.relative([path for path in folders if picture_names(path)])
        for source in found:
            check_path(source, self.root)
        return found

    def probe(self, source: str) -> list[Video]:
        """The one sequence of the folder."""
        names = picture_names(self.root / source)
        return [sequence(self, source, self.root / source, names, self.fps)]


@dataclass(frozen=True)
class CovlaVideos(VideoFiles):
    """CoVLA as published: ``videos/<video id>.mp4``, 30 s at 20 Hz each."""

    subfolder: str = "videos"


@dataclass(frozen=True)
class DrivingDojoFolders(PictureFolders):
    """DrivingDojo with its archives unpacked: ``videos/<video>/<picture>``."""

    subfolder: str = "videos"


def stamp_of(path: Path) -> str:
    """Size and time of the last change of a file or folder; nothing where there is none."""
    if not path.exists():
        return ""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def picture_names(folder: Path) -> list[str]:
    """Names of the pictures in ``folder``, sorted."""
    return sorted(path.name for path in folder.glob("[!.]*") if path.suffix.lower() in PICTURE_SUFFIXES)


def sequence(layout: Layout, source: str, folder: Path, names: Sequence[str], fps: float) -> Video:
    """A sequence of the pictures ``names`` in ``folder``; its size is that of the first.

    Raises:
        VideoError: there is none, or the first is no picture.
    """
    if not names:
        raise VideoError(f"{folder} holds no picture; check the root, or remove the folder")
    try:
        with Image.open(folder / names[0]) as picture:
            width, height = picture.size
    except OSError as error:
        raise VideoError(f"{folder / names[0]} is no picture ({error}); replace or remove it") from error
    return Video(
        data_set=layout.data_set,
        source=source,
        stamp=layout.stamp(source),
        kind=IMAGE_SEQUENCE,
        path=folder.relative_to(layout.root).as_posix(),
        fps=fps,
        num_frames=len(names),
        duration_s=round(len(names) / fps, 3),
        width=width,
        height=height,
        codec=Path(names[0]).suffix.lower().lstrip("."),
        frame_names="\n".join(names),
    )
