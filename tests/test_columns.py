"""Columns of poses, boxes, sizes and states are found by name, never by position."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.demo import ROOT

ROOMS = ("alpasim", "common", "data", "devkit", "drive_jepa", "evaluation", "models", "world")
WITH_COLUMNS = {"pose", "origin", "ego", "start", "end", "position", "size"}
"""Last words of the names of single poses, places and sizes."""


def numbers(index: ast.expr) -> list[int]:
    """Whole numbers that an index is, or that bound a slice."""
    parts = [index.lower, index.upper] if isinstance(index, ast.Slice) else [index]
    return [part.value for part in parts if isinstance(part, ast.Constant) and type(part.value) is int]


def by_position(source: str) -> Iterator[str]:
    """Subscripts that name a column by its number; 0 and 1 behind other axes may be steps, corners or halves."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Subscript):
            continue
        found = node.slice
        base = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
        is_single = base.rpartition("_")[2] in WITH_COLUMNS and numbers(found)
        if is_single or (isinstance(found, ast.Tuple) and found.elts and max(numbers(found.elts[-1]), default=0) > 1):
            yield f"{node.lineno}: {ast.get_source_segment(source, node)}"


@pytest.mark.parametrize("room", ROOMS)
def test_no_column_is_found_by_its_number(room: str) -> None:
    files = sorted((ROOT / "navsim_agents" / room).rglob("*.py"))
    assert files
    assert [f"{path}:{place}" for path in files for place in by_position(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("line", ["a[..., 2]", "a[:, :2]", "a[i, 3:]", "pose[2]", "self.ego_pose[:2]", "size[0]"])
def test_numbers_are_seen(line: str) -> None:
    assert list(by_position(line)) == [f"1: {line}"]


@pytest.mark.parametrize("line", ["a[..., HEADING]", "a[:, XY]", "a[:, 0]", "a[2]", "pose[HEADING]", "a[i, -1]"])
def test_names_are_not(line: str) -> None:
    assert list(by_position(line)) == []
