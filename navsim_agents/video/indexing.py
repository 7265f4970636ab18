"""Indexing: the manifest of a layout's videos, which an interrupted run continues, and a summary of it in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from navsim_agents.common.processes import run_jobs
from navsim_agents.errors import NavsimDriveJepaError
from navsim_agents.video.layouts import Layout
from navsim_agents.video.manifest import Row, Unreadable, Video, read_any_rows, row_from_json, row_line, write_rows

NUM_SHOWN = 5
SECONDS_PER_HOUR = 3600.0


def index_layout(layout: Layout, output: Path, workers: int) -> list[Row]:
    """Probe what is not known yet, write the manifest ``output`` whole or not at all, and return its rows.

    Rows found by an interrupted run are in ``<output>.partial``.

    Args:
        layout: whose sources are listed.
        output: ``.jsonl``; rows of sources that have not changed since are taken from the one that is there.
        workers: processes; 0: this one alone.

    Raises:
        VideoError: the root does not have this layout, holds test data, or needs a package that is not installed.
    """
    partial_output = output.with_name(output.name + ".partial")
    sources = layout.sources()
    known = _known_rows(output, partial_output, layout)
    fresh = [source for source in sources if source not in known]
    if fresh:
        layout.check_tools()
    write_rows(partial_output, _whole_lines(partial_output))  # a torn line would spoil the next one
    with partial_output.open("a", encoding="utf-8") as file:
        for source, rows in _probe_all(layout, fresh, workers):
            known[source] = rows
            file.write("".join(map(row_line, rows)))
            file.flush()
    found = [row for source in sources for row in known[source]]
    write_rows(output, found)
    partial_output.unlink()
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
