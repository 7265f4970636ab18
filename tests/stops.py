"""Stops of a reader: the files of this project that control passes through while something runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("navsim_agents", "training", "cache_tools")


@contextmanager
def stops() -> Iterator[set[str]]:
    """Fills with the product's files, relative to the root, in which a function was called within the block.

    Every Python call counts, comprehensions, properties and generated ``__init__`` excepted, as these belong to no
    file. Imports are not followed: what is run is counted, not what is mentioned.
    """
    seen: set[str] = set()

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            seen.add(frame.f_code.co_filename)

    found: set[str] = set()
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield found
    finally:
        sys.setprofile(before)
        found.update(name for name in map(_of_product, seen) if name)


def _of_product(path: str) -> str:
    try:
        relative = Path(path).resolve().relative_to(ROOT)
    except ValueError:
        return ""
    return relative.as_posix() if relative.parts[0] in PRODUCT else ""
