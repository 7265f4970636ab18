"""Many scenes in one memory-mapped file: random access by token, checksums, no pickle.

A store is a folder: ``scenes.bin`` holds one record a scene (a JSON header that names its arrays, then the arrays,
aligned), ``index.npy`` one row a scene (token, offset, length, CRC-32), ``store.json`` the schema versions.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Optional, Union

import numpy as np
import numpy.typing as npt

from navsim_agents.errors import SceneError
from navsim_agents.scoring.scene import SCHEMA_VERSION, ScoringScene

STORE_VERSION = 1
DATA_FILE, INDEX_FILE, ABOUT_FILE = "scenes.bin", "index.npy", "store.json"
INDEX_DTYPE = np.dtype([("token", "U64"), ("offset", "<i8"), ("length", "<i8"), ("crc32", "<u4")])
ALIGNMENT = 64
HEADER_LENGTH_BYTES = 8
FLUSH_EVERY = 512

PathLike = Union[str, "os.PathLike[str]"]


class SceneStore:
    """Reads a store; behaves as a mapping from token to scene."""

    def __init__(self, path: PathLike) -> None:
        """Open a store.

        Raises:
            SceneError: the folder is no store, or one of another version, or its data are shorter than its index.
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
    def tokens(self) -> list[str]:
        """Tokens in the order in which they were written."""
        return list(self._row)

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
        if token not in self._row:
            raise KeyError(f"{token} is not among the {len(self)} scenes of {self._path}")
        entry = self._index[self._row[token]]
        record = self._data[int(entry["offset"]) : int(entry["offset"] + entry["length"])]
        if zlib.crc32(record.data) != int(entry["crc32"]):
            raise SceneError(f"scene {token} in {self._path} has a wrong checksum; copy or export it again")
        return ScoringScene.from_arrays(_decode(record))


class SceneStoreWriter:
    """Adds scenes to a store, new or not; what was flushed survives an interruption."""

    def __init__(self, path: PathLike) -> None:
        """Open a store for writing; bytes beyond its index are what an interruption left, and go."""
        self._path = Path(path)
        self._path.mkdir(parents=True, exist_ok=True)
        known = (self._path / ABOUT_FILE).exists()
        self._rows = list(_read_index(self._path)) if known else []
        self.tokens = {str(row["token"]) for row in self._rows}
        self._end = max((int(row["offset"] + row["length"]) for row in self._rows), default=0)
        data = self._path / DATA_FILE
        data.touch()
        self._file = data.open("r+b")
        self._file.truncate(self._end)
        self._file.seek(self._end)
        if not known:
            self.flush()

    def add(self, scene: ScoringScene) -> None:
        """Append a scene.

        Raises:
            SceneError: its token is there already, or longer than the index holds.
        """
        if scene.token in self.tokens or len(scene.token) > INDEX_DTYPE["token"].itemsize // 4:
            raise SceneError(f"token {scene.token!r} is too long or in the store already; give each scene its own")
        record = _encode(scene.to_arrays())
        self._file.write(record)
        row = np.array((scene.token, self._end, len(record), zlib.crc32(record)), dtype=INDEX_DTYPE)
        self._rows.append(row)
        self.tokens.add(scene.token)
        self._end += len(record)
        if len(self._rows) % FLUSH_EVERY == 0:
            self.flush()

    def flush(self) -> None:
        """Write what was added to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        buffer = io.BytesIO()
        np.save(buffer, np.array(self._rows, dtype=INDEX_DTYPE), allow_pickle=False)
        _replace(self._path / INDEX_FILE, buffer.getvalue())
        about = {"store_version": STORE_VERSION, "schema_version": SCHEMA_VERSION, "scenes": len(self._rows)}
        _replace(self._path / ABOUT_FILE, json.dumps(about).encode())

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()

    def __enter__(self) -> SceneStoreWriter:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


def _read_index(path: Path) -> npt.NDArray:
    """Rows of the index, after a look at the versions."""
    try:
        about = json.loads((path / ABOUT_FILE).read_text())
        index = np.load(path / INDEX_FILE, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SceneError(f"{path} is not a scene store ({error}); write one with SceneStoreWriter") from error
    versions = (about.get("store_version"), about.get("schema_version"))
    if versions != (STORE_VERSION, SCHEMA_VERSION):
        raise SceneError(
            f"{path} has store and schema versions {versions}, but {(STORE_VERSION, SCHEMA_VERSION)} are read; "
            "export the scenes with this release"
        )
    return index


def _encode(arrays: dict[str, npt.NDArray]) -> bytes:
    """One record: length of the header, header, arrays, each aligned within the record."""
    entries, offset = {}, 0
    for name, array in arrays.items():
        entries[name] = (array.dtype.str, list(array.shape), offset)
        offset += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    header = json.dumps(entries).encode()
    start = -(-(HEADER_LENGTH_BYTES + len(header)) // ALIGNMENT) * ALIGNMENT
    record = bytearray(start + offset)
    record[:HEADER_LENGTH_BYTES] = len(header).to_bytes(HEADER_LENGTH_BYTES, "little")
    record[HEADER_LENGTH_BYTES : HEADER_LENGTH_BYTES + len(header)] = header
    for name, array in arrays.items():
        at = start + entries[name][2]
        record[at : at + array.nbytes] = np.ascontiguousarray(array).tobytes()
    return bytes(record)


def _decode(record: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray]:
    """Arrays of a record, as views."""
    length = int.from_bytes(record[:HEADER_LENGTH_BYTES].tobytes(), "little")
    entries = json.loads(record[HEADER_LENGTH_BYTES : HEADER_LENGTH_BYTES + length].tobytes())
    start = -(-(HEADER_LENGTH_BYTES + length) // ALIGNMENT) * ALIGNMENT
    return {
        name: np.ndarray(tuple(shape), np.dtype(kind), buffer=record, offset=start + offset)
        for name, (kind, shape, offset) in entries.items()
    }


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content)
    os.replace(partial, path)
