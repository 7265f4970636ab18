"""Compiles functions to machine code when they are first called, and keeps the result on the disk."""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

import numba
from numba.core import event

from navsim_agents.common.extras import DISTRIBUTION

Function = TypeVar("Function", bound=Callable[..., object])
LOGGER = logging.getLogger(__name__)
HERE = Path(__file__).resolve().parent
SOURCES = (*sorted(HERE.glob("*.py")), HERE.parent / "following.py")
"""What machine code is made of. Numba itself looks at the file of the function that is kept, not at those it calls."""
CONFIG: Any = numba.config
PACKAGE = __name__.rpartition(".")[0]


def digest_of(sources: tuple[Path, ...]) -> str:
    """A name for what the files say."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def cache_folder(digest: str) -> Optional[Path]:
    """Where machine code is kept: where Numba is told to, beside the sources, or with the user's; None: nowhere."""
    folders = [CONFIG.CACHE_DIR] if CONFIG.CACHE_DIR else [HERE / "__pycache__", _users_cache()]
    for folder in (Path(folder) / digest for folder in folders):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


def _users_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / DISTRIBUTION


@contextmanager
def _numba_keeping_in(folder: Path) -> Iterator[None]:
    """Functions that are wrapped meanwhile are kept there."""
    before = CONFIG.CACHE_DIR
    CONFIG.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        CONFIG.CACHE_DIR = before


def kernel(function: Function) -> Function:
    """``function`` without Python, kept on the disk; neither it nor what it calls may make arrays."""
    folder = cache_folder(digest_of(SOURCES))
    if folder is None:
        return _compiled(function)
    with _numba_keeping_in(folder):
        return _compiled(function, cache=True)


def part(function: Function) -> Function:
    """What kernels alone call: it is compiled with them."""
    return _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _compiled(function: Function, **options: Any) -> Function:
    """Without Numba's counting of references, which costs more than the work; nor what checks annotations in tests."""
    njit: Any = numba.njit
    return njit(inspect.unwrap(function), error_model="numpy", _nrt=False, **options)  # type: ignore[no-any-return]


class _Announcement(event.Listener):  # type: ignore[misc]
    """Says that it takes a while, at the first function that has to be compiled."""

    def __init__(self) -> None:
        self.is_due = True

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if self.is_due and module.startswith(PACKAGE):
            self.is_due = False
            LOGGER.warning("compiling reactive traffic, once for this version: some 20 seconds")

    def on_end(self, event: Any) -> None:
        pass


ANNOUNCEMENT = _Announcement()
event.register("numba:compile", ANNOUNCEMENT)
