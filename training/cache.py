"""A cache of what an agent's builders compute: one folder a log, one memory-mapped file a feature.

Layout::

    <folder>/stamp.json                    what built it: builders and their settings
    <folder>/<log>/features.<key>.npy      [scenes, ...] in the builder's own dtype (pictures stay uint8)
    <folder>/<log>/targets.<key>.npy
    <folder>/<log>/targets.<key>.text      values of any length, one after the other; .ends beside it: see columns.py
    <folder>/<log>/index.json              tokens in row order, skipped scenes with reasons, hash of the log

A log's folder appears whole or not at all, so an interrupted run goes on with the logs that are missing. What a
killed run left unfinished is deleted when the next one starts.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Union

import numpy as np
import torch
from tqdm import tqdm

from navsim_agents.common.ending import is_machines_fault
from navsim_agents.common.files import read_json, remove_leftovers_of_the_dead, whole_folder, write_json
from navsim_agents.common.processes import run_jobs
from navsim_agents.errors import InputError
from navsim_agents.scoring import PackedText
from navsim_agents.sources import SceneSource
from training.columns import Value, Writer, open_writers

SCHEMA = 1
INDEX_FILE = "index.json"
STAMP_FILE = "stamp.json"


@dataclass(frozen=True)
class Builders:
    """An agent's feature and target builders, in NAVSIM's interface."""

    features: Sequence[Any]
    targets: Sequence[Any]

    @classmethod
    def of(cls, agent: Any) -> Builders:
        """The builders that ``agent`` names."""
        return cls(agent.get_feature_builders(), agent.get_target_builders())

    def compute(self, scene: Any) -> dict[str, Value]:
        """Arrays and texts of one scene, keyed ``features.<key>`` and ``targets.<key>``."""
        agent_input = scene.get_agent_input()
        values = {}
        for builder in self.features:
            values.update(_named("features", builder.compute_features(agent_input)))
        for builder in self.targets:
            values.update(_named("targets", builder.compute_targets(scene)))
        return values

    def stamp(self) -> dict[str, Any]:
        """What decides the cache's content, in plain JSON types."""
        return {
            "schema": SCHEMA,
            "features": [_describe_builder(builder) for builder in self.features],
            "targets": [_describe_builder(builder) for builder in self.targets],
        }

    @property
    def unstamped(self) -> set[str]:
        """Keys of a stamp, of any release, that do not affect the cache's content."""
        parts = {"features": self.features, "targets": self.targets}
        return {
            f"{part}[{index}].settings.{name}"
            for part, builders in parts.items()
            for index, builder in enumerate(builders)
            for name in _unstamped(builder)
        }


@dataclass(frozen=True)
class LogResult:
    """What became of one log."""

    log_name: str
    num_cached: int
    skipped: dict[str, str] = field(default_factory=dict)  # token (empty for the log itself) -> reason


def build_cache(
    folder: Path,
    source: SceneSource,
    builders: Builders,
    log_names: Sequence[str],
    *,
    workers: int = 2,
    force: bool = False,
) -> list[LogResult]:
    """Cache ``log_names`` and return what became of each, in their order; logs that are there already are kept.

    A scene that cannot be read is skipped and named. Raises InputError where ``folder`` was built by other builders.
    """
    remove_leftovers_of_the_dead(folder)
    _check_stamp(folder, builders, force)
    missing = [name for name in log_names if not _is_cached(folder, source, name)]
    work = partial(cache_log, folder, source, builders)
    results = {result.log_name: result for result in _run(work, missing, workers)}
    return [results[name] if name in results else _result_of(folder, name) for name in log_names]


def cache_log(folder: Path, source: SceneSource, builders: Builders, log_name: str) -> LogResult:
    """Compute one log's columns and move its folder into place."""
    try:
        with whole_folder(folder / log_name) as unfinished:
            tokens, skipped = _write_log(unfinished, source, builders, log_name)
            index = {"tokens": tokens, "skipped": skipped, "fingerprint": source.fingerprint(log_name)}
            write_json(unfinished / INDEX_FILE, index)
    except _UnreadableLog as error:
        return LogResult(log_name, 0, {"": str(error)})
    return LogResult(log_name, len(tokens), skipped)


class _UnreadableLog(Exception):
    """A log that cannot be read; it is left out and reported."""


def _write_log(
    folder: Path, source: SceneSource, builders: Builders, log_name: str
) -> tuple[list[str], dict[str, str]]:
    try:
        return _write_scenes(folder, source.open(log_name), builders)
    except Exception as error:
        if is_machines_fault(error):
            raise
        raise _UnreadableLog(_reason(error)) from error


def _write_scenes(folder: Path, reader: Any, builders: Builders) -> tuple[list[str], dict[str, str]]:
    all_tokens = list(reader.tokens)
    tokens: list[str] = []
    skipped: dict[str, str] = {}
    writers: dict[str, Writer] = {}
    for token in all_tokens:
        try:
            row = builders.compute(reader.get_scene(token))
            writers = writers or open_writers(folder, row, len(all_tokens))
            _check_row(writers, row)
        except Exception as error:  # a bad scene is left out alone; its reason goes into the report
            if is_machines_fault(error):
                raise
            skipped[token] = _reason(error)
            continue
        for key, value in row.items():
            writers[key].append(value)
        tokens.append(token)
    for writer in writers.values():
        writer.close()
    return tokens, skipped


def _check_row(writers: Mapping[str, Writer], row: Mapping[str, Value]) -> None:
    if writers.keys() != row.keys():
        raise InputError(f"builders gave {sorted(row)}, but {sorted(writers)} for this log's first scene")
    for key, value in row.items():
        writers[key].check(value)


def _named(kind: str, values: Mapping[str, Union[torch.Tensor, PackedText]]) -> dict[str, Value]:
    return {f"{kind}.{key}": value if isinstance(value, PackedText) else value.numpy() for key, value in values.items()}


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _run(work: Any, log_names: Sequence[str], workers: int) -> Iterator[LogResult]:
    results = run_jobs(work, log_names, workers, threads=1)
    yield from tqdm(results, total=len(log_names), desc="caching logs", unit="log", disable=not log_names)


def _is_cached(folder: Path, source: SceneSource, log_name: str) -> bool:
    index = folder / log_name / INDEX_FILE
    return index.exists() and bool(read_json(index)["fingerprint"] == source.fingerprint(log_name))


def _result_of(folder: Path, log_name: str) -> LogResult:
    index = read_json(folder / log_name / INDEX_FILE)
    return LogResult(log_name, len(index["tokens"]), index["skipped"])


def _check_stamp(folder: Path, builders: Builders, force: bool) -> None:
    path = folder / STAMP_FILE
    stamp = builders.stamp()
    if folder.is_dir() and not path.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} holds files but no {STAMP_FILE}, so it is no cache; give another cache.path")
    if force and folder.exists():
        shutil.rmtree(folder)
    found = _differences(read_json(path), stamp) if path.exists() else ()
    differences = [difference for where, difference in found if where not in builders.unstamped]
    if differences:
        raise InputError(
            f"{folder} was built by other builders ({'; '.join(differences)}); give another cache.path or "
            "cache.force=true"
        )
    write_json(path, stamp)


def _differences(old: Any, new: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """The keys in which two stamps differ, each with both values in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), f"{where}.{key}" if where else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new)):
            yield from _differences(*pair, f"{where}[{index}]")
    elif old != new:
        yield where, f"{where}: {old} there, {new} now"


def _describe_builder(builder: Any) -> dict[str, Any]:
    """Name, class and settings, except those that the builder declares to have no effect on what it computes."""
    kind, unstamped = type(builder), _unstamped(builder)
    return {
        "name": builder.get_unique_name(),
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "settings": {key: _plain(value) for key, value in sorted(vars(builder).items()) if key not in unstamped},
    }


def _unstamped(builder: Any) -> Collection[str]:
    return getattr(builder, "unstamped", ())


def _plain(value: Any) -> Any:
    """``value`` in JSON types; arrays by their hash, unknown objects by their class and attributes."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if isinstance(value, Path):
        return str(value)
    return {"class": type(value).__qualname__, **_plain(getattr(value, "__dict__", {}))}
