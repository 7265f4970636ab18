"""Who takes part in a drive: moving vehicles, cyclists and people on foot, and where they start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import XY
from navsim_agents.world.config import NUM_VEHICLES
from navsim_agents.world.curves import arc_lengths, interpolate_curve, offset_curve
from navsim_agents.world.fleet import EGO_BODY, Body, Fleet
from navsim_agents.world.footways import footways
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.motion import MotionPlan, SpeedRule, build_reference, lane_curve, plan_along
from navsim_agents.world.pedestrians import Crosser, place_crosser, place_walker
from navsim_agents.world.routes import open_lane_route
from navsim_agents.world.scenery import WALKWAY_M
from navsim_agents.world.still_objects import VEHICLE_COLORS, StillScene, random_car
from navsim_agents.world.types import AgentType

MAX_PATH_POINTS = 1700
_SLOT_M = 13.0  # between places where vehicles may start
_CYCLIST_OFFSET_M = -1.1
_NEAR_ROUTE_M = 120.0
_WALKING_MPS = (1.5, 1.2)


@dataclass(frozen=True)
class TrafficConfig:
    """How many of each kind start near the expert's route."""

    num_vehicles: int = NUM_VEHICLES
    num_cyclists: int = 7
    num_crossers: int = 26
    num_walkers: int = 34
    slow_share: float = 0.12  # vehicles that drive at half speed


@dataclass(frozen=True)
class Mover:
    """A vehicle or cyclist before the drive."""

    agent_type: AgentType
    body: Body
    color: tuple[int, int, int]
    plan: MotionPlan
    station_m: float


def place_movers(
    graph: LaneGraph,
    still: StillScene,
    ego: Float64[np.ndarray, "3"],
    route: Float64[np.ndarray, "M 2"],
    reach_m: float,
    config: TrafficConfig,
    rng: np.random.Generator,
) -> list[Mover]:
    """Vehicles and cyclists on lanes near the ``route``, with ways of ``reach_m``, clear of the pose ``ego``."""
    slots = _free_slots(graph, still, ego, route, rng)[: config.num_vehicles + config.num_cyclists]
    movers = []
    closed = frozenset(still.closed_lanes)
    for i, (lane_id, station) in enumerate(slots):
        lane_ids = open_lane_route(graph, lane_id, reach_m, rng, closed)
        if lane_ids is None:
            continue
        curves = [lane_curve(graph, lane, still.nudges) for lane in lane_ids]
        is_cyclist = i < config.num_cyclists
        body, color, rule = _cyclist(rng) if is_cyclist else _car(config.slow_share, rng)
        reference = build_reference(graph, lane_ids, curves)
        plan = plan_along(reference, rule, _CYCLIST_OFFSET_M if is_cyclist else float(rng.uniform(-0.15, 0.15)))
        movers.append(Mover(AgentType.BICYCLE if is_cyclist else AgentType.VEHICLE, body, color, plan, station))
    return movers


def assemble_fleet(movers: list[Mover], rng: np.random.Generator) -> Fleet:
    """The expert's car, still without a plan, and all movers in motion."""
    fleet = Fleet([EGO_BODY, *(mover.body for mover in movers)], MAX_PATH_POINTS)
    for number, mover in enumerate(movers, start=1):
        fleet.set_plan(number, mover.plan, mover.station_m)
    fleet.speed[1:] = 0.8 * rng.uniform(0.3, 1.0, len(movers)) * fleet.profile_at(fleet.station)[1:]
    return fleet


def _car(slow_share: float, rng: np.random.Generator) -> tuple[Body, tuple[int, int, int], SpeedRule]:
    size, color = random_car(rng)
    factor = rng.uniform(0.4, 0.55) if rng.random() < slow_share else rng.uniform(0.75, 1.0)
    return Body(*(float(value) for value in size)), color, SpeedRule(limit_factor=float(factor))


def _cyclist(rng: np.random.Generator) -> tuple[Body, tuple[int, int, int], SpeedRule]:
    color = VEHICLE_COLORS[int(rng.integers(len(VEHICLE_COLORS)))]
    return Body(1.8, 0.65, 1.75), color, SpeedRule(limit_factor=float(rng.uniform(0.3, 0.45)))


def _free_slots(
    graph: LaneGraph,
    still: StillScene,
    ego: Float64[np.ndarray, "3"],
    route: Float64[np.ndarray, "M 2"],
    rng: np.random.Generator,
) -> list[tuple[str, float]]:
    """Places (lane, station) near the route in random order, none in closed lanes or close to the expert."""
    slots = []
    for lane in graph.town.lanes.values():
        if lane.is_connector or lane.lane_id in still.closed_lanes:
            continue
        places = np.arange(8.0, graph.lengths[lane.lane_id] - 6.0, _SLOT_M)
        points = interpolate_curve(lane.centerline, places)[:, XY]
        near = np.abs(points[:, None] - route[None, ::20]).max(axis=-1).min(axis=1) < _NEAR_ROUTE_M
        is_clear = np.hypot(*(points - ego[XY]).T) > 14.0
        slots += [(lane.lane_id, float(place)) for place in places[near & is_clear]]
    return [slots[i] for i in rng.permutation(len(slots))]


def place_people(
    graph: LaneGraph,
    route: Float64[np.ndarray, "M 2"],
    duration_s: float,
    config: TrafficConfig,
    rng: np.random.Generator,
) -> list[Crosser]:
    """Crossers at crosswalks near the ``route`` and walkers along the walkways."""
    crosswalks = [i for i, axis in graph.axes.items() if _is_near(axis.start, route)]
    ways = footways(graph)
    people = []
    places = [(crosswalk, is_reversed) for crosswalk in crosswalks for is_reversed in (False, True)]
    for i in rng.permutation(len(places))[: config.num_crossers]:
        wait_s, speed = float(rng.uniform(0.0, duration_s)), float(rng.uniform(1.1, 1.6))
        crosswalk_id, is_reversed = places[i]
        people.append(place_crosser(graph, crosswalk_id, is_reversed, wait_s, speed, ways, rng))
    near = [way for way in ways if _is_near(way[0], route)]
    for i in rng.integers(len(near), size=config.num_walkers):
        station = float(arc_lengths(near[i])[-1] * rng.uniform(0.0, 0.7))
        file = int(rng.integers(len(_WALKING_MPS)))  # with a file for each pace, nobody walks into the back of another
        heading = np.arctan2(*np.gradient(near[i], axis=0).T[::-1])
        way = offset_curve(np.column_stack((near[i], heading)), -WALKWAY_M * (0.16 + 0.26 * file))
        people.append(place_walker(way, _WALKING_MPS[file], station))
    return people


def _is_near(point: Float64[np.ndarray, "2"], route: Float64[np.ndarray, "M 2"]) -> bool:
    return bool(np.abs(route[::20] - point).max(axis=-1).min() < _NEAR_ROUTE_M)
