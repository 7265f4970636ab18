"""How the functions of this folder are compiled, and how it is said."""

from __future__ import annotations

import inspect
from typing import Any, Callable, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function as machine code: compiled at its first call on a machine, and read from disk from then on.

    It holds no lock of Python while it runs, divides by zero as NumPy does, and keeps the order of its sums.
    """
    plain = inspect.unwrap(function)  # without the checks of annotations, which Numba cannot read
    return numba.njit(cache=True, nogil=True, error_model="numpy", _nrt=False)(plain)  # type: ignore[no-any-return]


def pasted(function: Function) -> Function:
    """As :func:`compiled`, but put into each place that calls it: for what is small and called a million times.

    A call hands over every array of every table, which costs more than such a function's work.
    """
    plain = inspect.unwrap(function)
    return numba.njit(cache=True, nogil=True, error_model="numpy", inline="always", _nrt=False)(plain)  # type: ignore[no-any-return]
