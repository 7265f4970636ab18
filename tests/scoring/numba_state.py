"""What is remembered of Numba."""

from __future__ import annotations

from navsim_agents.common import extras
from navsim_agents.scoring import machine_code


def forget_numba() -> None:
    """Look anew whether Numba can be used."""
    extras.has_numba.cache_clear()
    machine_code.can_compile.cache_clear()
