"""What the ego runs into: boxes of everybody near it, and walls of buildings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float64

from navsim_agents.bench2drive.records import HIT_LAYOUT, HIT_PEDESTRIAN, HIT_VEHICLE
from navsim_agents.closed_loop.places import place
from navsim_agents.closed_loop.stage import Stage
from navsim_agents.common.planar import LENGTH, WIDTH, corners, overlaps
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.world.curves import unit
from navsim_agents.world.pedestrians import PEDESTRIAN_SIZE
from navsim_agents.world.types import FOOTPRINT, AgentType, Town

# CollisionTest of Bench2Drive's atomic_criteria.py.
SAME_PLACE_M, SAME_THING_S = 5.0, 5.0
LEAST_MPS = 0.1  # an ego slower than this is not at fault
NEAR_M = 12.0
STOPPING = (AgentType.VEHICLE, AgentType.BARRIER)
"""Of things that stand: those that a car cannot push aside."""


@dataclass(frozen=True)
class Thing:
    """Something that the ego may touch."""

    name: str  # the same at every step
    list_name: str  # of infractions
    kind: str
    box: Float64[np.ndarray, "5"]
    stops: bool  # whether the ego comes to rest against it


class Surroundings:
    """All that is near the ego of one route."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._still = [
            Thing(
                f"still-{number}",
                HIT_VEHICLE if item.agent_type is AgentType.VEHICLE else HIT_LAYOUT,
                item.agent_type.value,
                np.array([*item.pose, *item.size[FOOTPRINT]]),
                item.agent_type in STOPPING,
            )
            for number, item in enumerate(stage.still.objects)
        ]
        self._places = np.array([thing.box[XY] for thing in self._still]).reshape(-1, 2)
        self._walls = Walls(stage.graph.town)

    def touching(self, ego: Float64[np.ndarray, "5"]) -> list[Thing]:
        """What shares a point with the box of the ego, everybody where he is now."""
        near = list(self._near(ego[XY]))
        if near:
            boxes = np.array([thing.box for thing in near])
            hit = overlaps(np.broadcast_to(ego, boxes.shape), boxes)
            near = [thing for thing, is_hit in zip(near, hit) if is_hit]
        return near + self._walls.touching(ego)

    def _near(self, place: Float64[np.ndarray, "2"]) -> Iterator[Thing]:
        simulation = self._stage.simulation
        fleet = simulation.fleet
        centers = fleet.centers(fleet.poses())
        distance = np.hypot(*(centers[:, XY] - place).T)
        for number in np.flatnonzero((distance < NEAR_M) & fleet.is_active).tolist():
            if number:
                box = np.array([*centers[number], fleet.length[number], fleet.width[number]])
                kind = self._stage.movers[number - 1].agent_type.value
                yield Thing(f"fleet-{number}", HIT_VEHICLE, kind, box, True)
        people = simulation.people.poses()
        for number in np.flatnonzero(np.hypot(*(people[:, XY] - place).T) < NEAR_M).tolist():
            box = np.array([*people[number, : HEADING + 1], *PEDESTRIAN_SIZE[FOOTPRINT]])
            yield Thing(f"person-{number}", HIT_PEDESTRIAN, AgentType.PEDESTRIAN.value, box, False)
        if len(self._places):
            for number in np.flatnonzero(np.hypot(*(self._places - place).T) < NEAR_M).tolist():
                yield self._still[number]


class Walls:
    """Buildings of a town."""

    def __init__(self, town: Town) -> None:
        self._ids = list(town.buildings)
        self._tree = shapely.STRtree([shapely.Polygon(area.polygon) for area in town.buildings.values()])

    def touching(self, ego: Float64[np.ndarray, "5"]) -> list[Thing]:
        """Buildings that share a point with the box."""
        found = self._tree.query(shapely.Polygon(corners(ego)), predicate="intersects")
        return [self._wall(int(index), ego) for index in found]

    def _wall(self, index: int, ego: Float64[np.ndarray, "5"]) -> Thing:
        """A wall is hit head on, wherever its building's middle may be."""
        ahead = ego[XY] + unit(ego[HEADING]) * ego[LENGTH] / 2
        box = np.array([*ahead, ego[HEADING], 0.1, ego[WIDTH]])
        return Thing(f"building-{self._ids[index]}", HIT_LAYOUT, "building", box, True)


def is_run_into(ego: Float64[np.ndarray, "5"], thing: Thing) -> bool:
    """Whether what is touched lies ahead of the ego's middle and cannot be pushed aside."""
    return thing.stops and bool((thing.box[XY] - ego[XY]) @ unit(ego[HEADING]) > 0.0)


class CollisionWatch:
    """Counts collisions as Bench2Drive does, and one contact once however long it lasts.

    Not counted: what touches an ego that stands, the thing last hit within 5 s, anything within 5 m of the last hit.
    """

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []  # list of infractions, message
        self._in_contact: set[str] = set()
        self._last_thing, self._last_time_s = "", -np.inf
        self._last_place = np.full(2, np.inf)

    def update(self, time_s: float, ego: Float64[np.ndarray, "5"], speed: float, touching: list[Thing]) -> None:
        """Look at what the ego touches now, moving at ``speed`` [m/s] when it did."""
        for thing in touching:
            if thing.name in self._in_contact or speed < LEAST_MPS or self._is_known(time_s, ego, thing):
                continue
            self._last_thing, self._last_time_s, self._last_place = thing.name, time_s, ego[XY].copy()
            self._in_contact.add(thing.name)
            what = f"type={thing.kind} and id={thing.name}"
            self.events.append((thing.list_name, f"Agent collided against object with {what} at {place(ego[XY])}"))
        self._in_contact &= {thing.name for thing in touching}

    def _is_known(self, time_s: float, ego: Float64[np.ndarray, "5"], thing: Thing) -> bool:
        is_same = thing.name == self._last_thing and time_s - self._last_time_s <= SAME_THING_S
        return is_same or float(np.hypot(*(ego[XY] - self._last_place))) <= SAME_PLACE_M
