"""Kernels compiled once are loaded without Numba, and made anew when anything that they depend on changes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from navsim_agents.scoring import machine_code
from navsim_agents.scoring.machine_code import CodeRoom, inlined, lay_out, part
from navsim_agents.scoring.object_code import Code

pytest.importorskip("numba", reason="Numba is not installed")
ROOT = Path(__file__).resolve().parents[2]
SCORES = """
import sys, torch
from navsim_agents.scoring import score_trajectories
from tests.scoring.tiny import scene
steps = torch.arange(1, 9, dtype=torch.float64)
plans = torch.stack([torch.stack((v * steps, 0 * steps, 0 * steps), dim=-1) for v in torch.linspace(0, 5, 300)])
print(score_trajectories(scene(), plans)["pdm_score"].sum().item(), "numba" in sys.modules)
"""


class Inner(NamedTuple):
    rows: np.ndarray
    is_half: bool


class Outer(NamedTuple):
    weight: float
    inner: Inner
    small: np.ndarray


@part
def halved(value: float, is_half: bool) -> float:
    return 0.5 * value if is_half else value


def mixed(outer: Outer, shift: int, out: np.ndarray, first: int, last: int) -> None:
    """Reads every kind of argument, each from its own place."""
    for row in range(first, last):
        for column in range(outer.inner.rows.shape[1]):
            value = outer.weight * outer.inner.rows[row, column] + outer.small[column] + shift
            out[row, column] = halved(value, outer.inner.is_half)


@inlined
def scaled(inner: Inner, row: int, column: int) -> float:
    return inner.rows[row, column] * (0.5 if inner.is_half else 1.0)


@inlined
def weighed(outer: Outer, row: int, column: int, share: float) -> float:
    return outer.weight * scaled(outer.inner, row, column) + share * outer.small[column]


@inlined
def by_address(outer: Outer, shift: int, out: np.ndarray, first: int, last: int) -> None:
    """The same as ``mixed``, with whole tuples handed on, and with constants."""
    for row in range(first, last):
        out[row, 0] = weighed(outer, row, 0, 0.5 if outer.inner.is_half else 1.0)
        out[row, 1] = weighed(outer, row, 1, 0.5) if outer.inner.is_half else weighed(outer, row, 1, 1)
        out[row, 2] = weighed(outer, row, 2, 0.5 if outer.inner.is_half else 1.0)
        for column in range(3):
            out[row, column] += shift * (0.5 if outer.inner.is_half else 1.0)


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CodeRoom:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    return CodeRoom("small things", tmp_path)


def given(is_half: bool = True) -> tuple[Outer, np.ndarray]:
    rows = np.arange(12.0).reshape(4, 3)
    return Outer(2.0, Inner(rows, is_half), np.array([7, 8, 9], dtype=np.uint16)), np.full((4, 3), -1.0)


def kept(room: CodeRoom) -> list[Path]:
    assert room.kept_in is not None
    return sorted(room.kept_in.iterdir())


@pytest.mark.parametrize("function", [mixed, by_address])
@pytest.mark.parametrize("is_half", [True, False])
def test_arguments_arrive_in_their_places(room: CodeRoom, is_half: bool, function: Any) -> None:
    outer, out = given(is_half)
    run = room.kernel(function).bound(outer, -3, out)
    run(0, 1)
    run(2, 4)
    wanted = (2.0 * outer.inner.rows + [7, 8, 9] - 3) * (0.5 if is_half else 1.0)
    wanted[1] = -1.0
    assert out.tolist() == wanted.tolist()


@pytest.mark.parametrize("function", [mixed, by_address])
def test_machine_code_is_made_of_the_entry_alone(
    room: CodeRoom, monkeypatch: pytest.MonkeyPatch, function: Any
) -> None:
    """Of what is linked into it there is none of its own, which would take as long again."""
    from numba.core.registry import cpu_target

    from navsim_agents.scoring import compiling

    made: list[str] = []
    codegen = cpu_target.target_context.codegen()
    add = codegen._add_module
    monkeypatch.setattr(codegen, "_add_module", lambda module: made.append(module.name) or add(module))
    monkeypatch.setattr(compiling, "MADE", {})
    outer, out = given()
    room.kernel(function)(outer, 0, out, 0, 4)
    assert [name for name in made if "enter" in name or name in ("mixed", "halved", "scaled", "weighed")] == [
        "_entry_of.<locals>.enter"
    ]


def test_parts_have_one_variant_that_takes_tuples_by_address(room: CodeRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    from navsim_agents.scoring import compiling
    from navsim_agents.scoring.compiled_tables import Table

    monkeypatch.setattr(compiling, "MADE", {})
    outer, out = given()
    room.kernel(by_address)(outer, 0, out, 0, 4)
    variants = {function.__name__: list(made.overloads) for function, made in compiling.MADE.items()}
    assert {name: len(kinds) for name, kinds in variants.items()} == {"by_address": 1, "weighed": 2, "scaled": 1}
    assert all(isinstance(kinds[0], Table) for some in variants.values() for kinds in some)


def test_two_threads_have_one_each(room: CodeRoom) -> None:
    outer, out = given()
    kernel, runs = room.kernel(mixed), []
    threads = [threading.Thread(target=lambda: runs.append(kernel.bound(outer, 1, out))) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for row, run in enumerate(runs):
        run(row, row + 1)
    assert out.tolist() == ((2.0 * outer.inner.rows + [7, 8, 9] + 1) * 0.5).tolist()
    assert len(kept(room)) == 1


def test_it_is_compiled_once_and_that_is_said(
    room: CodeRoom, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer, out = given()
    assert not room.kernel(mixed).is_kept
    with caplog.at_level(logging.WARNING):
        room.kernel(mixed)(outer, 0, out, 0, 4)
    wanted, before = out.tolist(), kept(room)
    monkeypatch.delitem(sys.modules, "navsim_agents.scoring.compiling")
    monkeypatch.setitem(sys.modules, "numba", None)  # importing it fails
    out[:] = 0.0
    again = room.kernel(mixed)
    assert again.is_kept
    again(outer, 0, out, 0, 4)
    assert out.tolist() == wanted
    assert kept(room) == before
    said = [record.getMessage() for record in caplog.records]
    assert said == ["compiling small things, once for this version: some 15 seconds"]


@pytest.mark.parametrize("damage", [lambda code: b"", lambda code: code[:-1], lambda code: code.replace(b"\n", b" ")])
def test_what_is_damaged_is_made_anew(room: CodeRoom, damage: Any) -> None:
    outer, out = given()
    room.kernel(mixed)(outer, 0, out, 0, 4)
    (path,) = kept(room)
    whole, wanted = path.read_bytes(), out.tolist()
    path.write_bytes(damage(whole))
    assert Code.read(path) is None
    out[:] = 0.0
    room.kernel(mixed)(outer, 0, out, 0, 4)
    assert out.tolist() == wanted
    assert Code.read(path) is not None


def test_other_kinds_of_arguments_have_code_of_their_own(room: CodeRoom) -> None:
    outer, out = given()
    kernel = room.kernel(mixed)
    kernel(outer, 0, out, 0, 4)
    wanted = out.tolist()
    kernel(outer._replace(small=outer.small.astype(np.float64)), 0, out, 0, 4)
    assert out.tolist() == wanted
    assert len(kept(room)) == 2


def test_it_works_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")  # a file in a folder's place refuses root, too
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    room, (outer, out) = CodeRoom("small things", tmp_path / "file"), given()
    room.kernel(mixed)(outer, 0, out, 0, 4)
    assert room.kept_in is None
    assert out[3, 2] == (2.0 * 11.0 + 9) / 2.0


def test_the_folder_hangs_on_sources_versions_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "rules.py"
    source.write_text("a = 1")
    first = CodeRoom("rules", tmp_path).kept_in
    assert CodeRoom("rules", tmp_path).kept_in == first
    source.write_text("a = 2")
    second = CodeRoom("rules", tmp_path).kept_in
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    third = CodeRoom("rules", tmp_path).kept_in
    monkeypatch.setattr(machine_code, "version", lambda package: "0.0")
    assert len({first, second, third, CodeRoom("rules", tmp_path).kept_in}) == 4


def test_numba_s_switch_for_finding_faults(room: CodeRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    outer, out = given()
    room.kernel(mixed)(outer, 0, out, 0, 4)
    assert out[3, 2] == (2.0 * 11.0 + 9) / 2.0
    assert kept(room) == []


@pytest.mark.parametrize("value", [np.zeros((3, 3)).T[:2], "word", None])
def test_what_kernels_do_not_take_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="kernels take numbers, arrays in one piece and tuples"):
        lay_out((1, value), [], [])


def test_the_scorer_does_without_numba_once_it_was_compiled() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    scored = [
        subprocess.run([sys.executable, "-c", SCORES], cwd=ROOT, env=environment, capture_output=True, text=True)
        for _ in range(2)
    ]
    first, second = (done.stdout.split() for done in scored)
    assert second == [first[0], "False"], scored[1].stderr


@pytest.mark.parametrize(
    ("module", "some"),
    [
        ("traffic.fast.jit", {"ways.py", "touching.py", "following.py", "poses.py", "plane.py"}),
        ("compiled.jit", {"meetings.py", "axes.py", "collisions.py", "conventions.py", "plane.py"}),
    ],
)
def test_rooms_know_what_they_are_made_of(module: str, some: set[str]) -> None:
    assert some <= {path.name for path in import_module(f"navsim_agents.scoring.{module}").ROOM.sources}


def test_it_is_kept_where_told_or_beside_the_sources_or_with_the_user_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in a folder's place refuses root, too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    (tmp_path / "read_only").write_text("")
    places = {
        (str(tmp_path / "told"), tmp_path / "room"): tmp_path / "told",
        ("", tmp_path / "room"): tmp_path / "room" / "__pycache__",
        ("", tmp_path / "read_only"): tmp_path / "user" / "navsim-drive-jepa",
    }
    for (told, folder), wanted in places.items():
        assert machine_code.folder_to_keep_in(told, folder, "abc") == wanted / "abc"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "read_only"))
    assert machine_code.folder_to_keep_in("", tmp_path / "read_only", "abc") is None
