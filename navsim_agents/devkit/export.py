"""Exports a metric cache to scoring scenes through the devkit's own worker pools.

Scenes go out in waves: each worker writes a part of its own, the parts are joined to the store when the wave is over,
and what an interruption leaves behind is joined at the next start. A scene that fails is left out and reported.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from tqdm import tqdm

from navsim_agents.common.files import write_text
from navsim_agents.devkit.cache_files import CacheEntry, list_metric_cache
from navsim_agents.errors import NavsimDriveJepaError, SceneError
from navsim_agents.scoring import SceneStore, SceneStoreWriter
from navsim_agents.scoring.traffic.checks import require_traffic

PARTS_FOLDER = "parts"
SCENES_FOLDER = "npz"
REPORT_FILE = "export_report.json"
FORMATS = ("store", "npz")


@dataclass(frozen=True)
class Failure:
    """A scene that could not be exported, and why."""

    token: str
    path: str
    error: str


@dataclass
class ExportReport:
    """What an export did; written as JSON next to the scenes."""

    metric_cache_path: str
    num_lists: int  # csv files of the cache that were read
    num_moved: int  # files found elsewhere than these say
    num_known: int = 0  # scenes that were exported before
    num_exported: int = 0
    failures: list[Failure] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write the report, whole or not at all."""
        write_text(folder / REPORT_FILE, json.dumps(asdict(self), indent=1))


@dataclass(frozen=True)
class _Task:
    """One scene for a worker, with where its wave's parts go."""

    entry: CacheEntry
    output: str
    is_npz: bool
    logs: Optional[str]
    with_traffic: bool


def export_metric_cache(
    cache: Path,
    output: Path,
    worker: Any,
    scene_format: str = "store",
    logs: Optional[Path] = None,
    scenes_per_wave: int = 64,
    show_progress: bool = True,
    with_traffic: bool = False,
) -> ExportReport:
    """Export every scene of ``cache`` that ``output`` does not have yet.

    Args:
        worker: the devkit's ``WorkerPool``.
        scene_format: ``store`` writes a :class:`SceneStore`; ``npz`` writes ``npz/<token>.npz`` beside it.
        logs: ``navsim_logs/<split>``, for the human trajectories of v1.1's scenes.
        scenes_per_wave: per worker; an interruption loses at most that much work.
        with_traffic: scenes hold what reactive traffic needs (v2.2, and its map where the cache says that it is).

    Raises:
        DevkitError: there is no metric cache at ``cache``.
        SceneError: ``output`` holds a store of another version, or scenes without the traffic that is wanted.
    """
    listing = list_metric_cache(cache)
    output.mkdir(parents=True, exist_ok=True)
    report = ExportReport(str(cache), listing.num_lists, listing.num_moved)
    gone = "the cache lists this scene, but its file is neither below the cache nor where the list says"
    report.failures += [Failure(entry.token, str(entry.path), gone) for entry in listing.missing]
    with SceneStoreWriter(output) as store:
        _join_parts(output, store)
        is_npz = scene_format == "npz"
        todo = [entry for entry in listing.entries if not _is_exported(entry.token, store, output, is_npz)]
        report.num_known = len(listing.entries) - len(todo)
        if with_traffic:
            _refuse_without_traffic(output, [entry.token for entry in listing.entries if entry not in todo])
        tasks = [_Task(entry, str(output), is_npz, str(logs) if logs else None, with_traffic) for entry in todo]
        with tqdm(total=len(tasks), desc="scenes", disable=not show_progress) as progress:
            for wave in _waves(tasks, scenes_per_wave * max(1, worker.number_of_threads)):
                failures = _run(worker, wave)
                _join_parts(output, store)
                report.failures += failures
                report.num_exported += len(wave) - len(failures)
                report.write(output)
                progress.update(len(wave))
    report.write(output)
    return report


def export_chunk(tasks: list[_Task]) -> list[Failure]:
    """Export some scenes to a part of their own; runs in a worker."""
    from navsim_agents.devkit.logged_future import LoggedFutures

    if not tasks:
        return []
    futures = LoggedFutures(tasks[0].logs) if tasks[0].logs else None
    part = Path(tasks[0].output) / PARTS_FOLDER / uuid.uuid4().hex
    with SceneStoreWriter(part) as store:
        outcomes = [_export_one(task, store, futures) for task in tasks]
    return [failure for failure in outcomes if failure is not None]


def _export_one(task: _Task, store: SceneStoreWriter, futures: Any) -> Optional[Failure]:
    """Add one scene to the part, or report why not."""
    from navsim_agents.devkit.metric_cache import read_metric_scene

    try:
        scene = read_metric_scene(task.entry.path, futures, task.with_traffic)
        if task.is_npz:
            folder = Path(task.output) / SCENES_FOLDER
            folder.mkdir(exist_ok=True)
            scene.save(folder / f"{scene.token}.npz")
        store.add(scene)
    except Exception as error:  # a fault of one scene must not stop the others
        kind = "" if isinstance(error, NavsimDriveJepaError) else f"{type(error).__name__}: "
        return Failure(task.entry.token, str(task.entry.path), f"{kind}{error}")
    return None


def _refuse_without_traffic(output: Path, known: list[str]) -> None:
    """Scenes of an earlier export may have been written without traffic; one tells, for an export writes all alike."""
    if known:
        try:
            require_traffic(SceneStore(output)[known[0]])
        except SceneError as error:
            raise SceneError(f"{output}: {error}; write them to a new output") from error


def _is_exported(token: str, store: SceneStoreWriter, output: Path, is_npz: bool) -> bool:
    return token in store.tokens and (not is_npz or (output / SCENES_FOLDER / f"{token}.npz").is_file())


def _waves(tasks: Sequence[_Task], size: int) -> Iterator[list[_Task]]:
    for start in range(0, len(tasks), size):
        yield list(tasks[start : start + size])


def _run(worker: Any, wave: list[_Task]) -> list[Failure]:
    """Spread a wave over the workers, neighbours together, so that each log is read by few."""
    from nuplan.planning.utils.multithreading.worker_utils import worker_map

    return list(worker_map(worker, export_chunk, wave))


def _join_parts(output: Path, store: SceneStoreWriter) -> None:
    """Move the scenes of finished parts into the store, record by record; a damaged record is exported again."""
    folder = output / PARTS_FOLDER
    for part in sorted(folder.glob("*")):
        try:
            finished = SceneStore(part)
            records = [(token, finished.record(token)) for token in finished.tokens if token not in store.tokens]
        except SceneError:  # a worker was killed while it wrote
            continue
        for token, record in records:
            store.add_record(token, record.tobytes())
    store.flush()
    shutil.rmtree(folder, ignore_errors=True)
