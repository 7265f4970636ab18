"""What checks annotations while the tests run; as for mypy, an int will do where a float is asked for."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

CHECKED = ("navsim_agents", "cache_tools", "training")
"""Packages whose functions and dataclasses are checked."""
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""The decorator that the import hook puts on them."""
NAME = f"{__name__}.checked"
"""The same, as jaxtyping's import hook wants to be told of it."""
