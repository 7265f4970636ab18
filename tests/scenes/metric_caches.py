"""Metric caches that look like the devkit's from outside."""

from __future__ import annotations

import os
from pathlib import Path

from navsim_agents.devkit.cache_files import FILE_NAME

TIME_S = 1_700_000_000


def write_metric_cache(folder: Path, contents: dict[str, bytes], time_s: int = TIME_S) -> Path:
    """One file a token, all of one time."""
    for token, content in contents.items():
        path = folder / "log" / "unknown" / token / FILE_NAME
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        os.utime(path, (time_s, time_s))
    return folder
