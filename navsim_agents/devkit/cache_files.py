"""Where the files of a metric cache lie, whether or not its lists of files are still right.

The devkit writes ``<cache>/<log>/<scenario type>/<token>/metric_cache.pkl`` and lists the absolute paths in
``<cache>/metadata/*.csv``, one list a node. Its own loader reads the first list only and trusts the paths.
Nothing here needs the devkit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from navsim_agents.errors import DevkitError

FILE_NAME = "metric_cache.pkl"
METADATA_FOLDER = "metadata"
PARTS_BELOW_CACHE = 4  # log, scenario type, token, file name


@dataclass(frozen=True)
class CacheEntry:
    """One scene of a metric cache."""

    token: str
    log_name: str
    path: Path

    @staticmethod
    def of(path: Path) -> CacheEntry:
        """The entry of a file, by its place."""
        return CacheEntry(token=path.parent.name, log_name=path.parents[2].name, path=path)


@dataclass(frozen=True)
class CacheListing:
    """What a metric cache holds."""

    entries: tuple[CacheEntry, ...]  # files that are there, in order of log and token
    missing: tuple[CacheEntry, ...]  # listed, but neither here nor where the list says
    num_moved: int  # listed under another folder than the cache's own
    num_lists: int  # csv files read; 0 means that the folders were searched

    def by_token(self) -> dict[str, CacheEntry]:
        """Entries by token."""
        return {entry.token: entry for entry in self.entries}


def holds_metric_cache(folder: Path) -> bool:
    """Whether ``folder`` looks like a metric cache: it has lists of files, or a file where they would be."""
    places = ((folder / METADATA_FOLDER).glob("*.csv"), folder.glob(f"*/*/*/{FILE_NAME}"))
    return any(next(found, None) is not None for found in places)


def list_metric_cache(cache: Union[str, Path]) -> CacheListing:
    """Find the files of a metric cache: every list merged, paths re-rooted; without a list, by searching the folders.

    A file below ``cache`` is preferred to the same scene's at the listed absolute path, which may be another cache's.

    Raises:
        DevkitError: there is no such folder, or it holds no metric cache.
    """
    root = Path(cache)
    if not root.is_dir():
        raise DevkitError(
            f"{root} is no folder, but a metric cache is one, as NAVSIM's run_metric_caching wrote it; check the path"
        )
    lists = sorted((root / METADATA_FOLDER).glob("*.csv"))
    listed = sorted({line for path in lists for line in _lines(path)})
    if not lists:
        listed = [str(path) for path in sorted(root.glob(f"*/*/*/{FILE_NAME}"))]
    if not listed:
        raise DevkitError(
            f"{root} has no metric caches: {len(lists)} lists in {METADATA_FOLDER}/ and no <log>/<type>/<token>/"
            f"{FILE_NAME}; run NAVSIM's run_metric_caching, or check the path"
        )
    return _resolve(root, listed, len(lists))


def _lines(path: Path) -> list[str]:
    """Paths in one list; the first line is the heading."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [line.strip() for line in lines if line.strip()]


def _resolve(root: Path, listed: list[str], num_lists: int) -> CacheListing:
    """Look for each listed file, below ``root`` first; a scene that two lists name counts once."""
    found: dict[str, CacheEntry] = {}
    missing: dict[str, CacheEntry] = {}
    num_moved = 0
    for line in listed:
        path = Path(line)
        here = root.joinpath(*path.parts[-PARTS_BELOW_CACHE:])
        num_moved += os.path.abspath(here) != str(path)
        for candidate in (here, path):
            if candidate.is_file():
                found.setdefault(path.parent.name, CacheEntry.of(candidate))
                break
        else:
            missing[path.parent.name] = CacheEntry.of(here)
    return CacheListing(
        entries=tuple(sorted(found.values(), key=lambda entry: (entry.log_name, entry.token))),
        missing=tuple(entry for token, entry in missing.items() if token not in found),
        num_moved=num_moved,
        num_lists=num_lists,
    )
