"""Lists the driving videos of a data set in a manifest, and says what it found.

    drive-jepa index-videos layout=navsim root=$OPENSCENE_DATA_ROOT data_set=openscene output=openscene.jsonl

Layouts: ``videos`` (any folder of video files), ``covla``, ``drivingdojo``, ``folders`` (one folder of pictures a
video), ``navsim`` (OpenScene, NAVSIM and the built-in world). An interrupted run goes on where it stopped, and a later
run probes only what is new, has changed, or could not be read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Callable, Optional

from tqdm import tqdm

from navsim_agents.common.command import command
from navsim_agents.common.conventions import FRONT_CAMERA
from navsim_agents.common.processes import run_jobs
from navsim_agents.common.settings import READS, at_least, writes_file
from navsim_agents.errors import NavsimDriveJepaError, VideoError
from navsim_agents.video.guard import read_forbidden_logs
from navsim_agents.video.layouts import CovlaVideos, DrivingDojoFolders, Layout, PictureFolders, VideoFiles
from navsim_agents.video.manifest import Row, Unreadable, Video, read_any_rows, row_from_json, row_line, write_rows
from navsim_agents.video.navsim_layout import NavsimLogs

NUM_SHOWN = 5
SECONDS_PER_HOUR = 3600.0
DRIVINGDOJO_FPS = 5.0  # not verified: see docs/video_data.md


@dataclass(frozen=True)
class IndexVideosConfig:
    """Options of the command; paths are relative to the working directory."""

    layout: str
    root: str = field(metadata=READS)
    output: str = field(metadata=writes_file(".jsonl"))
    data_set: Optional[str] = None  # name in the manifest; the layout's by default
    fps: Optional[float] = None  # layouts of picture folders: pictures a second
    split: str = "trainval"  # layout navsim: folder of navsim_logs
    camera: str = FRONT_CAMERA  # layout navsim
    forbidden_logs: Optional[str] = field(
        default=None, metadata=READS
    )  # layout navsim: file of log names to refuse, e.g. the devkit's navtest.yaml
    workers: int = field(default=2, metadata=at_least(0))  # processes; 0 works in this one


def _navsim(config: IndexVideosConfig, name: str) -> Layout:
    forbidden = read_forbidden_logs(Path(config.forbidden_logs)) if config.forbidden_logs else frozenset()
    return NavsimLogs(name, Path(config.root), config.split, config.camera, forbidden)


LAYOUTS: dict[str, Callable[[IndexVideosConfig, str], Layout]] = {
    "videos": lambda config, name: VideoFiles(name, Path(config.root)),
    "covla": lambda config, name: CovlaVideos(name, Path(config.root)),
    "folders": lambda config, name: PictureFolders(name, Path(config.root), config.fps or 0.0),
    "drivingdojo": lambda config, name: DrivingDojoFolders(name, Path(config.root), config.fps or DRIVINGDOJO_FPS),
    "navsim": _navsim,
}


@command(IndexVideosConfig, "cache_tools.conf.index_videos")
def main(config: IndexVideosConfig) -> None:
    """Index, write the manifest and print what is in it."""
    print(describe(index_videos(config)))


def build_layout(config: IndexVideosConfig) -> Layout:
    """The layout that ``config`` names.

    Raises:
        VideoError: there is none of that name.
    """
    if config.layout not in LAYOUTS:
        raise VideoError(f"layout={config.layout!r} is unknown; choose from {', '.join(LAYOUTS)}")
    return LAYOUTS[config.layout](config, config.data_set or config.layout)


def index_videos(config: IndexVideosConfig) -> list[Row]:
    """Probe what is not known yet, write ``config.output`` whole or not at all, and return its rows.

    Rows found by an interrupted run are in ``<output>.partial``.

    Raises:
        VideoError: the root has not this layout, or holds test data, or a package that reads it is missing.
    """
    layout = build_layout(config)
    output = Path(config.output)
    partial = output.with_name(output.name + ".partial")
    sources = layout.sources()
    known = _known_rows(output, partial, layout)
    fresh = [source for source in sources if source not in known]
    if fresh:
        layout.check_tools()
    write_rows(partial, _whole_lines(partial))  # a torn line would spoil the next one
    with partial.open("a", encoding="utf-8") as file:
        for source, rows in _probe_all(layout, fresh, config.workers):
            known[source] = rows
            file.write("".join(map(row_line, rows)))
            file.flush()
    found = [row for source in sources for row in known[source]]
    write_rows(output, found)
    partial.unlink()
    return found


def _known_rows(output: Path, partial: Path, layout: Layout) -> dict[str, list[Row]]:
    """Rows by source, of sources that could be read and are still what they were when they were probed."""
    rows = read_any_rows(output) if output.exists() else []
    known: dict[str, list[Row]] = {}
    for row in [*rows, *_whole_lines(partial)]:
        if not isinstance(row, Video) or row.is_outdated or row.data_set != layout.data_set:
            continue
        if row.stamp == layout.stamp(row.source):
            known.setdefault(row.source, []).append(row)
    return known


def _whole_lines(partial: Path) -> list[Row]:
    """Rows of an interrupted run; its last line may be torn, and so may the last source's rows, which are left out."""
    lines = partial.read_text(encoding="utf-8").split("\n")[:-1] if partial.exists() else []
    rows = [row_from_json(json.loads(line)) for line in lines]
    return [row for row in rows if row.source != rows[-1].source]


def _probe_all(layout: Layout, sources: Sequence[str], workers: int) -> Iterator[tuple[str, list[Row]]]:
    """(source, rows) as they are found, with a progress bar."""
    progress = tqdm(total=len(sources), desc=f"indexing {layout.data_set}", unit="source", disable=not sources)
    with progress:
        for result in _results(layout, sources, workers):
            progress.update()
            yield result


def _results(layout: Layout, sources: Sequence[str], workers: int) -> Iterator[tuple[str, list[Row]]]:
    yield from run_jobs(partial(probe_source, layout), sources, workers if len(sources) > 1 else 0, in_order=True)


def probe_source(layout: Layout, source: str) -> tuple[str, list[Row]]:
    """Rows of one source: its videos, or the reason why there are none."""
    try:
        return source, [*layout.probe(source)]
    except (NavsimDriveJepaError, OSError) as error:
        return source, [Unreadable(layout.data_set, source, layout.stamp(source), str(error))]


def describe(rows: Sequence[Row]) -> str:
    """Hours, rates and sizes of each data set, and the first of its unreadable sources."""
    lines = []
    for name in sorted({row.data_set for row in rows}):
        videos = [row for row in rows if isinstance(row, Video) and row.data_set == name]
        broken = [row for row in rows if isinstance(row, Unreadable) and row.data_set == name]
        hours = sum(video.duration_s for video in videos) / SECONDS_PER_HOUR
        lines.append(f"{name}: {len(videos)} videos, {hours:.2f} h, {len(broken)} unreadable")
        lines.append(f"  fps: {_counts([f'{video.fps:g}' for video in videos])}")
        lines.append(f"  size: {_counts([f'{video.width}x{video.height}' for video in videos])}")
        lines.append(f"  codec: {_counts([video.codec for video in videos])}")
        durations = sorted(video.duration_s for video in videos)
        if durations:
            middle = durations[len(durations) // 2]
            lines.append(f"  duration: {durations[0]:.1f} … {middle:.1f} … {durations[-1]:.1f} s (least, median, most)")
        lines += [f"  unreadable: {row.source}: {row.error}" for row in broken[:NUM_SHOWN]]
        if len(broken) > NUM_SHOWN:
            lines.append(f"  and {len(broken) - NUM_SHOWN} more: see the lines of the manifest that have an error")
    return "\n".join(lines)


def _counts(values: Sequence[str]) -> str:
    common = Counter(values).most_common(NUM_SHOWN)
    rest = len(set(values)) - len(common)
    return ", ".join(f"{value} ({count})" for value, count in common) + (f", {rest} others" if rest else "")


if __name__ == "__main__":
    main()
