"""Whole or absent: two writers at once, killed writers, errors, full disks; and that nobody has a way of their own."""

from __future__ import annotations

import ast
import errno
import os
import re
import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from navsim_agents.common import files
from navsim_agents.common.files import (
    is_there,
    remove_leftovers,
    remove_leftovers_of_the_dead,
    whole_file,
    whole_folder,
    write_bytes,
    write_text,
)
from navsim_agents.data.logs import find_logs
from navsim_agents.scoring import SceneStoreWriter
from navsim_agents.video.layouts import VideoFiles, picture_names

ROOT = Path(__file__).resolve().parents[2]
SEARCHED = ("navsim_agents", "cache_tools", "training", "benchmarks", "hydra_plugins")
ALLOWED = {
    ("navsim_agents/common/files.py", "os.replace"): 3,
    ("navsim_agents/common/locks.py", "os.replace"): 2,  # puts a dead holder's lock aside, and back if it is another's
    ("training/pretraining/checkpoints.py", ".replace"): 1,  # renames a checkpoint that cannot be read
    ("training/ablation/trainings.py", ".rename"): 2,  # puts another training of a name aside, and takes one back
    ("benchmarks/scoring_tools.py", ".write_text"): 1,  # to /proc
    # Removal of what earlier releases left:
    ("navsim_agents/distillation/label_shard.py", "'{}.*.part'"): 1,
    ("navsim_agents/scoring/scene_store.py", "'{}.part'"): 1,
    ("training/pretraining/checkpoints.py", "'.step_*.pt.unfinished'"): 1,
}
"""How often a file may have what looks like a way of its own."""
RENAMING = (("os", "replace"), ("os", "rename"), ("os", "link"), ("shutil", "move"))
WRITING = ("write_text", "write_bytes", "mkstemp", "NamedTemporaryFile")
WRITERS = """
import sys
from pathlib import Path
from navsim_agents.common.files import whole_file, whole_folder
for number in range(40):
    with {way}(Path({path!r})) as unfinished:
        target = unfinished if {way} is whole_file else unfinished / "a"
        target.write_text(sys.argv[1] + str(number))
"""
KILLED = """
import os, signal, sys
from pathlib import Path
from navsim_agents.common.files import whole_file, whole_folder
with {way}(Path({path!r})) as unfinished:
    target = unfinished if {way} is whole_file else unfinished / "a"
    target.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def content(path: Path) -> dict[str, bytes]:
    """Files at or below ``path``, hidden ones too."""
    found = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in found}


@contextmanager
def writing(way: str, path: Path, text: str) -> Iterator[Path]:
    """Write ``text`` by a way, and stop before it is in place."""
    if way == "file":
        with whole_file(path) as unfinished:
            unfinished.write_text(text)
            yield unfinished
    else:
        with whole_folder(path) as unfinished:
            (unfinished / "deep").mkdir()
            (unfinished / "deep" / text).write_text(text)
            yield unfinished


def written(way: str, text: str) -> dict[str, bytes]:
    return {"." if way == "file" else f"deep/{text}": text.encode()}


@pytest.fixture(params=["file", "folder"])
def way(request: pytest.FixtureRequest) -> str:
    return request.param


def test_it_appears_at_the_end_and_replaces_the_old_one(way: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "thing.npz"
    with writing(way, path, "old") as unfinished:
        assert unfinished.suffix == ".npz"
        assert not path.exists()
    assert content(path) == written(way, "old")
    with writing(way, path, "young"):
        assert content(path) == written(way, "old")
    assert content(path) == written(way, "young")
    assert list(path.parent.iterdir()) == [path]


def test_two_writers_at_once_do_not_meet(way: str, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    with writing(way, path, "of the first"):
        with writing(way, path, "of the second"):
            pass
        assert content(path) == written(way, "of the second")
    assert content(path) == written(way, "of the first")
    assert list(tmp_path.iterdir()) == [path]


def test_many_writers_at_once_leave_one_whole(way: str, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    code = WRITERS.format(way=f"whole_{way}", path=str(path))
    writers = [subprocess.Popen([sys.executable, "-c", code, name], cwd=ROOT) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert content(path).popitem()[1] in (b"a39", b"b39")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(1)])
def test_an_error_leaves_the_old_and_nothing_else(way: str, error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    with pytest.raises(type(error)), writing(way, path, "never"):
        raise error
    assert list(tmp_path.iterdir()) == []
    with writing(way, path, "old"):
        pass
    with pytest.raises(type(error)), writing(way, path, "never"):
        raise error
    assert content(path) == written(way, "old")
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_and_what_it_left_can_go(way: str, tmp_path: Path) -> None:
    path = tmp_path / "thing.npz"
    others = [tmp_path / ".0123abcd.something.npz", tmp_path / ".0123abcd.thing", tmp_path / ".hidden.thing.npz"]
    with writing(way, path, "old"):
        pass
    for other in others:
        other.write_text("of another")
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(way=f"whole_{way}", path=str(path))], cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert content(path) == written(way, "old")
    assert len(list(tmp_path.iterdir())) == 5
    remove_leftovers(tmp_path, "thing.npz")
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])
    remove_leftovers(tmp_path, "*.npz", former=".hidden.*")
    assert sorted(tmp_path.iterdir()) == sorted([path, others[1]])


def test_what_the_dead_left_goes_and_what_others_write_stays(way: str, tmp_path: Path) -> None:
    path, living = tmp_path / "thing", os.getppid()
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(way=f"whole_{way}", path=str(path))], cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    machine, process, number = re.fullmatch(r"\.([0-9a-f]{8})([0-9a-f]{8})([0-9a-f]{8})\.thing", left.name).groups()
    elsewhere = f"{int(machine, 16) ^ 1:08x}"
    kept = [f".{machine}{living:08x}{number}.thing", f".{elsewhere}{process}{number}.thing", ".0123abcd.thing", ".mine"]
    for name in kept:
        (tmp_path / name).write_text("of another")
    (tmp_path / f".{machine}{os.getpid():08x}{number}.thing").write_text("of one that had this process's number")
    remove_leftovers_of_the_dead(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    remove_leftovers_of_the_dead(tmp_path / "none")


def test_a_full_disk_leaves_the_old(way: str, tmp_path: Path) -> None:
    """A limit on the size of files, which the system reports as it reports a full disk."""
    path = tmp_path / "thing"
    with writing(way, path, "old"):
        pass
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="too large"), writing(way, path, "x" * 20):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert content(path) == written(way, "old")
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_turns_out_full_when_it_is_forced_leaves_the_old(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File systems that find room late say so at fsync."""
    path = tmp_path / "thing"
    with writing(way, path, "old"):
        pass

    def fsync(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"), writing(way, path, "young"):
        pass
    assert content(path) == written(way, "old")
    assert list(tmp_path.iterdir()) == [path]


def kinds_forced(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """Filled with names of what is forced to the disk from now on, and "in place" once ``thing`` is there."""
    forced: list[str] = []

    def fsync(number: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{number}")).relative_to(folder)
        forced.append(re.sub(r"\.[0-9a-f]{24}\.", "~", str(path)) + ("+" if (folder / "thing").exists() else ""))

    monkeypatch.setattr(os, "fsync", fsync)
    return forced


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files are Linux'")
def test_what_is_forced_to_the_disk_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced = kinds_forced(monkeypatch, tmp_path)
    write_bytes(tmp_path / "thing", b"a", b"b")
    assert forced == ["~thing", ".+"], "the file before it gets its name, its folder after that"
    (tmp_path / "thing").unlink()
    forced.clear()
    write_bytes(tmp_path / "thing", b"ab", is_forced=False)
    assert forced == []
    (tmp_path / "thing").unlink()
    with writing("folder", tmp_path / "thing", "x"):
        pass
    assert forced == ["~thing", "~thing/deep/x", "~thing/deep", ".+"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL, errno.EBADF])
def test_systems_that_cannot_force_a_folder(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse(path: Any, *rest: Any, **more: Any) -> int:
        if os.path.isdir(path):
            raise OSError(number, os.strerror(number))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    write_text(tmp_path / "thing", "ä\n")
    assert (tmp_path / "thing").read_bytes() == "ä\n".encode()


def test_a_broken_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object, **more: object) -> int:
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="broken disk"):
        files._force_folder(tmp_path)


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "thing").write_text("a file")
    with pytest.raises(OSError, match="thing"), writing("folder", tmp_path / "thing", "x"):
        pass
    assert content(tmp_path) == {"thing": b"a file"}


def test_an_empty_file_is_not_there(tmp_path: Path) -> None:
    """What ext4 and XFS make of a file that was renamed but not forced before a power cut."""
    (tmp_path / "empty").touch()
    (tmp_path / "full").write_text("x")
    assert [is_there(tmp_path / name) for name in ("empty", "full", "none", "full/none")] == [False, True, False, False]


def test_readers_pass_over_what_a_killed_writer_left(tmp_path: Path) -> None:
    for name in ("a.pkl", ".0123abcd.b.pkl", "a.mkv", ".0123abcd.b.mkv", "a.jpg", ".0123abcd.b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    assert find_logs(tmp_path) == [tmp_path / "a.pkl"]
    assert VideoFiles("data", tmp_path).sources() == ["a.mkv"]
    assert picture_names(tmp_path) == ["a.jpg"]


def test_a_scene_store_loses_what_its_killed_writers_left(tmp_path: Path) -> None:
    SceneStoreWriter(tmp_path).close()
    before = sorted(tmp_path.iterdir())
    for name in ("index.npy.part", "store.json.part", ".0123abcd.index.npy", ".0123abcd.store.json"):
        (tmp_path / name).write_bytes(b"half")
    SceneStoreWriter(tmp_path).close()
    assert sorted(tmp_path.iterdir()) == before


def own_ways(source: str) -> list[str]:
    """What in a module looks like a way of its own to write a file whole or not at all."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [repr(node.value)] * bool(re.search(r"\.(part|tmp|unfinished)\b", node.value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, name = node.func.value, node.func.attr
            of = owner.id if isinstance(owner, ast.Name) else ""
            is_renamed_path = name in ("replace", "rename") and len(node.args) == 1 and not node.keywords
            if (of, name) in RENAMING:
                found.append(f"{of}.{name}")
            elif is_renamed_path or (name in WRITING and of != "files"):
                found.append(f".{name}")
    return found


def test_the_search_finds_each_way() -> None:
    source = """
import os, shutil, tempfile
partial = path.with_name(f"{path.name}.part")
os.replace(partial, path); os.rename(partial, path); partial.replace(path); partial.rename(path)
shutil.move(partial, path); path.write_text("text"); path.with_suffix(".tmp").write_bytes(b""); tempfile.mkstemp()
"""
    paths = [".rename", ".replace", ".mkstemp", ".write_bytes", ".write_text"]
    assert sorted(own_ways(source)) == sorted(["'.part'", "'.tmp'", "os.rename", "os.replace", "shutil.move", *paths])
    assert (
        own_ways('text.replace("a", "b"); frame.rename(columns=names); "x.partial"; dataclasses.replace(x, a=1)') == []
    )


def test_nobody_has_a_way_of_their_own() -> None:
    paths = [path for folder in SEARCHED for path in sorted((ROOT / folder).rglob("*.py"))]
    ways = [(path, way) for path in paths for way in own_ways(path.read_text(encoding="utf-8"))]
    found = Counter((path.relative_to(ROOT).as_posix(), way) for path, way in ways)
    assert found == ALLOWED, "write by navsim_agents.common.files; what is allowed and no more there leaves ALLOWED"
