"""Checkpoints by path, by pattern, or as a list of both."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

from navsim_agents.errors import InputError

Given = Union[str, Sequence[str]]
"""A path, a pattern such as ``RUN/checkpoints/*.ckpt``, or several of them."""


def find_checkpoints(given: Any, key: str = "checkpoints") -> list[Path]:
    """The files that are meant, each once, in the order given; those of one pattern in the order of their names.

    Args:
        given: see :data:`Given`.
        key: what the user calls this setting.

    Raises:
        InputError: it is no text and no list of texts, is empty, or a pattern fits no file.
    """
    patterns = [given] if isinstance(given, str) else given
    is_text = isinstance(patterns, Sequence) and all(isinstance(one, str) and one for one in patterns)
    if not is_text or not patterns:
        raise InputError(f"{key}={given!r}, but must be a path, a pattern, or a list of these: {key}=[…]")
    found: dict[Path, Path] = {}
    for pattern in patterns:
        for path in _matching(pattern, key):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _matching(pattern: str, key: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.exists() or not glob.has_magic(pattern):
        return [path]
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())
    if not found:
        raise InputError(
            f"{key}: no file is called {pattern}; name files that are there, in quotes where a shell reads"
        )
    return found
