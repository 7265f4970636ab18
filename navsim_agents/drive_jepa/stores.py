"""Scene stores and metric caches by path, opened once a process: builders stay small enough to travel to workers."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from navsim_agents.devkit.cache_files import list_metric_cache
from navsim_agents.errors import InputError
from navsim_agents.scoring import SceneStore, ScoringScene
from navsim_agents.scoring.scene_store import ABOUT_FILE, INDEX_FILE

DIGEST_LENGTH = 12
"""Hexadecimal digits that tell two stores apart in the names of cached files."""


class SceneStores:
    """One store, or a folder of them (as the built-in world writes it), behind one look-up."""

    def __init__(self, path: str) -> None:
        """Open every store at or below ``path``.

        Raises:
            InputError: there is none.
            SceneError: one is damaged.
        """
        self._path = path
        self._stores = [SceneStore(folder) for folder in store_folders(path)]

    def scene(self, token: str) -> ScoringScene:
        """The scene of ``token``.

        Raises:
            InputError: no store has it.
            SceneError: its record is damaged.
        """
        for store in self._stores:
            if token in store:
                return store[token]
        raise InputError(
            f"scene {token} is not in scene_store={self._path}, which holds {sum(map(len, self._stores))} scenes; "
            "export it (drive-jepa export-scenes metric_cache_path=… output=…), or leave it out by "
            "train_test_split.scene_filter.tokens=[…]"
        )


def store_folders(path: str) -> list[Path]:
    """Folders of the stores at or directly below ``path``.

    Raises:
        InputError: there is none.
    """
    folder = Path(path).expanduser()
    found = (
        [folder] if (folder / ABOUT_FILE).exists() else sorted(file.parent for file in folder.glob(f"*/{ABOUT_FILE}"))
    )
    if not found:
        raise InputError(
            f"scene_store={path} holds no scene store; write one with drive-jepa export-scenes, or give the "
            "scoring_scenes folder of a world made by drive-jepa world"
        )
    return found


@cache
def open_scene_stores(path: str) -> SceneStores:
    """The stores at ``path``, kept open for the life of the process."""
    return SceneStores(path)


@cache
def scene_store_digest(path: str) -> str:
    """Changes when a scene of the stores at ``path`` does: a hash of their indices, which hold checksums."""
    digest = hashlib.sha256()
    for folder in store_folders(path):
        digest.update((folder / INDEX_FILE).read_bytes())
    return digest.hexdigest()[:DIGEST_LENGTH]


@cache
def metric_cache_digest(path: str) -> str:
    """Changes when a scene of the metric cache at ``path`` does: a hash of its files' places, sizes and times [s].

    Not of the path, so that a cache may be moved; copies must keep the times of the files (``cp -a``, ``rsync -a``).

    Raises:
        DevkitError: there is no metric cache.
    """
    digest = hashlib.sha256()
    for entry in list_metric_cache(path).entries:
        about = entry.path.stat()
        digest.update(f"{entry.log_name}/{entry.token} {about.st_size} {int(about.st_mtime)}\n".encode())
    return digest.hexdigest()[:DIGEST_LENGTH]
