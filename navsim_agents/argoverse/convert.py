"""A folder of sensor logs as a store of scoring scenes: log by log, resumable; a broken log costs that log.

The report beside the store says what each log gave. A log that is in it is done; one that failed is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Union

from tqdm import tqdm

from navsim_agents.argoverse.build import SceneBuilder
from navsim_agents.argoverse.log import ANNOTATIONS, MAP, POSES, read_log
from navsim_agents.common.ending import is_machines_fault
from navsim_agents.common.extras import MissingPackageError, require_extras
from navsim_agents.common.files import read_json, reading, write_json
from navsim_agents.common.processes import run_jobs
from navsim_agents.errors import InputError, NavsimDriveJepaError
from navsim_agents.scoring.scene_record import encode
from navsim_agents.scoring.scene_store import SceneStore, SceneStoreWriter

REPORT_FILE = "convert_report.json"
SCENES_FOLDER = "npz"
FORMATS = ("store", "npz")
MARKS = (ANNOTATIONS, POSES, MAP)
"""Any of them makes a folder a log."""
DEPTHS = ("", "*", "*/*")
"""Where logs are looked for below the root: it may be one, hold them, or hold their splits."""


@dataclass(frozen=True)
class LogResult:
    """What one log gave."""

    scenes: int
    off_lanes: int  # moments at which the ego was on no lane


@dataclass
class ConvertReport:
    """What was converted; written as JSON next to the scenes."""

    logs: dict[str, LogResult] = field(default_factory=dict)  # by their folders below the root
    failures: dict[str, str] = field(default_factory=dict)  # why a log gave nothing

    @property
    def num_scenes(self) -> int:
        """Of all logs."""
        return sum(result.scenes for result in self.logs.values())

    @property
    def num_off_lanes(self) -> int:
        """Of all logs."""
        return sum(result.off_lanes for result in self.logs.values())


@dataclass(frozen=True)
class _Converted:
    """One log's scenes as records of a store, or what is wrong with it."""

    source: str
    outcome: Union[LogResult, str]
    records: tuple[tuple[str, bytes], ...] = ()


def find_logs(root: Path) -> list[str]:
    """Folders of logs, relative to ``root``, sorted.

    Raises:
        InputError: there is none.
    """
    folders = {path for depth in DEPTHS for path in (root.glob(depth) if depth else [root]) if path.is_dir()}
    found = sorted(
        path.relative_to(root).as_posix() for path in folders if any((path / name).exists() for name in MARKS)
    )
    if not found:
        raise InputError(
            f"{root} holds no Argoverse 2 sensor log, which is a folder with {', '.join(MARKS)}; give the folder "
            "sensor, one of its splits or one log"
        )
    return found


def convert(root: Path, output: Path, workers: int) -> ConvertReport:
    """Convert what is not in ``output`` yet, which becomes a scene store.

    Args:
        root: the data set, one of its splits, or one log.
        output: folder of the store and its report.
        workers: processes; 0: this one alone.

    Raises:
        MissingPackageError: pyarrow is not installed.
        InputError: there is no log, or the report of an earlier run is broken.
        SceneError: ``output`` is another kind of store.
    """
    require_extras("argoverse")
    sources = find_logs(root)
    report = _read_report(output / REPORT_FILE)
    fresh = [source for source in sources if source not in report.logs]
    report.failures = {name: why for name, why in report.failures.items() if name not in fresh}
    with SceneStoreWriter(output) as writer:
        for converted in _convert_all(root, fresh, workers):
            for token, record in converted.records:
                if token not in writer.tokens:
                    writer.add_record(token, record)
            writer.flush()
            _enter(report, converted)
            write_json(output / REPORT_FILE, asdict(report))
    return report


def write_npz(output: Path) -> None:
    """Write the scenes of a store as archives too, which ``drive-jepa score-trajectories`` reads."""
    store = SceneStore(output)
    for token in tqdm(store, desc="writing archives", unit="scene"):
        path = output / SCENES_FOLDER / f"{token}.npz"
        if not path.exists():
            store[token].save(path)


def _enter(report: ConvertReport, converted: _Converted) -> None:
    if isinstance(converted.outcome, LogResult):
        report.logs[converted.source] = converted.outcome
    else:
        report.failures[converted.source] = converted.outcome


def _read_report(path: Path) -> ConvertReport:
    if not path.exists():
        return ConvertReport()
    found = read_json(path)
    with reading(path):
        return ConvertReport({name: LogResult(**result) for name, result in found["logs"].items()}, found["failures"])


def _convert_all(root: Path, sources: Sequence[str], workers: int) -> Iterator[_Converted]:
    jobs = [(root, source) for source in sources]
    results = run_jobs(_convert_log, jobs, workers if len(jobs) > 1 else 0, in_order=True)
    yield from tqdm(results, total=len(jobs), desc="converting", unit="log", disable=not jobs)


def _convert_log(job: tuple[Path, str]) -> _Converted:
    root, source = job
    try:
        log = read_log(root.resolve() / source)
        builder = SceneBuilder(log)
        times = builder.scene_times().tolist()
        scenes = [builder.build(time) for time in times if builder.has_route(time)]
    except MissingPackageError:
        raise
    except (NavsimDriveJepaError, OSError) as error:
        if is_machines_fault(error):
            raise
        return _Converted(source, str(error))
    records = tuple((scene.token, encode(scene.to_arrays())) for scene in scenes)
    return _Converted(source, LogResult(len(scenes), len(times) - len(scenes)), records)
