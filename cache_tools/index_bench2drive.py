"""Says what is unreadable of clips of Bench2Drive, and writes their scoring scenes.

    drive-jepa index-bench2drive root=CLIPS maps=MAPS output=INDEX workers=4

``CLIPS`` holds the unpacked clips (Scenario_TownNN_RouteN_WeatherN/anno, camera), ``MAPS`` the files
TownNN_HD_map.npz, both of one release (0.0.3 or 0.0.4). An interrupted run goes on where it stopped, and a later one
reads only clips that are new or have changed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from navsim_agents.bench2drive.clip_index import ClipRow, describe, index_clip, jobs_of, join, keep_maps
from navsim_agents.bench2drive.features import CAMERAS_OF_SOURCE
from navsim_agents.bench2drive.frames import CAMERAS
from navsim_agents.common.command import command
from navsim_agents.common.processes import run_jobs
from navsim_agents.common.settings import READS, WRITES_FOLDER, at_least
from navsim_agents.data.pictures import PictureCheck
from navsim_agents.drive_jepa.proposal_config import FOUR_CAMERAS_SOURCE
from navsim_agents.errors import InputError


@dataclass(frozen=True)
class IndexBench2DriveConfig:
    """Options of the command; paths are relative to the working directory."""

    root: str = field(metadata=READS)
    maps: str = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    cameras: list[str] = field(default_factory=lambda: list(CAMERAS_OF_SOURCE[FOUR_CAMERAS_SOURCE]))
    pictures: str = PictureCheck.ENDS.value  # how closely pictures are looked at: names, ends or decode
    frame_interval: int = field(default=1, metadata=at_least(1))  # times 0.5 s, from one scene to the next
    workers: int = field(default=2, metadata=at_least(0))  # processes; 0: this one alone

    def __post_init__(self) -> None:
        """Refuse unknown cameras and checks."""
        unknown = sorted(set(self.cameras) - set(CAMERAS))
        if unknown:
            raise InputError(f"cameras has {unknown}; cameras are {', '.join(CAMERAS)}")
        checks = [check.value for check in PictureCheck]
        if self.pictures not in checks:
            raise InputError(f"pictures={self.pictures!r} must be one of {', '.join(checks)}")


def index_bench2drive(config: IndexBench2DriveConfig) -> list[ClipRow]:
    """Write index and scenes, and return the rows of the index.

    Raises:
        WorldDataError: there is no clip, or no map.
    """
    output = Path(config.output)
    jobs = jobs_of(Path(config.root), Path(config.maps), output, config.cameras, config.pictures, config.frame_interval)
    keep_maps(jobs)
    results = run_jobs(index_clip, jobs, config.workers, threads=1)
    rows = list(tqdm(results, total=len(jobs), desc="indexing", unit="clip"))
    join(output, rows)
    return rows


@command(IndexBench2DriveConfig, "cache_tools.conf.index_bench2drive")
def main(config: IndexBench2DriveConfig) -> None:
    """Index, and print what was found."""
    rows = index_bench2drive(config)
    print(describe(rows, Path(config.output)))
    if all(row.error for row in rows):
        sys.exit(f"none of the {len(rows)} clips can be read: {rows[0].error}")


if __name__ == "__main__":
    main()
