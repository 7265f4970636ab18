"""Whether a picture's file is whole, by three checks of increasing cost."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

import numpy as np
from PIL import Image

JPEG_SUFFIXES = (".jpg", ".jpeg")
START_MARKER, END_MARKER = b"\xff\xd8", b"\xff\xd9"  # ITU-T T.81, table B.1: SOI and EOI
MISSING = "missing"
TAIL_BYTES = 1024  # in which the end marker stands: some cameras append padding or notes


class PictureCheck(str, Enum):
    """How closely pictures are checked."""

    NAMES = "names"  # the file is listed: a look into each folder
    ENDS = "ends"  # and its size, first and last bytes are those of a whole JPEG: two reads a file
    DECODE = "decode"  # and Pillow decodes it, as NAVSIM's loaders do


def picture_fault(path: Path, check: PictureCheck) -> str:
    """What the file at ``path`` is, in a word or two, such as ``cut off``; "" where ``check`` finds nothing wrong."""
    if check is PictureCheck.NAMES:
        return "" if path.is_file() else MISSING
    try:
        fault = _fault_of_ends(path)
        if not fault and check is PictureCheck.DECODE:
            with Image.open(path) as picture:
                np.asarray(picture)
    except FileNotFoundError:
        return MISSING
    except Exception as error:  # Pillow's plugins raise many kinds on damaged files; all of them end NAVSIM's loaders
        return f"unreadable ({error})"
    return fault


def _fault_of_ends(path: Path) -> str:
    """By size, and for a JPEG by its first and last bytes."""
    with path.open("rb") as stream:
        head = stream.read(len(START_MARKER))
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - TAIL_BYTES))
        tail = stream.read()
    if not size:
        return "empty"
    if path.suffix.lower() not in JPEG_SUFFIXES:
        return ""
    if head != START_MARKER:
        return "no JPEG"
    return "" if END_MARKER in tail else "cut off"
