"""A chain of commands that can be interrupted and resumed: finished stages are skipped."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from navsim_agents.commands import command_line, executable_line
from navsim_agents.common.files import read_json, write_json
from navsim_agents.common.processes import run_program
from navsim_agents.errors import NavsimDriveJepaError

RECORD_FOLDER = "stages"


@dataclass(frozen=True)
class Stage:
    """One command. Its results depend on ``arguments`` and on the stages before it, but not on ``running``."""

    name: str
    purpose: str
    module: str
    arguments: tuple[str, ...]
    folder: Path  # its only output; emptied if a run with other arguments wrote there
    running: tuple[str, ...] = ()  # how to run: processes, threads

    @property
    def command(self) -> list[str]:
        """What a user would type."""
        return command_line(self.module, *self.arguments, *self.running)

    @property
    def executable(self) -> list[str]:
        """What is run: the same command, found in the same way whatever lies in the working directory."""
        return executable_line(self.module, *self.arguments, *self.running)


@dataclass(frozen=True)
class StageResult:
    """How long a stage took when it ran, and whether that was now."""

    name: str
    seconds: float
    is_new: bool
    processor_seconds: float = 0.0  # of all its processes; 0 where the system does not tell (Windows)


class StageError(NavsimDriveJepaError):
    """A stage's command failed."""


def run_stages(
    output: Path, stages: Sequence[Stage], version: str, environment: Optional[Mapping[str, str]] = None
) -> list[StageResult]:
    """Run what is not finished, in order. A stage is finished when its stamp and those before it match.

    Raises StageError where a command fails; finished stages are kept, and the next call resumes after them.
    """
    results = []
    stamp = version
    for index, stage in enumerate(stages):
        stamp = _stamp(stamp, stage)
        title = f"[{index + 1}/{len(stages)}] {stage.name}: {stage.purpose}"
        record = _read_record(output, stage)
        if record.get("stamp") == stamp and record.get("is_finished"):
            print(f"{title}\n      done before, in {record['seconds']:.0f} s", flush=True)
            results.append(_result(stage, record, is_new=False))
            continue
        print(f"{title}\n      {shlex.join(stage.command)}", flush=True)
        if record.get("stamp") != stamp:
            shutil.rmtree(stage.folder, ignore_errors=True)
            record = {"stamp": stamp, "seconds": 0.0, "processor_seconds": 0.0, "is_finished": False}
        results.append(_run_stage(output, stage, record, environment))
    return results


def _run_stage(
    output: Path, stage: Stage, record: dict[str, Any], environment: Optional[Mapping[str, str]]
) -> StageResult:
    write_json(_record_path(output, stage), record)
    start, processor = time.monotonic(), _processor_seconds()
    try:
        code = run_program(stage.executable, environment or {})
    finally:
        seconds = record["seconds"] + time.monotonic() - start
        spent = record.get("processor_seconds", 0.0) + _processor_seconds() - processor
        record = {**record, "seconds": round(seconds, 1), "processor_seconds": round(spent, 1)}
        write_json(_record_path(output, stage), record)
    if code:
        raise StageError(f"stage {stage.name} ended with exit code {code}; run the same command to go on from here")
    write_json(_record_path(output, stage), {**record, "is_finished": True})
    return _result(stage, record, is_new=True)


def _result(stage: Stage, record: Mapping[str, Any], is_new: bool) -> StageResult:
    return StageResult(stage.name, record["seconds"], is_new, record.get("processor_seconds", 0.0))


def _processor_seconds() -> float:
    """Of the programs that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _stamp(previous: str, stage: Stage) -> str:
    content = json.dumps([previous, stage.name, stage.module, stage.arguments])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _record_path(output: Path, stage: Stage) -> Path:
    return output / RECORD_FOLDER / f"{stage.name}.json"


def _read_record(output: Path, stage: Stage) -> dict[str, Any]:
    path = _record_path(output, stage)
    return dict(read_json(path)) if path.exists() else {}


def in_hydra(value: Any) -> str:
    """``value`` as Hydra's command line reads it: words bare or in double quotes, no space outside of them."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{in_hydra(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(in_hydra, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower()
