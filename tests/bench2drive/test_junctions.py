"""Where a route's first junction lies, with a stand-in for CARLA's client and route planner."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from navsim_agents.bench2drive.junctions import find_junctions, read_junctions
from navsim_agents.bench2drive.routes import read_routes
from navsim_agents.errors import InputError
from tests.bench2drive.files import write_route_file

PLANNER = """
class Point:
    def __init__(self, x, is_junction):
        self.x, self.is_junction = x, is_junction

class GlobalRoutePlanner:
    def __init__(self, map, spacing):
        self.text, self.spacing = map.text, spacing

    def trace_route(self, a, b):
        first, last = (float(word) for word in self.text.split())
        number = int((b.x - a.x) / self.spacing)
        return [(Point(x, first <= x <= last), None) for x in (a.x + at * self.spacing for at in range(number))]
"""


@pytest.fixture
def carla_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like CARLA's; a map's text says from where to where its junction reaches."""
    folder = tmp_path / "carla"
    navigation = folder / "PythonAPI" / "carla" / "agents" / "navigation"
    navigation.mkdir(parents=True)
    (navigation / "global_route_planner.py").write_text(PLANNER)
    for name in ("agents", "agents.navigation", "agents.navigation.global_route_planner"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    client = SimpleNamespace(
        Map=lambda town, text: SimpleNamespace(town=town, text=text),
        Location=lambda x, y, z: SimpleNamespace(x=x, y=y, z=z),
    )
    monkeypatch.setitem(sys.modules, "carla", client)
    maps = folder / "CarlaUE4" / "Content" / "Carla" / "Maps"
    for town, place, text in (
        ("Town01", maps / "OpenDrive", "20 25"),
        ("Town02", maps / "Town02" / "OpenDrive", "99 99"),
    ):
        place.mkdir(parents=True)
        (place / f"{town}.xodr").write_text(text)
    return folder


def test_the_part_up_to_the_first_junction(tmp_path: Path, carla_root: Path) -> None:
    """0 to 30.5 m gives 30 points, 30.5 to 60 gives 29; the 21st is the first at 20 m or more, and 8 more."""
    routes = read_routes(write_route_file(tmp_path / "a.xml", ["T_Junction"] * 2))
    assert find_junctions(routes, carla_root) == {"11": pytest.approx((21 + 8) / 59)}


def test_what_is_missing_is_said(tmp_path: Path, carla_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    routes = read_routes(write_route_file(tmp_path / "a.xml", ["T_Junction"] * 3))
    with pytest.raises(InputError, match=r"Town03\.xodr cannot be read.*set carla_root"):
        find_junctions(routes, carla_root)
    monkeypatch.setitem(sys.modules, "carla", None)
    with pytest.raises(InputError, match="pip install carla"):
        find_junctions(routes[:1], carla_root)


@pytest.mark.parametrize("text", ["", "[1]", '{"11": "far"}', "3"])
def test_broken_tables_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "junctions.json").write_text(text)
    with pytest.raises(InputError, match=r"junctions\.json"):
        read_junctions(tmp_path / "junctions.json")
