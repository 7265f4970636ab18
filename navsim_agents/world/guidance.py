"""Where a route leads, in Bench2Drive's words: points each 50 m and where the command changes, and the command there.

The leaderboard hands its agents a route thinned so; they steer for the next point that is not right before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from navsim_agents.bench2drive.inputs import COMMANDS, FOLLOW
from navsim_agents.bench2drive.route_following import NEAR_M
from navsim_agents.common.planar import arc_lengths
from navsim_agents.common.poses import XY
from navsim_agents.world.scoring_scenes.route import lanes_of_route, shortest_chain, starting_lane, without_loops
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.types import Lane, Turn

POINT_SPACING_M = 50.0  # of the leaderboard's thinned routes
_COMMANDS = {Turn.LEFT: "left", Turn.RIGHT: "right", Turn.STRAIGHT: "straight", Turn.U_TURN: "left"}


@dataclass(frozen=True)
class Guidance:
    """What an agent is told at one moment; places are global."""

    command: int  # index into COMMANDS
    target: Float64[np.ndarray, "2"]  # the next point
    far_command: int
    far_target: Float64[np.ndarray, "2"]  # the one after it
    lanes: tuple[str, ...]  # from the current one on


def lane_command(lane: Lane) -> int:
    """Index into COMMANDS of driving along ``lane``."""
    return COMMANDS.index(_COMMANDS[lane.turn]) if lane.is_connector else FOLLOW


def guidance(town_map: TownMap, route: Sequence[str], rear_axle: Float64[np.ndarray, "3"]) -> Guidance:
    """What is told at the pose ``rear_axle`` on a ``route`` of roadblocks, the current one first.

    A point where a junction begins or ends has the command of the way through it, other points that of their lane.
    A point within the way that the leaderboard's agent takes for passed, too, counts as reached.
    In a junction the command is that of the way through it; before it, that of the next point.
    """
    blocks = without_loops(town_map, route)
    allowed = lanes_of_route(town_map, blocks)
    start = starting_lane(town_map, allowed, rear_axle)
    chain = shortest_chain(town_map, frozenset(allowed), start, blocks[-1])
    lanes = [town_map.town.lanes[name] for name in chain]
    first = town_map.chords(chain[0]).points
    here = float(arc_lengths(first)[int(np.hypot(*(first - rear_axle[XY]).T).argmin())])
    ahead = [(place, command) for station, place, command in _points(town_map, lanes) if station > here + NEAR_M]
    end = (lanes[-1].centerline[-1, XY], FOLLOW)
    (target, command), (far_target, far_command) = [*ahead, end, end][:2]
    current = lane_command(lanes[0]) if lanes[0].is_connector else command
    return Guidance(current, target, far_command, far_target, tuple(chain))


def _points(town_map: TownMap, lanes: Sequence[Lane]) -> list[tuple[float, Float64[np.ndarray, "2"], int]]:
    """Station [m] from the chain's start, place and command of each point: of every lane its start, and each 50 m."""
    found, passed, behind = [], 0.0, FOLLOW
    for lane in lanes:
        points = town_map.chords(lane.lane_id).points
        stations = arc_lengths(points)
        for station in np.arange(0.0, stations[-1], POINT_SPACING_M):
            place = points[int(np.searchsorted(stations, station))]
            is_way_out = station == 0.0 and not lane.is_connector
            found.append((passed + float(station), place, behind if is_way_out else lane_command(lane)))
        passed, behind = passed + float(stations[-1]), lane_command(lane)
    return found
