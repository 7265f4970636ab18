"""Many scenes in one memory-mapped file: random access by token, checksums, no pickle.

A store is a folder: ``scenes.bin`` holds one record a scene, ``index.npy`` one row a scene (token, offset, length,
CRC-32), ``store.json`` the schema versions. One process writes a store; several write one each, and
:func:`merge_stores` joins them.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Optional, Union

import numpy as np
import numpy.typing as npt

from navsim_agents.common.files import read_json, reading, remove_leftovers, write_bytes, write_text
from navsim_agents.common.locks import FileLock
from navsim_agents.errors import SceneError
from navsim_agents.scoring.scene import SCHEMA_VERSION, ScoringScene
from navsim_agents.scoring.scene_record import decode, encode

STORE_VERSION = 1
DATA_FILE, INDEX_FILE, ABOUT_FILE = "scenes.bin", "index.npy", "store.json"
INDEX_DTYPE = np.dtype([("token", "U64"), ("offset", "<i8"), ("length", "<i8"), ("crc32", "<u4")])
FLUSH_EVERY = 512
NO_STORE = "without it a folder is not a scene store: write one with SceneStoreWriter"
FORMER_LEFTOVERS = "{}.part"  # what earlier releases left unfinished

PathLike = Union[str, "os.PathLike[str]"]


class SceneStore:
    """Reads a store; behaves as a mapping from token to scene."""

    def __init__(self, path: PathLike) -> None:
        """Open a store.

        Raises:
            SceneError: the folder is not a store or is of another version, or its data are shorter than its index says.
        """
        self._path = Path(path)
        self._index = _read_index(self._path)
        self._row = {str(token): row for row, token in enumerate(self._index["token"])}
        data = self._path / DATA_FILE
        end = int((self._index["offset"] + self._index["length"]).max(initial=0))
        size = data.stat().st_size if data.exists() else 0
        if size < end:
            raise SceneError(f"{data} has {size} bytes, but its index needs {end}; copy the store again")
        self._data = np.memmap(data, dtype=np.uint8, mode="r") if size else np.zeros(0, dtype=np.uint8)

    @property
    def path(self) -> Path:
        """Folder of the store."""
        return self._path

    @property
    def tokens(self) -> list[str]:
        """Tokens in the order in which they were written."""
        return list(self._row)

    @property
    def checksums(self) -> dict[str, int]:
        """CRC-32 of each scene's record by token, as the index has them."""
        return dict(zip(self._row, self._index["crc32"].tolist()))

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, token: object) -> bool:
        return token in self._row

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __getitem__(self, token: str) -> ScoringScene:
        """The scene.

        Raises:
            KeyError: no such token.
            SceneError: the record's checksum is wrong.
        """
        return ScoringScene.from_arrays(decode(self.record(token)))

    def record(self, token: str) -> npt.NDArray[np.uint8]:
        """The scene's bytes; where they are damaged, only this scene is lost.

        Raises:
            KeyError: no such token.
            SceneError: the checksum is wrong.
        """
        if token not in self._row:
            raise KeyError(f"{token} is not among the {len(self)} scenes of {self._path}")
        entry = self._index[self._row[token]]
        record = self._data[int(entry["offset"]) : int(entry["offset"] + entry["length"])]
        if zlib.crc32(record.data) != int(entry["crc32"]):
            raise SceneError(f"scene {token} in {self._path} has a wrong checksum; copy or export it again")
        return record

    def __reduce__(self) -> tuple[type[SceneStore], tuple[Path]]:
        """Sends the path to other processes, not the data."""
        return SceneStore, (self._path,)


class SceneStoreWriter:
    """Adds scenes to a new or an existing store; what was flushed survives an interruption."""

    def __init__(self, path: PathLike) -> None:
        """Open a store for writing; bytes beyond its index, left by an interruption, are cut off.

        Raises:
            SceneError: another process is writing this store, or it is one of another version.
        """
        self._path = Path(path)
        self._path.mkdir(parents=True, exist_ok=True)
        data = self._path / DATA_FILE
        data.touch()
        self._lock = _lock_of(self._path)
        for name in (INDEX_FILE, ABOUT_FILE):
            remove_leftovers(self._path, name, FORMER_LEFTOVERS.format(name))
        self._file = data.open("r+b")
        known = (self._path / ABOUT_FILE).exists()
        self._rows = _read_index(self._path) if known else np.zeros(0, dtype=INDEX_DTYPE)
        self._new_rows: list[tuple[str, int, int, int]] = []
        self.tokens = {str(row["token"]) for row in self._rows}
        self._end = int((self._rows["offset"] + self._rows["length"]).max(initial=0))
        self._file.truncate(self._end)
        self._file.seek(self._end)
        if not known:
            self.flush()

    def add(self, scene: ScoringScene) -> None:
        """Append a scene.

        Raises:
            SceneError: its token is there already, or longer than the index holds.
        """
        self.add_record(scene.token, encode(scene.to_arrays()))

    def add_record(self, token: str, record: Union[bytes, memoryview]) -> None:
        """Append a scene's bytes, those of :meth:`SceneStore.record`.

        Raises:
            SceneError: as :meth:`add`.
        """
        if token in self.tokens or len(token) > INDEX_DTYPE["token"].itemsize // 4:
            raise SceneError(f"token {token!r} is too long or in the store already; give each scene its own")
        self._file.write(record)
        self._new_rows.append((token, self._end, len(record), zlib.crc32(record)))
        self.tokens.add(token)
        self._end += len(record)
        if len(self._new_rows) == FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what was added to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._rows = np.concatenate((self._rows, np.array(self._new_rows, dtype=INDEX_DTYPE)))
        self._new_rows = []
        buffer = io.BytesIO()
        np.save(buffer, self._rows, allow_pickle=False)
        write_bytes(self._path / INDEX_FILE, buffer.getvalue())
        about = {"store_version": STORE_VERSION, "schema_version": SCHEMA_VERSION, "scenes": len(self._rows)}
        write_text(self._path / ABOUT_FILE, json.dumps(about))

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()
        self._lock.release()

    def __enter__(self) -> SceneStoreWriter:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


def merge_stores(sources: Sequence[PathLike], target: PathLike) -> list[str]:
    """Append the scenes of ``sources`` to ``target``, a new store or not; scenes that it has already stay as they are.

    Returns:
        The tokens whose records were damaged and therefore left out.

    Raises:
        SceneError: a folder is not a store.
    """
    stores = [SceneStore(source) for source in sources]
    with SceneStoreWriter(target) as writer:
        return [token for store in stores for token in store if not _copy_record(store, token, writer)]


def _copy_record(store: SceneStore, token: str, writer: SceneStoreWriter) -> bool:
    """Whether the scene is in the writer's store now."""
    if token in writer.tokens:
        return True
    try:
        record = store.record(token)
    except SceneError:
        return False
    writer.add_record(token, record.data)
    return True


def _lock_of(store: Path) -> FileLock:
    """The lock of a store's data, held."""
    try:
        return FileLock(store / DATA_FILE)
    except BlockingIOError as error:
        raise SceneError(
            f"{store} is being written by {error.strerror}, but a store takes one at a time; give each its own "
            "folder and join them with merge_stores"
        ) from error


def _read_index(path: Path) -> npt.NDArray:
    """Rows of the index, after a look at the versions."""
    about = read_json(path / ABOUT_FILE, SceneError, NO_STORE)
    with reading(path / ABOUT_FILE, SceneError, NO_STORE):
        versions = (about.get("store_version"), about.get("schema_version"))
    if versions != (STORE_VERSION, SCHEMA_VERSION):
        raise SceneError(
            f"{path} has store and schema versions {versions}, but {(STORE_VERSION, SCHEMA_VERSION)} are read; "
            "export the scenes with this release"
        )
    with reading(path / INDEX_FILE, SceneError, NO_STORE):
        index: npt.NDArray = np.load(path / INDEX_FILE, allow_pickle=False)
        if index.dtype != INDEX_DTYPE or index.ndim != 1:
            raise ValueError(f"{index.dtype} {list(index.shape)}, but rows of {', '.join(INDEX_DTYPE.names or ())}")
    return index
