"""What a metric cache's pickle may name."""

from __future__ import annotations

import lzma
import os
import pickle
import pickletools
import sys
import types
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from navsim_agents.devkit.cache_pickle import read_metric_cache
from navsim_agents.errors import DevkitError


class Cached:
    """Stands for one of the devkit's classes."""

    def __init__(self, values: Any) -> None:
        self.values = values


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("navsim.stub")
    module.Cached, module.os, module.Foreign = Cached, os, pickletools.OpcodeInfo  # type: ignore[attr-defined]
    monkeypatch.setattr(Cached, "__module__", "navsim.stub")
    monkeypatch.setitem(sys.modules, "navsim", types.ModuleType("navsim"))
    monkeypatch.setitem(sys.modules, "navsim.stub", module)
    return module


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(lzma.compress(content))
    return path


@pytest.mark.usefixtures("host")
def test_host_classes_with_plain_data(tmp_path: Path) -> None:
    values = {"a": np.arange(3.0), "b": deque([Path("x")]), "c": {1}, "d": np.float64(2.5)}
    found = read_metric_cache(write(tmp_path / "c.pkl", pickle.dumps(Cached(values), protocol=5)))
    assert isinstance(found, Cached)
    np.testing.assert_array_equal(found.values["a"], values["a"])
    assert found.values["b"] == values["b"]
    assert (found.values["c"], found.values["d"]) == ({1}, 2.5)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("navsim.stub", "os.system"),  # an attribute of what a host module imports
        ("navsim.stub", "os"),
        ("navsim.stub", "Foreign"),  # a class, but not the host's
        ("numpy", "load"),
    ],
)
def test_other_names_are_refused(tmp_path: Path, module: str, name: str) -> None:
    text = f"\x8c{chr(len(module))}{module}\x8c{chr(len(name))}{name}".encode("latin1")
    content = b"\x80\x04" + text + b"\x93."
    with pytest.raises(DevkitError, match=f"it asks for {module}.{name}, which no metric cache needs"):
        read_metric_cache(write(tmp_path / "c.pkl", content))


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    whole = write(tmp_path / "c.pkl", pickle.dumps(list(range(1000))))
    whole.write_bytes(whole.read_bytes()[: len(whole.read_bytes()) // 2])
    with pytest.raises(DevkitError, match="is not a readable metric cache"):
        read_metric_cache(whole)
    with pytest.raises(DevkitError, match="is missing; cache this scene again"):
        read_metric_cache(tmp_path / "none.pkl")
