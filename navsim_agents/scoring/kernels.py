"""Compiles functions to machine code by Numba when they are first called, and keeps the result on the disk."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

import numba
from numba.core import event

from navsim_agents.scoring.machine_code import digest_of, folder_to_keep_in

Function = TypeVar("Function", bound=Callable[..., object])
LOGGER = logging.getLogger(__name__)
CONFIG: Any = numba.config


class Room:
    """A folder of kernels, whose machine code is kept for as long as its sources stay the same."""

    def __init__(self, module: str, what: str, folder: Path, *others: Path) -> None:
        """``what`` is said to be compiled; ``others`` are sources elsewhere that the kernels are made of."""
        self.package, self.what, self.folder = module.rpartition(".")[0], what, folder
        # Numba itself looks at the file of the function that is kept, not at those that it calls or reads numbers of.
        self.sources = (*sorted(folder.glob("*.py")), *others)
        event.register("numba:compile", _Announcement(self))

    @cached_property
    def digest(self) -> str:
        """A name for what the sources say; they are read once."""
        return digest_of(self.sources)

    def kernel(self, function: Function) -> Function:
        """What Python calls; neither it nor what it calls may make arrays."""
        folder = self.cache_folder(self.digest)
        if folder is None:
            return _compiled(function)
        with _numba_keeping_in(folder):
            return _compiled(function, cache=True)

    def cache_folder(self, digest: str) -> Optional[Path]:
        """Where machine code is kept: where Numba is told to, beside the sources, or with the user's; None: nowhere."""
        return folder_to_keep_in(CONFIG.CACHE_DIR, self.folder, digest)


@contextmanager
def _numba_keeping_in(folder: Path) -> Iterator[None]:
    """Functions that are wrapped meanwhile are kept there."""
    before = CONFIG.CACHE_DIR
    CONFIG.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        CONFIG.CACHE_DIR = before


def part(function: Function) -> Function:
    """What kernels alone call: it is compiled with them."""
    return _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def inlined(function: Function) -> Function:
    """The same, without calls: what is handed over, whole tables of arrays, costs more than most parts do."""
    return _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)


def pasted(function: Function) -> Function:
    """The same, put into each place that calls it, so that a loop around it can serve several lanes at once."""
    return _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, inline="always")


def _compiled(function: Function, **options: Any) -> Function:
    """Without Python's lock; without Numba's counting of references, which costs more than the work.

    Nor with what checks annotations in tests.
    """
    njit: Any = numba.njit
    plain = inspect.unwrap(function)
    return njit(plain, nogil=True, error_model="numpy", _nrt=False, **options)  # type: ignore[no-any-return]


class _Announcement(event.Listener):  # type: ignore[misc]
    """Says that it takes a while, at the first function of a room that has to be compiled."""

    def __init__(self, room: Room) -> None:
        self.room, self.is_due = room, True

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if self.is_due and module.startswith(self.room.package):
            self.is_due = False
            LOGGER.warning("compiling %s, once for this version: some 15 seconds", self.room.what)

    def on_end(self, event: Any) -> None:
        pass
