"""Writes small copies of a data set's videos: frames at the clips' rate and size, as JPEG.

    drive-jepa resize-videos manifest=covla.jsonl root=COVLA output=COVLA_SMALL

Loading a clip then decodes its frames and nothing else, instead of seconds of large video. The copies (Motion JPEG in
Matroska) and their manifest are read like any other videos; clips begin at multiples of 1/fps. An interrupted run goes
on where it stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from navsim_agents.common.command import command
from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least
from navsim_agents.video.copies import CopyFormat, copy_data_set
from navsim_agents.video.indexing import describe
from navsim_agents.video.manifest import Row


@dataclass(frozen=True)
class ResizeVideosConfig:
    """Options of the command; paths are relative to the working directory."""

    manifest: str = field(metadata=READS)
    root: str = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    fps: float = 2.0  # a multiple of the clips' rate gives more places where clips can begin
    height: int = field(default=256, metadata=at_least(1))
    width: int = field(default=512, metadata=at_least(1))
    cropped_rows: int = field(
        default=0, metadata=at_least(0)
    )  # px cut at the top and at the bottom; 28 shows NAVSIM's cameras as the planners see them
    quality: int = 2  # 1 best … 31 worst
    workers: int = field(default=2, metadata=at_least(0))  # processes; 0: this one alone

    def __post_init__(self) -> None:
        _ = self.wanted  # raises VideoError if a setting is out of range

    @property
    def wanted(self) -> CopyFormat:
        """The format of the copies; raises VideoError if a setting is out of range."""
        return CopyFormat(self.fps, self.height, self.width, self.cropped_rows, self.quality)


def resize_videos(config: ResizeVideosConfig) -> list[Row]:
    """Write the copies that are missing and ``<output>/manifest.jsonl``; return its rows.

    Raises:
        VideoError: the manifest is unfit or of several data sets, or no video could be copied.
    """
    places = Path(config.manifest), Path(config.root), Path(config.output)
    return copy_data_set(*places, config.wanted, config.workers)


@command(ResizeVideosConfig, "cache_tools.conf.resize_videos")
def main(config: ResizeVideosConfig) -> None:
    """Copy, index the copies and print what there is."""
    print(describe(resize_videos(config)))


if __name__ == "__main__":
    main()
