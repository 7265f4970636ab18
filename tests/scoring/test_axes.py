"""Columns are found by name: no number or range picks a column, but where the axis is one of steps or the like."""

from __future__ import annotations

import ast

import pytest

from tests.stops import ROOT

# Picks with a number that are no picks of a column: (file, text) → what the axis is.
NO_COLUMNS = {
    ("distillation/clustering.py", "offsets_m[:, -1]"): "poses",
    ("distillation/kmeans.py", "index.search(of, 1)[1][:, 0]"): "neighbours",
    ("distillation/vocabulary.py", "futures[:, :1]"): "poses",
    ("scoring/diversity.py", "polylines[:, :-1]"): "points of a line",
    ("scoring/rules/centerline.py", "first[:, :1]"): "trajectories",
    ("scoring/rules/ego.py", "areas.oncoming[..., 1:]"): "steps",
    ("scoring/rules/ego.py", "areas.center_in_intersection[..., 1:]"): "steps",
    ("scoring/geometry/outlines.py", "until[:, 1:]"): "runs",
    ("scoring/geometry/outlines.py", "ends[2:, :-1]"): "edges",
    ("scoring/geometry/outlines.py", "ends[:2, 1:]"): "edges",
    ("scoring/geometry/outlines.py", "sets[:, 1:]"): "runs",
    ("scoring/score.py", "value[:, 0]"): "trajectories",
    ("scoring/simulation/reference.py", "angles[..., :1]"): "steps",
    ("scoring/simulation/reference.py", "angles[..., 1:]"): "steps",
    ("scoring/simulation/reference.py", "knots_us[:, :1]"): "knots",
    ("scoring/simulation/reference.py", "knots_us[:, -1:]"): "knots",
    ("scoring/simulation/reference.py", "integrate[:, 0]"): "unknowns of the fit",
    ("scoring/simulation/reference.py", "penalty[:, 1:-1]"): "unknowns of the fit",
    ("scoring/simulation/reference.py", "penalty[-1, -1]"): "unknowns of the fit",
    ("scoring/traffic/fast/simulation.py", "vehicles[reacting[gone], 1:]"): "steps",
    ("scoring/traffic/fast/simulation.py", "vehicles[standing, 1:]"): "steps",
    ("scoring/simulation/tracker.py", "cos_ref[..., :-1]"): "steps",
    ("scoring/simulation/tracker.py", "sin_ref[..., :-1]"): "steps",
}


def is_number(node):
    """A literal number, or a list or range of them."""
    if node is None:
        return False
    if isinstance(node, ast.Slice):
        return is_number(node.lower) or is_number(node.upper)
    if isinstance(node, (ast.List, ast.Tuple)):
        return any(map(is_number, node.elts))
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand)
    return isinstance(node, ast.Constant) and type(node.value) is int


def picks(text):
    """Subscripts of two axes or more whose last one is picked by number; shapes of annotations are none."""
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Subscript)]
    several = [node for node in found if isinstance(node.slice, ast.Tuple) and len(node.slice.elts) > 1]
    texts = [ast.unparse(node) for node in several if is_number(node.slice.elts[-1])]
    return [text for text in texts if not text.startswith("torch.nonzero(")]  # has one column for one axis


@pytest.mark.parametrize("room", ["scoring", "distillation"])
def test_columns_are_found_by_name(room):
    home = ROOT / "navsim_agents"
    for path in sorted((home / room).rglob("*.py")):
        place = path.relative_to(home).as_posix()
        allowed = {text for file, text in NO_COLUMNS if file == place}
        assert sorted(set(picks(path.read_text(encoding="utf-8"))) - allowed) == [], place


@pytest.mark.parametrize("text", ["pose[..., 2]", "state[:, :3]", "box[..., -1]", "xy[:, 0]", "pose[..., [0, 1]]"])
def test_a_column_by_number_is_seen(text):
    assert picks(text) == [text]


@pytest.mark.parametrize("text", ["pose[..., Pose.X]", "state[:, POSE]", "rows[0]", "rows[:, :count]", "x[..., None]"])
def test_what_is_no_number_passes(text):
    assert picks(text) == []


def test_nothing_is_allowed_in_vain():
    for place, text in NO_COLUMNS:
        assert text in picks((ROOT / "navsim_agents" / place).read_text(encoding="utf-8")), place
