"""Machine code is kept where one may write, made anew when its sources change, and announced when it is made."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from navsim_agents.scoring.traffic.fast import jit


def test_the_digest_is_that_of_all_sources(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("a = 1")
    other.write_text("b = 1")
    before = jit.digest_of((one, other))
    assert jit.digest_of((one, other)) == before
    other.write_text("b = 2")
    assert jit.digest_of((one, other)) != before
    assert {"ways.py", "touching.py", "following.py"} <= {path.name for path in jit.SOURCES}


def test_it_is_kept_beside_the_sources_or_with_the_user_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in a folder's place refuses root, too."""
    monkeypatch.setattr(jit.CONFIG, "CACHE_DIR", "")
    monkeypatch.setattr(jit, "HERE", tmp_path / "package")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert jit.cache_folder("abc") == tmp_path / "package" / "__pycache__" / "abc"
    monkeypatch.setattr(jit, "HERE", tmp_path / "read_only")
    (tmp_path / "read_only").write_text("")
    assert jit.cache_folder("abc") == tmp_path / "user" / "navsim-drive-jepa" / "abc"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "read_only"))
    assert jit.cache_folder("abc") is None
    monkeypatch.setattr(jit.CONFIG, "CACHE_DIR", str(tmp_path / "told"))
    assert jit.cache_folder("abc") == tmp_path / "told" / "abc"


def doubled(values, out):
    for index in range(len(values)):
        out[index] = 2.0 * values[index]


@pytest.mark.parametrize("can_write", [True, False])
def test_a_kernel_is_kept_where_it_may_be(can_write: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kept"
    if not can_write:
        folder.write_text("")
    monkeypatch.setattr(jit.CONFIG, "CACHE_DIR", str(folder))
    out = np.zeros(3)
    jit.kernel(doubled)(np.arange(3.0), out)
    assert out.tolist() == [0.0, 2.0, 4.0]
    assert bool(list(tmp_path.rglob("*.nbi"))) == can_write
    assert str(folder) == jit.CONFIG.CACHE_DIR


def test_compiling_is_said_once(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jit.ANNOUNCEMENT, "is_due", True)
    monkeypatch.setattr(jit, "PACKAGE", __name__)
    monkeypatch.setattr(jit.CONFIG, "CACHE_DIR", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        for value in (np.zeros(2), np.zeros(2, dtype=np.float32)):
            jit.kernel(doubled)(value, value)
    assert [record.getMessage()[:26] for record in caplog.records] == ["compiling reactive traffic"]
