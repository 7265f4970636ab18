"""Bench2Drive's route files: which routes there are, where they go, and one file a route.

The files are the benchmark's (``leaderboard/data/bench2drive220.xml``, ``bench2drive_0.0.4_val.xml``, …) or made in
their format: ``<routes><route id town><waypoints/><scenarios/><weathers/></route>…</routes>``.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from navsim_agents.common.files import reading, write_text
from navsim_agents.errors import InputError

ID = re.compile(r"[A-Za-z0-9-]+")
"""Of a route: a file's name, and without the _ that ends it in a result's ``route_id``."""
WAY_OUT = "give a route file of the benchmark, such as leaderboard/data/bench2drive220.xml"


@dataclass(frozen=True)
class Route:
    """One route of a route file."""

    number: str  # its id in the file
    town: str
    scenario_type: str  # of its first scenario
    positions: tuple[tuple[float, float, float], ...]  # m, CARLA's world: x ahead, y right, z up
    text: str  # its element as XML

    @property
    def scene(self) -> str:
        """What the route is about, for people."""
        return f"{self.number} ({self.scenario_type}, {self.town})"


def read_routes(path: Path) -> list[Route]:
    """Routes in the file's order.

    Raises:
        InputError: there is no such file, it is no route file, two routes have one id, or an id can be no file's name.
    """
    try:
        with reading(path, way_out=WAY_OUT):
            root = ElementTree.fromstring(path.read_bytes())
            routes = [_route(element) for element in root.findall("route")]
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is no XML ({error}); {WAY_OUT}") from error
    if not routes:
        raise InputError(f"{path} has no <route>; {WAY_OUT}")
    number, count = Counter(route.number for route in routes).most_common(1)[0]
    if count > 1:
        raise InputError(f"{path} has {count} routes with id {number}, but results are told apart by it; rename them")
    return routes


def _route(element: ElementTree.Element) -> Route:
    number, town = element.attrib["id"], element.attrib["town"]
    if not ID.fullmatch(number):
        raise ValueError(f"id {number!r} of a route, which names its files, but has more than letters, digits and -")
    scenario = element.find("scenarios/scenario")
    if scenario is None:
        raise ValueError(f"route {number} has no scenario")
    places = element.findall("waypoints/position")
    x_y_z = tuple((float(at.attrib["x"]), float(at.attrib["y"]), float(at.attrib["z"])) for at in places)
    if not all(math.isfinite(value) for place in x_y_z for value in place):
        raise ValueError(f"route {number} has a position that is not finite")
    text = ElementTree.tostring(element, encoding="unicode").strip()
    return Route(number, town, scenario.attrib["type"], x_y_z, text)


def write_routes(path: Path, routes: Sequence[Route]) -> None:
    """A route file with these routes, each as it was read."""
    lines = ["<?xml version='1.0' encoding='utf-8'?>", "<routes>", *(route.text for route in routes), "</routes>", ""]
    write_text(path, "\n".join(lines))
