"""Where a route's first junction lies, from CARLA's maps: what the ability Traffic_Signs needs to know.

The maps (``CarlaUE4/Content/Carla/Maps``) and the route planner (``PythonAPI/carla/agents``) are the user's CARLA, the
package ``carla`` comes from it or from the registry; nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from navsim_agents.bench2drive.routes import Route
from navsim_agents.common.files import read_json, read_text, reading
from navsim_agents.errors import InputError

MAPS = "CarlaUE4/Content/Carla/Maps"
AGENTS = "PythonAPI/carla"
SPACING_M = 1.0  # between the points of a planned route
POINTS_BEYOND = 8  # so that the car has left the place that the signs watch; tools/ability_benchmark.py


def read_junctions(path: Path) -> dict[str, float]:
    """Id of a route → part of it at which its first junction is passed, of a JSON file with that table."""
    content = read_json(path)
    with reading(path):
        return {str(number): float(part) for number, part in dict(content).items()}


def find_junctions(routes: Iterable[Route], carla_root: Path) -> dict[str, float]:
    """The same computed from the maps, as the benchmark's script does; routes without a junction are left out.

    Raises:
        InputError: a map, ``carla`` or the route planner is missing.
    """
    carla, planner_class = _import_carla(carla_root)
    planners: dict[str, Any] = {}
    found = {}
    for route in routes:
        if route.town not in planners:
            text = read_text(_map_path(carla_root, route.town), way_out="set carla_root to CARLA with all its maps")
            planners[route.town] = planner_class(carla.Map(route.town, text), SPACING_M)
        places = [carla.Location(*place) for place in route.positions]
        pairs = zip(places, places[1:])
        points = [point for a, b in pairs for point, _ in planners[route.town].trace_route(a, b)]
        at_junction = [number for number, point in enumerate(points, 1) if point.is_junction]
        if at_junction:
            found[route.number] = (at_junction[0] + POINTS_BEYOND) / len(points)
    return found


def _map_path(carla_root: Path, town: str) -> Path:
    maps = carla_root / MAPS
    places = (maps / "OpenDrive" / f"{town}.xodr", maps / town / "OpenDrive" / f"{town}.xodr")
    return next((place for place in places if place.exists()), places[0])


def _import_carla(carla_root: Path) -> tuple[Any, Any]:
    added = str(carla_root / AGENTS)
    sys.path.insert(0, added)
    try:
        carla = importlib.import_module("carla")
        planner = importlib.import_module("agents.navigation.global_route_planner")
    except ImportError as error:
        raise InputError(
            f"the first junctions need CARLA's client and its agents ({error}); pip install carla==0.9.16 and set "
            f"carla_root to a folder with {AGENTS}/agents, or give junctions=FILE.json"
        ) from error
    finally:
        sys.path.remove(added)
    return carla, planner.GlobalRoutePlanner
