"""Points and commands of a route: 50 m apart, and where a junction begins and ends."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("shapely")

from navsim_agents.bench2drive.inputs import COMMANDS
from navsim_agents.world.guidance import guidance
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.types import Turn
from tests.world.small_town import ORIGIN, small_town

ROUTE = ("10", "20", "30")


def told_at(x: float, route: tuple[str, ...] = ROUTE, turn: Turn = Turn.STRAIGHT) -> tuple[str, float, str, float]:
    """Command and place along the road of the next point, and of the one after it."""
    town = small_town()
    lanes = {**town.lanes, "22": dataclasses.replace(town.lanes["22"], turn=turn)}
    pose = np.array([*np.add(ORIGIN, (x, 0.0)), 0.0])
    found = guidance(TownMap(dataclasses.replace(town, lanes=lanes)), route, pose)
    near, far = (float((place - ORIGIN)[0]) for place in (found.target, found.far_target))
    return COMMANDS[found.command], near, COMMANDS[found.far_command], far


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (5.0, ("follow", 50.0, "left", 60.0)),
        (45.0, ("follow", 50.0, "left", 60.0)),
        (47.0, ("left", 60.0, "left", 80.0)),  # 50 is too near
        (57.0, ("left", 80.0, "follow", 130.0)),  # so is the junction's beginning
        (70.0, ("left", 80.0, "follow", 130.0)),
        (78.0, ("left", 130.0, "follow", 140.0)),  # still inside
        (85.0, ("follow", 130.0, "follow", 140.0)),
        (139.0, ("follow", 140.0, "follow", 140.0)),  # the route's end
    ],
)
def test_along_a_road_with_a_left_turn(x: float, told: tuple[str, float, str, float]) -> None:
    route = ROUTE if x < 60.0 else ROUTE[1:] if x < 80.0 else ROUTE[2:]
    assert told_at(x, route, Turn.LEFT) == told


def test_a_junction_that_is_crossed_is_straight() -> None:
    assert told_at(47.0)[0] == "straight"
