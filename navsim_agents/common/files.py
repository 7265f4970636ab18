"""Files and folders that are there whole or not at all, and reading that names a broken file.

No other place of this package does that itself; ``tests/common/test_files.py`` sees to it.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import socket
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from navsim_agents.common.errors import InputError, NavsimDriveJepaError
from navsim_agents.common.processes import is_alive

MAKE_ANEW = "it may have been cut off or belong to something else: make it again"
PART = "[0-9a-f]" * 8
LEFTOVERS = (f".{PART * 3}.", f".{PART}.")
"""How unfinished names begin: machine, process and a random number; earlier releases had the random number alone."""
NO_FOLDER_SYNC = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS)
"""What systems answer that cannot force a folder to the disk: Windows, some network file systems."""
TARGET_IS_FULL = (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES)
"""What systems answer to a folder that shall take the place of one with files in it."""


@contextmanager
def whole_file(path: Path, *, is_forced: bool = True) -> Iterator[Path]:
    """A path next to ``path``, with its ending, to write to; it becomes ``path``, or is deleted on an error.

    Two writers never share it, and ``path`` is the old file or the new one whenever the process ends.

    Args:
        path: the file; its folder is made where there is none.
        is_forced: hold after a power cut too, by waiting for the disk, which takes some milliseconds a file. False is
            for thousands of small files whose writer looks at them again (:func:`is_there`), and for files in a
            :func:`whole_folder`, which waits for all of its files at its end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _beside(path)
    try:
        yield unfinished
        if is_forced:
            _force_file(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    if is_forced:
        _force_folder(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder next to ``path`` to fill; it takes the place of ``path``, or is deleted on an error.

    Two writers never share it; the later one's folder stays. What ``path`` held before is deleted as a whole.
    """
    unfinished = _beside(path)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        _force_tree(unfinished)
        _put_in_place(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    _force_folder(path.parent)


def is_there(path: Path) -> bool:
    """Whether ``path`` was written whole; an empty file is what a power cut leaves of one that was not forced."""
    try:
        return path.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def remove_leftovers(folder: Path, names: str, former: str = "") -> None:
    """Delete what killed writers left in ``folder``; only for those who know that nobody else is writing it.

    Args:
        folder: where the finished files or folders are.
        names: pattern of their names.
        former: pattern of the names that earlier releases gave to unfinished ones.
    """
    for pattern in (*(start + names for start in LEFTOVERS), former):
        for leftover in folder.glob(pattern) if pattern else ():
            _remove(leftover)


def remove_leftovers_of_the_dead(folder: Path) -> None:
    """Delete what writers left in ``folder`` that were processes of this machine and are gone; others may write on.

    This process itself counts as gone, for those who start anew often have the number of who was killed, in a container
    for instance: call it before you write. Where nobody can say who is gone (Windows), nothing is deleted.
    """
    for leftover in folder.glob(f"{LEFTOVERS[0]}*"):
        machine, process = leftover.name[1:9], int(leftover.name[9:17], 16)
        if machine == _machine() and (process == os.getpid() or not is_alive(process)):
            _remove(leftover)


def _remove(leftover: Path) -> None:
    if leftover.is_dir():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        leftover.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A hidden name in the same folder that nobody else has, and that tells whose it is."""
    return path.with_name(f".{_machine()}{os.getpid():08x}{secrets.token_hex(4)}.{path.name}")


def _machine() -> str:
    """Eight hexadecimal digits of this machine's name."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _put_in_place(folder: Path, path: Path) -> None:
    """``folder`` becomes ``path``; what others put there meanwhile is moved aside and then deleted."""
    while True:
        try:
            os.replace(folder, path)
            return
        except OSError as error:
            if error.errno not in TARGET_IS_FULL or path.is_file():  # where it is gone, another one moved it
                raise
        aside = _beside(path)
        try:
            os.replace(path, aside)
        except FileNotFoundError:
            continue  # another process moved it aside
        shutil.rmtree(aside, ignore_errors=True)


def _force_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _force_tree(folder: Path) -> None:
    for current, _, names in os.walk(folder):
        for name in names:
            _force_file(Path(current, name))
        _force_folder(Path(current))


def _force_folder(folder: Path) -> None:
    """Make renamed files survive a power cut, where the system can."""
    try:
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise


def write_bytes(path: Path, *parts: bytes, is_forced: bool = True) -> None:
    """``path`` with ``parts`` one after the other, whole or not at all; ``is_forced`` as in :func:`whole_file`."""
    with whole_file(path, is_forced=is_forced) as unfinished, unfinished.open("xb") as file:
        file.writelines(parts)


def write_text(path: Path, text: str) -> None:
    """``path`` with ``text``, whole or not at all, and the same bytes on every system."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """``value`` as indented JSON; NaN is refused, as JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def reading(path: Path, error: type[NavsimDriveJepaError] = InputError, way_out: str = MAKE_ANEW) -> Iterator[None]:
    """Inside, an error of reading ``path`` becomes an ``error`` that names it and ends with ``way_out``."""
    try:
        yield
    except NavsimDriveJepaError:
        raise
    except OSError as reason:
        raise error(f"{path} cannot be read ({reason.strerror or reason}); {way_out}") from reason
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as reason:
        words = f"no {reason}" if isinstance(reason, KeyError) else reason
        raise error(f"{path} is not what it should be ({words}); {way_out}") from reason


def read_text(path: Path, error: type[NavsimDriveJepaError] = InputError, way_out: str = MAKE_ANEW) -> str:
    """Contents of a text file.

    Raises:
        NavsimDriveJepaError: an ``error`` where there is no such file or it is no text; it ends with ``way_out``.
    """
    with reading(path, error, way_out):
        return path.read_text(encoding="utf-8")


def read_json(path: Path, error: type[NavsimDriveJepaError] = InputError, way_out: str = MAKE_ANEW) -> Any:
    """What a JSON file holds.

    Raises:
        NavsimDriveJepaError: as :func:`read_text`, or the text is no JSON.
    """
    with reading(path, error, way_out):
        return json.loads(path.read_text(encoding="utf-8"))
