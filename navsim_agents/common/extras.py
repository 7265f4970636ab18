"""Optional packages, and the extra of this distribution that brings each."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Optional

from navsim_agents.common.errors import NavsimDriveJepaError

DISTRIBUTION = "navsim-drive-jepa"
EXTRAS = {
    "world": ("shapely", "pyogrio", "geopandas"),
    "traffic": ("shapely",),
    "fast": ("numba",),
    "report": ("matplotlib",),
    "labels": ("sklearn",),
    "video": ("av",),
}
"""Extra → modules that it brings and no requirement does; what two extras bring, the first is named for."""
NOT_OF_DEMO = {
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
    "ray": ("ray",),
    "argoverse": ("pyarrow",),
    "alpasim": ("carla_driver_interface", "grpc"),
}
"""The same of what the demo does not bring: a matter of taste, of several machines, or of data that it has not."""
ALL_EXTRAS = {**EXTRAS, **NOT_OF_DEMO}
OLDEST_PYTHON = {"alpasim": (3, 10)}
"""Extra → the Python from which on it brings anything; under an older one pip installs it and nothing comes."""
PYTHON = sys.version_info[:2]
HOST = ("navsim", "nuplan")
HOST_PAGE = "docs/devkit.md"


class MissingPackageError(NavsimDriveJepaError, ImportError):
    """An optional package is needed and not installed."""


def require_extras(*extras: str) -> None:
    """Check, before work begins, that the packages of ``extras`` are there.

    Raises:
        MissingPackageError: the first that is not.
    """
    for extra in extras:
        for module in ALL_EXTRAS[extra]:
            if find_spec(module) is None:
                raise MissingPackageError(_advice(module, extra))


@cache
def has_numba(without: str) -> bool:
    """Whether Numba can be used; where it cannot, a warning says once what happens ``without`` it."""
    try:
        import_module("numba")
    except ImportError as error:  # where NumPy is newer than it knows, too
        advice = f"pip install '{DISTRIBUTION}[fast]' brings it"
        warnings.warn(f"numba cannot be used ({error}): {without}; {advice}", stacklevel=3)
        return False
    return True


def explain_missing_module(error: ModuleNotFoundError) -> Optional[str]:
    """What to install, or None where the module is not an optional one."""
    module = (error.name or "").partition(".")[0]
    if module in HOST:
        return f"{module} is not installed, but this needs a NAVSIM devkit; {HOST_PAGE} says how to install one"
    extra = next((extra for extra, modules in ALL_EXTRAS.items() if module in modules), None)
    return None if extra is None else _advice(module, extra)


def _advice(module: str, extra: str) -> str:
    oldest = OLDEST_PYTHON.get(extra, PYTHON)
    place = f"under Python {oldest[0]}.{oldest[1]} or newer " if oldest > PYTHON else ""
    return (
        f"{module} is not installed, but this command needs it; {place}pip install '{DISTRIBUTION}[{extra}]' brings it"
    )
