"""People on foot: most walk along walkways, some wait at a crosswalk and cross it when they may."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

import numpy as np
from jaxtyping import Bool, Float64

from navsim_agents.world.curves import FloatArray, arc_lengths
from navsim_agents.world.fleet import Fleet
from navsim_agents.world.following import NO_LEAD_M
from navsim_agents.world.footways import crossing_way, road_stations
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.signals import SignalPlan

WALKING_SPEED = 3
"""Column of ``People.poses`` behind the poses."""
PEDESTRIAN_SIZE = np.array([0.6, 0.6, 1.75])
_WALK_START_S = 3.0  # of the crossing road's green, in which people set out
_PASSED_M = 2.2  # a car may go once a person is this far past its path
_DRIVER_LOOK_M = 45.0


@dataclass
class Crosser:
    """Somebody whose way [P, 2] leads over a crosswalk, between two stations of that way."""

    way: Float64[np.ndarray, "M 2"]
    speed_mps: float
    crosswalk_id: str
    kerb_m: float  # station of the kerb where one waits
    road_start_m: float
    road_end_m: float
    axis_start_m: float  # axis coordinate at the road's start
    axis_sign: int  # +1 if walking along the crosswalk's axis
    station_m: float = 0.0
    has_set_out: bool = False
    end_m: float = field(init=False)

    def __post_init__(self) -> None:
        self.end_m = float(arc_lengths(self.way)[-1])


@dataclass
class People:
    """Everybody on foot."""

    graph: LaneGraph
    signals: SignalPlan
    crossers: list[Crosser] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._entering = _entering_groups(self.graph)
        self._ways, self._travelled = _pad_ways(self.crossers)

    def step(self, fleet: Fleet, step: int, step_s: float) -> None:
        """Everybody walks on, or waits at the kerb."""
        for person in self.crossers:
            target = min(person.station_m + person.speed_mps * step_s, person.end_m)
            if not person.has_set_out and target >= person.kerb_m:
                person.has_set_out = self._may_cross(person, fleet, step)
                target = target if person.has_set_out else person.kerb_m
            person.station_m = target

    def _may_cross(self, person: Crosser, fleet: Fleet, step: int) -> bool:
        group = self._entering[person.crosswalk_id]
        if group is not None:
            crossing_road = (group[0], 1 - group[1])
            if self.signals.green_elapsed(*crossing_road)[step] > _WALK_START_S:
                return False
        return all(self._is_safe(fleet, int(vehicle), person) for vehicle in np.nonzero(fleet.is_active)[0])

    @staticmethod
    def _is_safe(fleet: Fleet, vehicle: int, person: Crosser) -> bool:
        """Whether a vehicle is past the crosswalk, far from it, or standing before it."""
        speed, front = fleet.speed[vehicle], fleet.station[vehicle] + fleet.front[vehicle]
        for crossing in fleet.crossings[vehicle]:
            if crossing.crosswalk_id != person.crosswalk_id or front - fleet.length[vehicle] > crossing.end_m + 0.5:
                continue
            room = crossing.wait_m - front
            if room < -0.3 or (speed > 0.3 and room < speed**2 / 3.0 + 4.0):
                return False
        return True

    def walls(self, fleet: Fleet) -> tuple[np.ndarray, set[int]]:
        """Distance [K] from front bumpers to where vehicles wait for people on crosswalks, and who must."""
        walls = np.full(len(fleet), NO_LEAD_M)
        busy: dict[str, list[tuple[float, int]]] = {}
        for person in self.crossers:
            if person.has_set_out and person.station_m < person.road_end_m:
                across = person.axis_start_m + person.axis_sign * (person.station_m - person.road_start_m)
                busy.setdefault(person.crosswalk_id, []).append((across, person.axis_sign))
        if not busy:
            return walls, set()
        for vehicle in np.nonzero(fleet.is_active)[0]:
            front = fleet.station[vehicle] + fleet.front[vehicle]
            for crossing in fleet.crossings[vehicle]:
                room = crossing.wait_m - front
                if crossing.crosswalk_id in busy and _DRIVER_LOOK_M > room > -1.5:
                    ahead = any(
                        (crossing.across_m - at) * sign > -_PASSED_M for at, sign in busy[crossing.crosswalk_id]
                    )
                    if ahead and fleet.speed[vehicle] ** 2 / (2.0 * max(room, 0.1)) < 5.0:
                        walls[vehicle] = min(walls[vehicle], max(room, 0.05))
        return walls, {int(vehicle) for vehicle in np.nonzero(walls < NO_LEAD_M)[0]}

    def on_road(self) -> Bool[np.ndarray, " M"]:
        """Who has left the kerb and not reached the other one."""
        return np.array([person.kerb_m < person.station_m < person.road_end_m for person in self.crossers], dtype=bool)

    def poses(self) -> Float64[np.ndarray, "M 4"]:
        """Positions, headings and speeds of everybody."""
        if not self.crossers:
            return np.zeros((0, 4))
        everyone = np.arange(len(self.crossers))
        station = np.array([person.station_m for person in self.crossers])
        travelled = self._travelled
        i = np.clip((travelled < station[:, None]).sum(axis=1) - 1, 0, travelled.shape[1] - 2)
        start, end = self._ways[everyone, i], self._ways[everyone, i + 1]
        share = (station - travelled[everyone, i]) / (travelled[everyone, i + 1] - travelled[everyone, i])
        xy = start + np.clip(share, 0.0, 1.0)[:, None] * (end - start)
        heading = np.arctan2(*(end - start).T[::-1])
        return np.column_stack((xy, heading, [_speed(person) for person in self.crossers]))


def _pad_ways(people: list[Crosser]) -> tuple[FloatArray, FloatArray]:
    """Ways [M, P, 2], the last leg extended where one has fewer points, and their arc lengths [M, P]."""
    most = max((len(person.way) for person in people), default=2)
    ways = np.zeros((len(people), most, 2))
    for row, person in zip(ways, people):
        row[: len(person.way)] = person.way
        missing = np.arange(1, most - len(person.way) + 1)[:, None]
        row[len(person.way) :] = person.way[-1] + missing * (person.way[-1] - person.way[-2])
    legs = np.linalg.norm(np.diff(ways, axis=1), axis=-1)
    return ways, np.concatenate((np.zeros((len(people), 1)), np.cumsum(legs, axis=1)), axis=1)


def _speed(person: Crosser) -> float:
    waits = not person.has_set_out and person.station_m >= person.kerb_m
    return 0.0 if waits or person.station_m >= person.end_m else person.speed_mps


def _entering_groups(graph: LaneGraph) -> dict[str, Optional[tuple[str, int]]]:
    """Signal group that drives over each crosswalk right after its stop line; None where there are no signals."""
    found: dict[str, Optional[tuple[str, int]]] = dict.fromkeys(graph.axes)
    for lane_id, crossings in graph.crossings.items():
        lane = graph.town.lanes[lane_id]
        for crossing in crossings:
            if lane.signal_group is not None and crossing.start_m < 3.0:
                found[crossing.crosswalk_id] = (str(lane.intersection_id), lane.signal_group)
    return found


def place_crosser(
    graph: LaneGraph,
    crosswalk_id: str,
    is_reversed: bool,
    wait_s: float,
    speed_mps: float,
    ways: list[FloatArray],
    rng: np.random.Generator,
) -> Crosser:
    """Somebody who comes along a walkway, reaches the kerb within ``wait_s`` seconds, crosses, and walks further."""
    way, kerb = crossing_way(graph, crosswalk_id, is_reversed, wait_s * speed_mps, ways, rng)
    start, end = road_stations(graph, crosswalk_id, kerb)
    origin = graph.axes[crosswalk_id].length_m if is_reversed else 0.0
    return Crosser(way, speed_mps, crosswalk_id, kerb, start, end, origin, -1 if is_reversed else 1)


def place_walker(way: Float64[np.ndarray, "M 2"], speed_mps: float, station_m: float) -> Crosser:
    """Somebody who only walks along a walkway."""
    return Crosser(way, speed_mps, "", 0.0, 0.0, 0.0, 0.0, 1, station_m, has_set_out=True)
