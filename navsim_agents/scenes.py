"""Where scoring scenes come from: a scene store, a folder of several, or a NAVSIM metric cache.

Every command calls the place ``scenes`` and reads it through :func:`open_scenes`, which looks at what lies there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Optional, Protocol, runtime_checkable

from navsim_agents.devkit.cache_files import CacheEntry, holds_metric_cache, list_metric_cache
from navsim_agents.errors import InputError
from navsim_agents.scoring import SceneStore, ScoringScene
from navsim_agents.scoring.scene_store import ABOUT_FILE, INDEX_FILE

DIGEST_LENGTH = 12
"""Hexadecimal digits that tell two sources apart in the names of cached files."""
KINDS = (
    "a scene store (of drive-jepa export-scenes), a folder of such stores (as scoring_scenes/ of a world of "
    "drive-jepa world), or a metric cache (of NAVSIM's run_metric_caching)"
)


@runtime_checkable
class Scenes(Protocol):
    """Scoring scenes by token."""

    @property
    def tokens(self) -> list[str]:
        """Tokens of all scenes."""

    @property
    def checksums(self) -> Optional[Mapping[str, int]]:
        """CRC-32 of each scene's record by token; None where the scenes have none."""

    @property
    def digest(self) -> str:
        """Changes when a scene does, but not with the place."""

    def scene(self, token: str, /) -> ScoringScene:
        """The scene of ``token``.

        Raises:
            InputError: there is none.
            SceneError: its record is damaged, or breaks a rule of scoring scenes.
            DevkitError: its metric cache cannot be read.
        """


class StoreScenes:
    """One scene store, or several as if they were one."""

    def __init__(self, path: str, folders: Sequence[Path]) -> None:
        """Open the stores in ``folders``; ``path`` is what the user calls them.

        Raises:
            SceneError: a store is damaged.
            InputError: two stores hold different scenes under one token.
        """
        self._path, self._folders = path, folders
        self._stores: dict[str, SceneStore] = {}
        self._checksums: dict[str, int] = {}
        for store in map(SceneStore, folders):
            self._take(store)

    def _take(self, store: SceneStore) -> None:
        for token, checksum in store.checksums.items():
            if self._checksums.setdefault(token, checksum) != checksum:
                raise InputError(
                    f"scene {token} of {self._stores[token].path} is another one in {store.path}, but a token has one "
                    "scene; give scenes= only one of these stores, or export both again by one release"
                )
            self._stores.setdefault(token, store)

    @property
    def tokens(self) -> list[str]:
        """Tokens in the order of the stores, and in each in which they were written."""
        return list(self._stores)

    @property
    def checksums(self) -> Mapping[str, int]:
        """CRC-32 of each scene's record."""
        return self._checksums

    @cached_property
    def digest(self) -> str:
        """A hash of the stores' indices, which hold checksums."""
        digest = hashlib.sha256()
        for folder in self._folders:
            digest.update((folder / INDEX_FILE).read_bytes())
        return digest.hexdigest()[:DIGEST_LENGTH]

    def scene(self, token: str) -> ScoringScene:
        """See :class:`Scenes`."""
        if token not in self._stores:
            raise _missing(token, len(self._stores), self._path, "export it (drive-jepa export-scenes …)")
        return self._stores[token][token]


class MetricCacheScenes:
    """A metric cache of either devkit, moved or not; scenes can be read where that devkit is on the path."""

    def __init__(self, path: str) -> None:
        """List the files of the cache at ``path``.

        Raises:
            DevkitError: there is no metric cache.
        """
        self._path = path
        self.entries: Mapping[str, CacheEntry] = list_metric_cache(Path(path).expanduser()).by_token()
        """Files of the cache by token."""

    @property
    def tokens(self) -> list[str]:
        """Tokens in order of log and token."""
        return list(self.entries)

    @property
    def checksums(self) -> None:
        """None: a metric cache has none."""

    @cached_property
    def digest(self) -> str:
        """A hash of the files' places, sizes and times [s]; copies must keep the times (``cp -a``, ``rsync -a``)."""
        digest = hashlib.sha256()
        for token, entry in self.entries.items():
            about = entry.path.stat()
            digest.update(f"{entry.log_name}/{token} {about.st_size} {int(about.st_mtime)}\n".encode())
        return digest.hexdigest()[:DIGEST_LENGTH]

    def scene(self, token: str) -> ScoringScene:
        """See :class:`Scenes`."""
        if token not in self.entries:
            raise _missing(token, len(self.entries), self._path, "cache it with NAVSIM's run_metric_caching")
        from navsim_agents.devkit.metric_cache import read_metric_scene  # imports the devkit, where there is one

        return read_metric_scene(self.entries[token].path)


def open_scenes(path: str) -> Scenes:
    """The scenes at ``path``, told by what lies there.

    Raises:
        InputError: nothing of the kind lies there, or more than one kind, or stores that contradict each other.
        SceneError: a store is damaged.
        DevkitError: all files of the metric cache are gone.
    """
    folder = Path(path).expanduser()
    stores, is_cache = _store_folders(folder), holds_metric_cache(folder)
    if stores and is_cache:
        raise InputError(
            f"scenes={path} holds a metric cache and the scene store {stores[0]}; move the store elsewhere and name "
            "one of the two"
        )
    if stores:
        return StoreScenes(path, stores)
    if is_cache:
        return MetricCacheScenes(path)
    raise InputError(f"scenes={path} {'holds no scenes' if folder.exists() else 'is not there'}; give {KINDS}")


@cache
def shared_scenes(path: str) -> Scenes:
    """As :func:`open_scenes`, kept open for the life of the process: what names a path stays small and can travel."""
    return open_scenes(path)


def open_metric_cache(path: str) -> MetricCacheScenes:
    """The metric cache at ``path``, for the devkit's own scorer.

    Raises:
        InputError: it is none.
        DevkitError: all its files are gone.
    """
    if not holds_metric_cache(Path(path).expanduser()):
        raise InputError(
            f"{path} is no metric cache, but the devkit's own scorer (backend=devkit, verify) reads nothing else; give "
            "what NAVSIM's run_metric_caching wrote as scenes=… or, for verify, as verify_scenes=…"
        )
    return MetricCacheScenes(path)


def _store_folders(folder: Path) -> list[Path]:
    """Folders of the stores at or directly below ``folder``, sorted."""
    if (folder / ABOUT_FILE).exists():
        return [folder]
    return sorted(file.parent for file in folder.glob(f"*/{ABOUT_FILE}"))


def _missing(token: str, count: int, path: str, way_in: str) -> InputError:
    return InputError(
        f"scene {token} is not among the {count} of scenes={path}; {way_in}, or leave it out "
        "(train_test_split.scene_filter.tokens=[…] or log_names=[…] without it)"
    )
