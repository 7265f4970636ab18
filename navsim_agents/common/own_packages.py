"""The packages of this distribution, found in their own place, even if a user has others of the same names."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

HOME = Path(__file__).resolve().parents[2]
"""The folder that holds the packages: a checkout, or that of the installed packages."""
NAMES = ("navsim_agents", "navsim_configs", "cache_tools", "training")


def put_own_packages_first() -> None:
    """Let ``import training`` find ours, even where a folder of that name lies in a place that is searched earlier.

    ``sys.path`` is changed, which worker processes inherit, and only as far as is needed: among its entries, ours
    stands right before the first that holds others of these names.
    """
    others = [index for index, entry in enumerate(sys.path) if _holds_others(entry)]
    if others:
        sys.path.insert(others[0], str(HOME))
    elif not all(_is_ours(find_spec(name)) for name in NAMES):
        sys.path.append(str(HOME))


def _holds_others(entry: str) -> bool:
    found = (PathFinder.find_spec(name, [entry]) for name in NAMES)
    return any(spec is not None and not _is_ours(spec) for spec in found)


def _is_ours(spec: Optional[ModuleSpec]) -> bool:
    places = () if spec is None else spec.submodule_search_locations or ()
    return any(Path(place).resolve().parent == HOME for place in places)
