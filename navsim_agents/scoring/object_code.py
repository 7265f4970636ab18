"""A kernel's machine code as it is kept on the disk."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import NamedTuple, Optional

from navsim_agents.common.files import whole_file

LOGGER = logging.getLogger(__name__)
OPTIONS = "_numba_options"
"""Attribute of a function that is compiled with the kernels that call it: Numba's options for it."""


class Code(NamedTuple):
    """An object file, as llvmlite loads it."""

    symbol: str  # of the entry
    needs: list[str]  # symbols that are looked up in the process
    contents: bytes

    @staticmethod
    def read(path: Path) -> Optional[Code]:
        """What was kept; None where there is nothing, or it is damaged."""
        try:
            digest, about, contents = path.read_bytes().split(b"\n", 2)
        except (OSError, ValueError):
            return None
        if hashlib.sha256(about + contents).hexdigest().encode() != digest:
            return None
        symbol, needs = json.loads(about)
        return Code(symbol, needs, contents)

    def keep(self, path: Path) -> None:
        """Write it, whole or not at all; a folder that refuses costs the next process the time of compiling."""
        about = json.dumps((self.symbol, self.needs)).encode()
        digest = hashlib.sha256(about + self.contents).hexdigest().encode()
        try:
            with whole_file(path, is_forced=False) as unfinished, unfinished.open("wb") as file:
                file.write(b"\n".join((digest, about, self.contents)))
        except OSError as error:
            LOGGER.warning("machine code is not kept at %s: %s", path, error)
