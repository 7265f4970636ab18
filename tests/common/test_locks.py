"""The lock of a file by each of the ways that a system may have, held in another process; and imports without POSIX."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from navsim_agents.common import locks
from navsim_agents.common.locks import FileLock
from navsim_agents.errors import SceneError
from navsim_agents.scoring import SceneStoreWriter

ROOT = Path(__file__).resolve().parents[2]
POSIX_ONLY = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog")
HOLDER = """
import sys, fcntl
from pathlib import Path
from navsim_agents.common import locks
if {way!r} == "existence":
    locks._module = lambda name: None
held = locks.FileLock(Path({path!r}))
print("held", flush=True)
sys.stdin.readline()
"""
IMPORTS = """
import importlib, pkgutil, sys
import torch, pytorch_lightning, hydra, pandas, timm, tqdm, PIL
for name in {names!r}:
    sys.modules[name] = None
count, failures = 0, []
for root in ("navsim_agents", "cache_tools", "training", "hydra_plugins.navsim_drive_jepa", "navsim_configs"):
    package = importlib.import_module(root)
    for found in pkgutil.walk_packages(package.__path__, root + "."):
        if found.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(found.name)
            count += 1
        except ImportError as error:
            failures.append((found.name, error.name, str(error)))
print(count, [failure for failure in failures if failure[1] in {names!r} or failure[1] is None])
"""


@pytest.fixture(params=["flock", "existence"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "flock":
        pytest.importorskip("fcntl")
    else:
        monkeypatch.setattr(locks, "_module", lambda name: None)
    return request.param


@contextmanager
def holder(way: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is told to end, or killed."""
    code = HOLDER.format(way=way, path=str(path))
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_is_kept_out_until_the_first_ends(way: str, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    with holder(way, path) as process:
        with pytest.raises(BlockingIOError) as told:
            FileLock(path)
        assert told.value.strerror is not None
        if way == "existence":
            assert f"process {process.pid} of {socket.gethostname()} (delete {path}.lock if" in told.value.strerror
        process.communicate("\n")
        assert process.returncode == 0
    assert not path.with_name("data.bin.lock").exists()
    FileLock(path).release()


def test_a_holder_that_is_killed_holds_no_more(way: str, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    with holder(way, path) as process:
        process.kill()
        process.wait()
        FileLock(path).release()
    assert {entry.name for entry in tmp_path.iterdir()} <= {"data.bin"}


def test_one_process_holds_it_once(way: str, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    first = FileLock(path)
    with pytest.raises(BlockingIOError):
        FileLock(path)
    first.release()
    second = FileLock(path)
    first.release()  # again: it is the second's by now
    with pytest.raises(BlockingIOError):
        FileLock(path)
    del second
    FileLock(path).release()


def test_a_store_has_one_writer_by_every_way(way: str, tmp_path: Path) -> None:
    with SceneStoreWriter(tmp_path), pytest.raises(SceneError, match=r"is being written by .*, but a store takes one"):
        SceneStoreWriter(tmp_path)
    with holder(way, tmp_path / "scenes.bin"), pytest.raises(SceneError, match="join them with merge_stores"):
        SceneStoreWriter(tmp_path)
    SceneStoreWriter(tmp_path).close()


@pytest.mark.parametrize("content", ["elsewhere 1", "", "no process"])
def test_a_lock_whose_holder_cannot_be_asked_stays(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_module", lambda name: None)
    (tmp_path / "data.bin.lock").write_text(content)
    with pytest.raises(BlockingIOError, match=r"delete .*data\.bin\.lock if that is gone"):
        FileLock(tmp_path / "data.bin")
    assert (tmp_path / "data.bin.lock").read_text() == content


def test_a_forked_child_does_not_release_its_parents_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_module", lambda name: None)
    held = FileLock(tmp_path / "data.bin")
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        held.release()
    assert (tmp_path / "data.bin.lock").exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_flock_has_the_lock_file(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(file: object, kind: int) -> None:
        raise OSError(number, os.strerror(number))

    fake = SimpleNamespace(flock=flock, LOCK_EX=1, LOCK_NB=2)
    monkeypatch.setattr(locks, "_module", lambda name: fake if name == "fcntl" else None)
    held = FileLock(tmp_path / "data.bin")
    assert (tmp_path / "data.bin.lock").exists()
    with pytest.raises(BlockingIOError):
        FileLock(tmp_path / "data.bin")
    held.release()


def test_other_errors_of_the_system_are_not_taken_for_a_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: object, kind: int) -> None:
        raise OSError(errno.EIO, "broken disk")

    fake = SimpleNamespace(flock=flock, LOCK_EX=1, LOCK_NB=2)
    monkeypatch.setattr(locks, "_module", lambda name: fake)
    with pytest.raises(OSError, match="broken disk"):
        FileLock(tmp_path / "data.bin")


def test_windows_locks_the_first_byte_of_a_file_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for msvcrt with its documented behaviour: one holder of a byte at the file's position."""
    taken: set[tuple[int, int]] = set()

    def locking(number: int, mode: int, count: int) -> None:
        byte = (os.fstat(number).st_ino, os.lseek(number, 0, os.SEEK_CUR))
        if mode == 2 and byte in taken:
            raise OSError(errno.EACCES, "Permission denied")
        (taken.add if mode == 2 else taken.remove)(byte)

    fake = SimpleNamespace(locking=locking, LK_NBLCK=2, LK_UNLCK=0)
    monkeypatch.setattr(locks, "_module", lambda name: fake if name == "msvcrt" else None)
    held = FileLock(tmp_path / "data.bin")
    assert taken == {((tmp_path / "data.bin.lock").stat().st_ino, 0)}
    with pytest.raises(BlockingIOError, match="another writer"):
        FileLock(tmp_path / "data.bin")
    held.release()
    FileLock(tmp_path / "data.bin").release()
    assert not taken


def test_every_module_imports_where_posix_is_not() -> None:
    """What a module of ours needs at import must be on every system."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(names=POSIX_ONLY)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    count, _, failures = done.stdout.strip().splitlines()[-1].partition(" ")
    assert failures == "[]"
    assert int(count) > 200
