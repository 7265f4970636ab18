"""Parts of kernels, compiled so that tests may call them."""

from __future__ import annotations

from typing import Any, Callable

import numba

from navsim_agents.scoring.compiling import with_parts


def compiled(part: Callable[..., Any]) -> Callable[..., Any]:
    """A part as kernels have it, with a wrapper for Python."""
    inner = with_parts(part)

    def call(*arguments):
        return inner(*arguments)

    jit: Any = numba.njit
    return jit(call, error_model="numpy", _nrt=False)  # type: ignore[no-any-return]
