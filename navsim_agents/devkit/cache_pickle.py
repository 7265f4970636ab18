"""Reads one file of a metric cache: a pickle, compressed with LZMA, of the devkit's own classes.

A pickle may call whatever it names. Only classes of ``navsim`` and ``nuplan`` are let through, with the few functions
that shapely and NumPy use to rebuild their values; a name with a dot (an attribute of a class or module) never is.
"""

from __future__ import annotations

import importlib
import lzma
import pickle
from pathlib import Path
from typing import Any

from navsim_agents.errors import DevkitError

HOST_PACKAGES = ("navsim", "nuplan")
ALLOWED_NAMES = frozenset(
    {
        ("builtins", "set"),
        ("builtins", "frozenset"),
        ("builtins", "bytearray"),
        ("builtins", "complex"),
        ("builtins", "object"),
        ("collections", "OrderedDict"),
        ("collections", "deque"),
        ("copyreg", "_reconstructor"),
        ("pathlib", "Path"),
        ("pathlib", "PosixPath"),
        ("pathlib._local", "PosixPath"),  # Python 3.13's name for it
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy.core.numeric", "_frombuffer"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
        ("shapely.io", "from_wkb"),
        ("shapely", "from_wkb"),
    }
)


class CacheUnpickler(pickle.Unpickler):
    """Unpickler that knows the devkit's classes and plain data; ``pickle.UnpicklingError`` names anything else."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """A permitted class or function."""
        if (module_name, global_name) in ALLOWED_NAMES:
            return super().find_class(module_name, global_name)
        if module_name.split(".")[0] in HOST_PACKAGES and "." not in global_name:
            found = getattr(importlib.import_module(module_name), global_name)
            if isinstance(found, type) and found.__module__.split(".")[0] in HOST_PACKAGES:
                return found
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}, which no metric cache needs")


def read_metric_cache(path: Path) -> Any:
    """The devkit's ``MetricCache`` of one file.

    Raises:
        DevkitError: the file is absent, truncated, names what no metric cache needs, or is another devkit's.
    """
    try:
        with lzma.open(path, "rb") as stream:
            return CacheUnpickler(stream).load()
    except FileNotFoundError as error:
        raise DevkitError(f"{path} is missing; cache this scene again with NAVSIM's run_metric_caching") from error
    except Exception as error:  # a damaged or foreign pickle may raise anything; all of it means the same
        raise DevkitError(
            f"{path} is not a readable metric cache ({type(error).__name__}: {error}); it may be truncated or come "
            "from another devkit: cache this scene again with the devkit that is on the path"
        ) from error
