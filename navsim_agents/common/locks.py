"""A lock that one process holds on a file, by the means that the system has.

That is ``flock`` on the file itself where there is fcntl, elsewhere (Windows) ``msvcrt.locking`` on ``<file>.lock``.
Both end with the process, however it ends. Where neither is available, as on file systems without ``flock``, it is the
mere existence of ``<file>.lock``, which names its holder and is taken over where that one is dead.
"""

from __future__ import annotations

import errno
import importlib
import os
import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Callable, Optional

from navsim_agents.common.errors import InputError
from navsim_agents.common.processes import is_alive

SUFFIX = ".lock"
HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
NO_SUCH_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
Release = Callable[[], object]


class FileLock:
    """Held from its creation until :meth:`release`, until nothing refers to it, or until the process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock of ``path``, which is made where it is not there.

        Raises:
            BlockingIOError: it is held, in this process or another; ``strerror`` says by whom.
        """
        take = (_by_fcntl, _by_msvcrt, _by_existence)
        release = next(found for found in (way(path) for way in take) if found is not None)
        self._release = weakref.finalize(self, release)

    def release(self) -> None:
        """Release it; a second call does nothing."""
        self._release()


@contextmanager
def driving_alone(path: Path) -> Iterator[None]:
    """Inside, no other process drives routes into the folder of ``path``, a file that says so; both are made.

    Raises:
        InputError: another one does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(path)
    except BlockingIOError as error:
        raise InputError(f"{path.parent} is being driven by another process ({error.strerror}); wait for it") from error
    try:
        yield
    finally:
        lock.release()


def _by_fcntl(path: Path) -> Optional[Release]:
    fcntl = _module("fcntl")
    if fcntl is None:
        return None
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno in NO_SUCH_LOCKS:
            return None
        raise (_held(path, "another writer") if error.errno in HELD else error) from error
    return file.close


def _by_msvcrt(path: Path) -> Optional[Release]:
    msvcrt = _module("msvcrt")
    if msvcrt is None:
        return None
    file = _lock_file(path).open("ab")  # another file: a locked byte cannot be read by others
    try:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        file.close()
        raise (_held(path, "another writer") if error.errno in HELD else error) from error
    return partial(_unlock, msvcrt, file)


def _unlock(msvcrt: Any, file: IO[bytes]) -> None:
    file.seek(0)
    msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    file.close()


def _by_existence(path: Path) -> Release:
    lock = _lock_file(path)
    for _ in range(2):  # once more, after the lock of a holder that has ended was removed
        try:
            file = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            _put_away_if_dead(path)
            continue
        os.write(file, _me().encode())
        os.close(file)
        return partial(_remove_own, lock)
    raise _held(path, "another writer")


def _put_away_if_dead(path: Path) -> None:
    """Remove the lock of a process of this machine that is gone; raises BlockingIOError where it may be there."""
    lock = _lock_file(path)
    holder = _read(lock)
    host, _, pid = holder.rpartition(" ")
    if host != socket.gethostname() or not pid.isdigit() or is_alive(int(pid)):
        raise _held(path, f"process {pid or '?'} of {host or 'unknown'} (delete {lock} if that is gone)")
    aside = lock.with_name(f"{lock.name}.{os.getpid()}")
    try:
        os.replace(lock, aside)
    except FileNotFoundError:
        return  # another one put it away
    if _read(aside) != holder:  # another process moved it away and holds it now
        os.replace(aside, lock)
        raise _held(path, "another writer")
    aside.unlink()


def _remove_own(lock: Path) -> None:
    if _read(lock) == _me():  # and not a forked child's parent's
        lock.unlink()


def _held(path: Path, holder: str) -> BlockingIOError:
    return BlockingIOError(errno.EWOULDBLOCK, holder, str(path))


def _lock_file(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _me() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


def _module(name: str) -> Any:
    """A module of the standard library that some systems lack, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
