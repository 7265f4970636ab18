"""Route files and results in the benchmark's format, of our own making."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from navsim_agents.bench2drive.records import INFRACTIONS, RouteRecord, TickInfo, compose, write_metric_info

ROUTE = """<route id="{number}" town="Town{town:02d}">
  <waypoints>
    <position x="0.0" y="{number}" z="0.5" /><position x="30.5" y="{number}" z="0.5" />
    <position x="60.0" y="{number}" z="0.5" />
  </waypoints>
  <scenarios>
    <scenario name="{scene}_1" type="{scene}"><trigger_point x="9.0" y="0.0" z="0.5" yaw="0.0" /></scenario>
  </scenarios>
  <weathers>
    <weather route_percentage="0" cloudiness="20.0" /><weather route_percentage="100" cloudiness="30.0" />
  </weathers>
</route>"""


def write_route_file(path: Path, scenes: Sequence[str], first: int = 11) -> Path:
    """Routes ``first``, ``first + 1``, … of these scenario types, in Town01, Town02, …"""
    routes = [ROUTE.format(number=first + at, town=at + 1, scene=scene) for at, scene in enumerate(scenes)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("<routes>" + "\n".join(routes) + "</routes>", encoding="utf-8")
    return path


def result(
    number: int, percent: float = 100.0, failure: str = "", scene: str = "Accident", **lists: str
) -> RouteRecord:
    """What the benchmark says of a route; each of ``lists`` holds one message."""
    assert lists.keys() <= set(INFRACTIONS)
    infractions = {name: (message,) for name, message in lists.items()}
    penalty, composed, status = compose(percent, infractions, failure)
    name = f"RouteScenario_{number}_rep0"
    saved = f"{name}_Town01_{scene}_1_7_01_02_03_04_05"
    scores = (percent, penalty, composed)
    return RouteRecord(name, f"{scene}_1", "Town01", "7", saved, status, infractions, *scores)


def tick(lon: float = 0.0, lat: float = 0.0, turn: float = 0.0, ahead: tuple[float, float] = (1.0, 0.0)) -> TickInfo:
    """A tick by its accelerations [m/s²] ahead and to the right, and its angular velocity about z as CARLA gives it."""
    x, y = ahead
    right = (-y, x)
    world = (lon * x + lat * right[0], lon * y + lat * right[1], 0.0)
    zero = (0.0, 0.0, 0.0)
    return TickInfo(world, (0.0, 0.0, turn), (x, y, 0.0), (*right, 0.0), zero, zero)


def write_ticks(save_path: Path, record: RouteRecord, ticks: Sequence[TickInfo], prefix: str = "") -> None:
    """What the agent noted of a route; ``prefix`` is what some agents put before the folder's name."""
    write_metric_info(save_path / f"{prefix}{record.save_name}" / "metric_info.json", dict(enumerate(ticks)))
