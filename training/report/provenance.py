"""What is needed to repeat a run: versions, machine, revision."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Optional

DISTRIBUTIONS = ("navsim-drive-jepa", "torch", "pytorch-lightning", "numpy", "hydra-core", "pandas", "matplotlib")


def versions() -> dict[str, str]:
    """Python's and the distributions' versions; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Operating system, processor and number of cores, without names of host or user."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.system()} {platform.machine()}, {cores} cores"


def git_revision() -> Optional[str]:
    """Commit of the checkout that runs, ``+`` where it has changes; None outside a checkout."""
    folder = Path(__file__).resolve().parent
    revision = _git(folder, "rev-parse", "--short=12", "HEAD")
    if revision is None:
        return None
    return f"{revision}+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else revision


def _git(folder: Path, *arguments: str) -> Optional[str]:
    try:
        result = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
