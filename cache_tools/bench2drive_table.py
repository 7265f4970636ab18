"""Makes a table of Bench2Drive's result files: scores, success, efficiency, smoothness, abilities.

    drive-jepa bench2drive-table results=[FOLDER] routes=bench2drive220.xml save_path=SAVE_PATH output=FOLDER

``results``: files, folders of them or patterns (the benchmark's CHECKPOINT_ENDPOINTs). Each figure stands there as the
benchmark's own scripts give it and with each route of the route file counted once; routes that are missing, crashed or
there twice are named.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from navsim_agents.bench2drive.abilities import RELEASES
from navsim_agents.bench2drive.junctions import find_junctions, read_junctions
from navsim_agents.bench2drive.metrics import select
from navsim_agents.bench2drive.motion_files import read_motions
from navsim_agents.bench2drive.records import RouteRecord, read_records
from navsim_agents.bench2drive.routes import read_routes
from navsim_agents.bench2drive.table import Table, make_table
from navsim_agents.common.command import command
from navsim_agents.common.files import write_json, write_text
from navsim_agents.common.settings import READS, WRITES_FOLDER
from navsim_agents.errors import InputError, SettingError

OF_THE_TOOLS = ("merged.json", "_ability.json")
"""Ends of names that the benchmark's tools write beside result files."""


@dataclass(frozen=True)
class Bench2DriveTableConfig:
    """Options of the command, explained in ``conf/bench2drive_table.yaml``."""

    results: list[str] = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    routes: Optional[str] = field(default=None, metadata=READS)
    save_path: Optional[str] = field(default=None, metadata=READS)
    release: str = RELEASES[0]
    junctions: Optional[str] = field(default=None, metadata=READS)
    carla_root: Optional[str] = field(default=None, metadata=READS)

    def __post_init__(self) -> None:
        """Raises SettingError on a release that is none, or nothing to read."""
        if self.release not in RELEASES:
            raise SettingError(f"release={self.release}, but must be one of {', '.join(RELEASES)}; correct it")
        if not self.results:
            raise SettingError("results=[] names no result file; write results=[FOLDER]")


def find_result_files(places: Sequence[str]) -> list[Path]:
    """Result files in order: files as given, the ``.json`` files of folders but those of the benchmark's tools.

    Raises:
        InputError: there is none at one of the places.
    """
    found: dict[Path, None] = {}
    for place in places:
        named = [Path(place)] if Path(place).exists() else [Path(name) for name in sorted(glob.glob(place))]
        files = [file for path in named for file in (_of_folder(path) if path.is_dir() else [path])]
        if not files:
            raise InputError(f"{place} has no result file; give CHECKPOINT_ENDPOINTs (.json), or their folder")
        found.update(dict.fromkeys(files))
    return list(found)


def _of_folder(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.json")) if not path.name.endswith(OF_THE_TOOLS)]


def read_all(files: Sequence[Path]) -> tuple[list[RouteRecord], list[str]]:
    """Records of all files, and a note on each that cannot be read.

    Raises:
        InputError: none can be.
    """
    records: list[RouteRecord] = []
    broken = []
    for path in files:
        try:
            records += read_records(path)
        except InputError as error:
            broken.append(str(error))
    if len(broken) == len(files):
        raise InputError(broken[0])
    return records, broken


def bench2drive_table(config: Bench2DriveTableConfig) -> Table:
    """Make the table and write ``table.md``, ``table.csv`` and ``table.json``.

    Raises:
        InputError: no results, or a file that is named in the settings is not what it should be.
    """
    routes = None if config.routes is None else read_routes(Path(config.routes))
    records, broken = read_all(find_result_files(config.results))
    junctions = {} if config.junctions is None else read_junctions(Path(config.junctions))
    selection = select(records, routes)
    if config.carla_root is not None and routes is not None:
        unknown = [route for route in routes if route.number not in junctions]
        junctions.update(find_junctions(unknown, Path(config.carla_root)))
    motions = None if config.save_path is None else read_motions(Path(config.save_path), records)
    table = make_table(records, selection, routes, motions, junctions, config.release)
    table.notes.extend(f"not counted: {reason}" for reason in broken)
    folder = Path(config.output)
    write_text(folder / "table.md", table.markdown())
    write_text(folder / "table.csv", table.csv())
    write_json(folder / "table.json", table.to_json())
    if junctions:
        write_json(folder / "junctions.json", junctions)
    return table


@command(Bench2DriveTableConfig, "cache_tools.conf.bench2drive_table")
def main(config: Bench2DriveTableConfig) -> None:
    """Write the table and print it."""
    print(bench2drive_table(config).markdown(), end="")


if __name__ == "__main__":
    main()
