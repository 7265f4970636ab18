"""Files that are there whole or not at all, and reading that names the file which is broken."""

from __future__ import annotations

import json
import os
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from navsim_agents.common.errors import InputError, NavsimDriveJepaError

MAKE_ANEW = "it may have been cut off or belong to something else: make it anew"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside ``path``, with its ending, to write to; when all went well it becomes ``path``, else it goes.

    Two writers never share it, and after a power cut ``path`` is the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """``path`` with ``text``, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """``value`` as indented JSON; NaN is refused, as JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def reading(path: Path, error: type[NavsimDriveJepaError] = InputError, way_out: str = MAKE_ANEW) -> Iterator[None]:
    """Inside, what a reader of ``path`` objects to becomes an ``error`` that names it and ends with ``way_out``."""
    try:
        yield
    except NavsimDriveJepaError:
        raise
    except OSError as reason:
        raise error(f"{path} cannot be read ({reason.strerror or reason}); {way_out}") from reason
    except (ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile) as reason:
        words = f"no {reason}" if isinstance(reason, KeyError) else reason
        raise error(f"{path} is not what it should be ({words}); {way_out}") from reason


def read_text(path: Path, error: type[NavsimDriveJepaError] = InputError, way_out: str = MAKE_ANEW) -> str:
    """Contents of a text file.

    Raises:
        NavsimDriveJepaError: an ``error`` where there is no such file or it is no text; it ends with ``way_out``.
    """
    with reading(path, error, way_out):
        return path.read_text(encoding="utf-8")


def read_json(path: Path, error: type[NavsimDriveJepaError] = InputError, way_out: str = MAKE_ANEW) -> Any:
    """What a JSON file holds.

    Raises:
        NavsimDriveJepaError: as :func:`read_text`, or the text is no JSON.
    """
    with reading(path, error, way_out):
        return json.loads(path.read_text(encoding="utf-8"))
