"""Columns of a cached log, one value a scene: arrays of one shape in one memory map, texts one after the other.

``<key>.npy`` is an array [scenes, ...]. ``<key>.text`` holds texts (:class:`PackedText`) without separators, each of
its own length; ``<key>.ends`` [scenes] is a NumPy array of the positions where they end.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from navsim_agents.common.files import whole_file
from navsim_agents.errors import InputError
from navsim_agents.scoring import PackedText

Value = Union[npt.NDArray[Any], PackedText]


class ArrayWriter:
    """Writes values of one shape and dtype."""

    def __init__(self, folder: Path, key: str, first: npt.NDArray[Any], most: int) -> None:
        """For at most ``most`` values like ``first``, which is not written yet."""
        self._path, self._key, self._count = folder / f"{key}.npy", key, 0
        shape = (most, *first.shape)
        self._rows = np.lib.format.open_memmap(self._path, mode="w+", dtype=first.dtype, shape=shape)
        _reserve(self._path)

    def check(self, value: Value) -> None:
        """Raises InputError where ``value`` is not like the first one."""
        shape = self._rows.shape[1:]
        if not isinstance(value, np.ndarray):
            raise InputError(f"{self._key} is a text, but an array in this log's first scene")
        if value.shape != shape:
            raise InputError(f"{self._key} has shape {value.shape}, but {shape} in this log's first scene")

    def append(self, value: Value) -> None:
        """Append a value that :meth:`check` accepted."""
        self._rows[self._count] = value
        self._count += 1

    def close(self) -> None:
        """Write everything to the disk, without the rows that were left out."""
        self._rows.flush()
        if self._count < len(self._rows):
            with whole_file(self._path, is_forced=False) as trimmed:  # the log's folder is, as a whole
                np.save(trimmed, self._rows[: self._count])


def _reserve(path: Path) -> None:
    """Reserve the file's disk space now: a write through a memory map that finds the disk full kills the process."""
    if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


class TextWriter:
    """Writes texts, each by its own length."""

    def __init__(self, folder: Path, key: str) -> None:
        self._ends: list[int] = []
        self._ends_path, self._key = folder / f"{key}.ends", key
        self._file = (folder / f"{key}.text").open("wb")

    def check(self, value: Value) -> None:
        """Raises InputError where ``value`` is no text."""
        if not isinstance(value, PackedText):
            raise InputError(f"{self._key} is an array, but a text in this log's first scene")

    def append(self, value: Value) -> None:
        """Append a value that :meth:`check` accepted."""
        assert isinstance(value, PackedText)
        self._file.write(value.encode("latin-1"))
        self._ends.append(self._file.tell())

    def close(self) -> None:
        """Write everything to the disk."""
        self._file.close()
        with self._ends_path.open("wb") as file:  # np.save would add a suffix to a path
            np.save(file, np.array(self._ends, dtype=np.int64))


Writer = Union[ArrayWriter, TextWriter]


def open_writers(folder: Path, row: Mapping[str, Value], most: int) -> dict[str, Writer]:
    """A writer for each value of the first scene."""
    return {
        key: TextWriter(folder, key) if isinstance(value, PackedText) else ArrayWriter(folder, key, value, most)
        for key, value in row.items()
    }


class ArrayColumn:
    """Reads what an ArrayWriter wrote."""

    def __init__(self, path: Path) -> None:
        self._rows = np.load(path, mmap_mode="r")

    def __getitem__(self, row: int) -> Tensor:
        return torch.from_numpy(np.array(self._rows[row]))


class TextColumn:
    """Reads what a TextWriter wrote."""

    def __init__(self, path: Path) -> None:
        """Open ``<key>.text``.

        Raises:
            InputError: its size is not the sum of its texts' sizes.
        """
        self._ends = np.load(path.with_suffix(".ends"))
        size, wanted = path.stat().st_size, int(self._ends.max(initial=0))
        if size != wanted:
            raise InputError(
                f"{path} has {size} bytes, but its texts need {wanted}; delete {path.parent} and run again"
            )
        self._data = np.memmap(path, dtype=np.uint8, mode="r") if size else np.zeros(0, dtype=np.uint8)

    def __getitem__(self, row: int) -> PackedText:
        start = self._ends[row - 1] if row else 0
        return PackedText(self._data[start : self._ends[row]].tobytes(), "latin-1")


Column = Union[ArrayColumn, TextColumn]


def open_columns(folder: Path) -> dict[str, Column]:
    """The columns of a log's folder by key."""
    arrays: dict[str, Column] = {path.stem: ArrayColumn(path) for path in sorted(folder.glob("*.npy"))}
    return arrays | {path.stem: TextColumn(path) for path in sorted(folder.glob("*.text"))}
