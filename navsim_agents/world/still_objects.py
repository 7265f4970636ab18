"""What does not move in a drive: parked vehicles, roadworks, things on walkways, and how traffic passes them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.world.curves import FloatArray, arc_lengths, interpolate_curve, left_normal
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.motion import Nudge
from navsim_agents.world.roads import LANE_WIDTH_M
from navsim_agents.world.scenery import VERGE_M, WALKWAY_EDGE_M
from navsim_agents.world.types import LENGTH, WIDTH, AgentType, Area, Lane

VEHICLE_COLORS = (
    (200, 200, 205), (40, 42, 48), (110, 114, 120), (150, 30, 32), (36, 70, 130),
    (235, 235, 235), (70, 92, 80), (168, 148, 116), (196, 120, 30),
)  # fmt: skip
_CONE_COLOR, _BARRIER_COLOR, _SIGN_COLOR = (236, 100, 30), (225, 215, 205), (240, 150, 40)
_FREE_END_M = 9.0  # no parking so close to a junction


@dataclass(frozen=True)
class StillObject:
    """Something that stands still: box centre and heading [3], size [3]."""

    agent_type: AgentType
    pose: Float64[np.ndarray, "3"]
    size: Float64[np.ndarray, "3"]
    color: tuple[int, int, int]


@dataclass
class StillScene:
    """All that stands, lanes with something in them, and the nudges by which other lanes pass."""

    objects: list[StillObject] = field(default_factory=list)
    closed_lanes: dict[str, tuple[float, float]] = field(default_factory=dict)  # lane id -> blocked stations
    nudges: dict[str, tuple[Nudge, ...]] = field(default_factory=dict)

    def add_nudge(self, lane_id: str, nudge: Nudge) -> None:
        """Let vehicles of a lane keep away from something at its right edge."""
        self.nudges[lane_id] = (*self.nudges.get(lane_id, ()), nudge)


@dataclass(frozen=True)
class StillConfig:
    """How much stands at the roads."""

    parked_share: float = 0.3  # of the places at the road's edge
    carpark_share: float = 0.6
    num_works: int = 6
    num_double_parked: int = 3
    num_things: int = 25


def place_still_objects(graph: LaneGraph, config: StillConfig, rng: np.random.Generator) -> StillScene:
    """Fill a town with things that stand still."""
    scene = StillScene()
    outer = [lane for lane in graph.town.lanes.values() if not lane.is_connector and lane.right_neighbor is None]
    order = list(rng.permutation(len(outer)))
    works = {outer[i].lane_id for i in order[: config.num_works]}
    wide = [outer[i] for i in order[config.num_works :] if outer[i].left_neighbor is not None]
    for lane in outer:
        if lane.lane_id in works:
            _add_works(scene, lane, rng)
        else:
            _add_parked(scene, lane, graph.town.carparks, config.parked_share, rng)
    for lane in wide[: config.num_double_parked]:
        _add_double_parked(scene, lane, rng)
    for carpark in graph.town.carparks.values():
        _fill_carpark(scene, carpark, config.carpark_share, rng)
    for i in rng.integers(len(outer), size=config.num_things):
        _add_thing(scene, outer[i], rng)
    return scene


def random_car(rng: np.random.Generator) -> tuple[FloatArray, tuple[int, int, int]]:
    """Size [3] and colour of a car, now and then a van or a lorry."""
    kind = rng.random()
    base = (4.6, 1.9, 1.6) if kind < 0.75 else (5.4, 2.05, 2.1) if kind < 0.93 else (8.2, 2.4, 3.1)
    size = np.array(base) * rng.uniform(0.94, 1.06, 3)
    return size, VEHICLE_COLORS[int(rng.integers(len(VEHICLE_COLORS)))]


def _edge_pose(lane: Lane, station_m: float, right_of_edge_m: float) -> Float64[np.ndarray, "3"]:
    """Pose to the right of a lane's right edge, heading along the lane."""
    edge = np.column_stack((lane.right_boundary, lane.centerline[:, HEADING]))
    scale = arc_lengths(edge)[-1] / arc_lengths(lane.centerline)[-1]
    pose = interpolate_curve(edge, np.array([station_m * scale]))[0]
    return np.array([*(pose[XY] - right_of_edge_m * left_normal(pose[HEADING])), pose[HEADING]])


def _add_parked(
    scene: StillScene, lane: Lane, carparks: dict[str, Area], share: float, rng: np.random.Generator
) -> None:
    """Cars at the road's edge; some stand a little in the lane."""
    length = float(arc_lengths(lane.centerline)[-1])
    throats = [area.polygon[:2].mean(axis=0) for area in carparks.values()]
    for place in np.arange(_FREE_END_M, length - _FREE_END_M, 7.0):
        if rng.random() > share:
            continue
        size, color = random_car(rng)
        if size[LENGTH] > 6.5:
            continue
        protrusion = float(np.clip(rng.normal(-0.1, 0.2), 0.0, 0.25))
        station = float(place + rng.uniform(-0.4, 0.4))
        pose = _edge_pose(lane, station, float(min(size[WIDTH] / 2 - protrusion + 0.15, VERGE_M - size[WIDTH] / 2)))
        if any(np.hypot(*(throat - pose[XY])) < 9.0 for throat in throats):
            continue
        pose[HEADING] += rng.normal(0.0, 0.02)
        scene.objects.append(StillObject(AgentType.VEHICLE, pose, size, color))
        if protrusion > 0.0:
            scene.add_nudge(lane.lane_id, Nudge(station, size[LENGTH] / 2 + 2.0, 0.3))


def _add_double_parked(scene: StillScene, lane: Lane, rng: np.random.Generator) -> None:
    """A vehicle that stands in the rightmost lane."""
    station = float(arc_lengths(lane.centerline)[-1] * rng.uniform(0.5, 0.65))
    size, color = random_car(rng)
    pose = _edge_pose(lane, station, -(size[WIDTH] / 2 + 0.5))
    scene.objects.append(StillObject(AgentType.VEHICLE, pose, size, color))
    scene.closed_lanes[lane.lane_id] = (station - size[LENGTH] / 2, station + size[LENGTH] / 2)


def _add_works(scene: StillScene, lane: Lane, rng: np.random.Generator) -> None:
    """Roadworks: on wide roads they close the right lane, on narrow ones they take a strip of it."""
    closes = lane.left_neighbor is not None
    length = float(arc_lengths(lane.centerline)[-1])
    start = length * 0.5
    end = min(start + rng.uniform(8.0, 14.0), length - 12.0)
    inside = LANE_WIDTH_M - 0.7 if closes else 0.3
    taper = 9.0 if closes else 4.0
    for share in np.linspace(0.0, 1.0, 5):
        _add_cone(scene, lane, start - taper * (1.0 - share), -inside * share + 0.4 * (1 - share))
    for station in np.arange(start + 2.5, end, 2.5):
        _add_cone(scene, lane, station, -inside)
    for station in (start + 2.0, end - 2.0):
        pose = _edge_pose(lane, station, 0.9 - 0.4 * inside)
        scene.objects.append(StillObject(AgentType.BARRIER, pose, np.array([1.8, 0.5, 1.0]), _BARRIER_COLOR))
    sign = _edge_pose(lane, start - taper - 4.0, 0.9)
    scene.objects.append(StillObject(AgentType.CZONE_SIGN, sign, np.array([0.3, 0.8, 1.6]), _SIGN_COLOR))
    if closes:
        scene.closed_lanes[lane.lane_id] = (start - taper, end)
    else:
        scene.add_nudge(lane.lane_id, Nudge((start + end) / 2, (end - start) / 2 + 3.0, 0.3))


def _add_cone(scene: StillScene, lane: Lane, station_m: float, right_of_edge_m: float) -> None:
    pose = _edge_pose(lane, station_m, right_of_edge_m)
    scene.objects.append(StillObject(AgentType.TRAFFIC_CONE, pose, np.array([0.4, 0.4, 0.8]), _CONE_COLOR))


def _fill_carpark(scene: StillScene, carpark: Area, share: float, rng: np.random.Generator) -> None:
    """Two rows of stalls along the long sides of the lot (outline points 3 to 6)."""
    near_left, far_left, far_right = carpark.polygon[3], carpark.polygon[4], carpark.polygon[5]
    along = (far_right - far_left) / np.hypot(*(far_right - far_left))
    inward = (far_left - near_left) / np.hypot(*(far_left - near_left))
    width = float(np.hypot(*(far_right - far_left)))
    for depth in (3.2, float(np.hypot(*(far_left - near_left))) - 3.2):
        for place in np.arange(2.0, width - 1.5, 2.9):
            blocks_throat = depth < 5.0 and abs(place - width / 2) < 6.0
            if rng.random() > share or blocks_throat:
                continue
            size, color = random_car(rng)
            heading = float(np.arctan2(inward[Y], inward[X]) + (np.pi if rng.random() < 0.5 else 0.0))
            pose = np.array([*(near_left + along * place + inward * depth), heading + rng.normal(0.0, 0.02)])
            if size[LENGTH] < 6.0:
                scene.objects.append(StillObject(AgentType.VEHICLE, pose, size, color))


def _add_thing(scene: StillScene, lane: Lane, rng: np.random.Generator) -> None:
    """A bin, a bench or a bush behind the walkway."""
    station = rng.uniform(3.0, float(arc_lengths(lane.centerline)[-1]) - 3.0)
    size = rng.uniform((0.5, 0.4, 0.7), (1.4, 0.7, 1.3))
    pose = _edge_pose(lane, float(station), WALKWAY_EDGE_M + 0.5)
    scene.objects.append(StillObject(AgentType.GENERIC_OBJECT, pose, size, (90, 100, 80)))
