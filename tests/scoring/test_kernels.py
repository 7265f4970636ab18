"""Machine code is kept where one may write, made anew when its sources change, and announced when it is made."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

kernels: Any = pytest.importorskip("navsim_agents.scoring.kernels", reason="Numba is not installed")


@pytest.fixture
def room(tmp_path: Path) -> Any:
    """Of this file's functions."""
    folder = tmp_path / "room"
    folder.mkdir()
    return kernels.Room(f"{__name__}.jit", "small things", folder)


def test_the_digest_is_that_of_all_sources(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("a = 1")
    other.write_text("b = 1")
    before = kernels.digest_of((one, other))
    assert kernels.digest_of((one, other)) == before
    other.write_text("b = 2")
    assert kernels.digest_of((one, other)) != before


@pytest.mark.parametrize(
    ("module", "some"),
    [
        ("navsim_agents.scoring.traffic.fast.jit", {"ways.py", "touching.py", "following.py", "poses.py", "plane.py"}),
        (
            "navsim_agents.scoring.compiled.jit",
            {"meetings.py", "axes.py", "collisions.py", "conventions.py", "plane.py"},
        ),
    ],
)
def test_rooms_know_what_they_are_made_of(module: str, some: set[str]) -> None:
    assert some <= {path.name for path in pytest.importorskip(module).ROOM.sources}


def test_it_is_kept_beside_the_sources_or_with_the_user_s(
    room: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in a folder's place refuses root, too."""
    monkeypatch.setattr(kernels.CONFIG, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert room.cache_folder("abc") == tmp_path / "room" / "__pycache__" / "abc"
    (tmp_path / "read_only").write_text("")
    room.folder = tmp_path / "read_only"
    assert room.cache_folder("abc") == tmp_path / "user" / "navsim-drive-jepa" / "abc"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "read_only"))
    assert room.cache_folder("abc") is None
    monkeypatch.setattr(kernels.CONFIG, "CACHE_DIR", str(tmp_path / "told"))
    assert room.cache_folder("abc") == tmp_path / "told" / "abc"


def doubled(values, out):
    for index in range(len(values)):
        out[index] = 2.0 * values[index]


@pytest.mark.parametrize("can_write", [True, False])
def test_a_kernel_is_kept_where_it_may_be(
    room: Any, can_write: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    if not can_write:
        folder.write_text("")
    monkeypatch.setattr(kernels.CONFIG, "CACHE_DIR", str(folder))
    out = np.zeros(3)
    room.kernel(doubled)(np.arange(3.0), out)
    assert out.tolist() == [0.0, 2.0, 4.0]
    assert bool(list(tmp_path.rglob("*.nbi"))) == can_write
    assert str(folder) == kernels.CONFIG.CACHE_DIR


def test_compiling_is_said_once(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels.CONFIG, "CACHE_DIR", str(tmp_path))
    room = kernels.Room(f"{__name__}.jit", "small things", tmp_path)
    with caplog.at_level(logging.WARNING):
        for value in (np.zeros(2), np.zeros(2, dtype=np.float32)):
            room.kernel(doubled)(value, value)
    said = [record.getMessage() for record in caplog.records if "small things" in record.getMessage()]
    assert said == ["compiling small things, once for this version: some 15 seconds"]
