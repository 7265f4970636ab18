"""How the functions of this folder are compiled, and how it is said."""

from __future__ import annotations

import inspect
from typing import Any, Callable, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])
OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
"""Machine code is kept on the disk, holds no lock of Python while it runs, divides by zero as NumPy does, and makes no
arrays: so none has to be counted, which would cost more than most of what is done here."""
INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def entrance(function: Function) -> Function:
    """Compiles what Python calls."""
    return cast(Function, numba.njit(**OPTIONS)(_plain(function)))


def compiled(function: Function) -> Function:
    """Compiles what is called from compiled functions alone."""
    return cast(Function, numba.njit(**INNER)(_plain(function)))


def pasted(function: Function) -> Function:
    """The same, put into each place that calls it, so that a loop around it can serve several lanes at once."""
    return cast(Function, numba.njit(**INNER, inline="always")(_plain(function)))


def _plain(function: Function) -> Function:
    """The function without the checks of its annotations, which Numba cannot read."""
    return inspect.unwrap(function)
