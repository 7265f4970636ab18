"""A route's world at its beginning: everybody in place, and moved on until the ego has a history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from navsim_agents.closed_loop.car import Car
from navsim_agents.closed_loop.guides import Follower, RouteExpert, path_station
from navsim_agents.closed_loop.line import RouteLine, chain_of_lanes
from navsim_agents.closed_loop.routes import Route
from navsim_agents.common.conventions import WORLD_STEP_S
from navsim_agents.common.poses import XY
from navsim_agents.scoring.axes import State
from navsim_agents.world.drive import DriveConfig, populate
from navsim_agents.world.fleet import EGO
from navsim_agents.world.footways import footways
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.pedestrians import People, place_crosser
from navsim_agents.world.right_of_way import GREEN
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.signals import SignalPlan
from navsim_agents.world.simulation import Decision, Simulation
from navsim_agents.world.still_objects import StillScene, place_still_objects
from navsim_agents.world.town_styles import TOWN_LOCATIONS
from navsim_agents.world.towns import build_town
from navsim_agents.world.traffic import Mover, TrafficConfig

WARMUP_S = 3.0  # everybody moves, the ego driven by the expert, until the route begins
TRAFFIC_S = 70.0  # for which others have ways; who comes to the end of his leaves the world
BEYOND_LINE_M = 2.0  # so far over its line a car may still wait there
CROSSING_S = (3.0, 13.0)  # after the beginning, when people come to the crosswalk of their situation


@dataclass(frozen=True)
class StageConfig:
    """What a route's world is made of."""

    traffic: TrafficConfig = field(default_factory=TrafficConfig)
    drive: DriveConfig = field(default_factory=DriveConfig)
    time_limit_s: float = 200.0

    @property
    def num_steps(self) -> int:
        """Steps that the lights are known for."""
        return round((WARMUP_S + self.time_limit_s) / WORLD_STEP_S) + 2


@lru_cache(maxsize=len(TOWN_LOCATIONS))
def place_of(location: str, world_seed: int) -> tuple[LaneGraph, StillScene]:
    """A town with what stands in it, the same for all its routes."""
    graph = LaneGraph(build_town(location, world_seed))
    rng = np.random.default_rng([world_seed, TOWN_LOCATIONS.index(location), 5])
    return graph, place_still_objects(graph, DriveConfig().still, rng)


@lru_cache(maxsize=len(TOWN_LOCATIONS))
def town_map_of(location: str, world_seed: int) -> TownMap:
    """The town of :func:`place_of` as scorers and guides read it."""
    return TownMap(place_of(location, world_seed)[0].town)


class Stage:
    """One route's world, from its first step on; the ego is a car of its own once :meth:`hand_over` was called."""

    def __init__(self, route: Route, graph: LaneGraph, still: StillScene, config: StageConfig) -> None:
        """Put everybody in place."""
        self.route, self.graph, self.still = route, graph, still
        rng = np.random.default_rng([route.seed, route.number, TOWN_LOCATIONS.index(route.location), 6])
        expert = RouteExpert(graph, still, route.start_lane, rng, config.drive.expert, route.blocks, self.last_block)
        settings = replace(config.drive, traffic=config.traffic)

        def signals_of() -> SignalPlan:
            return SignalPlan(graph.town, config.num_steps, WORLD_STEP_S, rng, settings.signals)

        start = (route.start_lane, route.start_m)
        made: tuple[Simulation, SignalPlan, list[Mover]]
        made = populate(expert, still, start, TRAFFIC_S, signals_of, settings, rng)
        self.simulation, signals, self.movers = made
        self.codes = signals.connector_codes()
        if route.situation == "pedestrians":
            self._let_people_cross(signals, rng)
        self.step, self._waits_for = 0, ""
        self.car = Car(np.zeros(6))
        for _ in range(round(WARMUP_S / WORLD_STEP_S)):
            decision = self.simulation.decide(self.step)
            self.simulation.remember(decision)
            self.simulation.move(decision, self.step)
            self.step += 1
        self.first_step = self.step

    def _let_people_cross(self, signals: SignalPlan, rng: np.random.Generator) -> None:
        """Two more people cross where the route first meets a crosswalk, soon after it begins."""
        people = self.simulation.people
        lanes = [lane for block in self.route.blocks for lane in self.graph.town.roadblocks[block].lane_ids]
        crossings = [crossing for lane in lanes for crossing in self.graph.crossings.get(lane, ())]
        ways, more = footways(self.graph), []
        for is_reversed in (False, True):
            wait_s, speed = WARMUP_S + float(rng.uniform(*CROSSING_S)), float(rng.uniform(1.1, 1.6))
            more.append(place_crosser(self.graph, crossings[0].crosswalk_id, is_reversed, wait_s, speed, ways, rng))
        self.simulation.people = People(self.graph, signals, [*people.crossers, *more])

    def hand_over(self, is_expert: bool) -> None:
        """From now on the ego is a car of its own, guided by the expert or only watched."""
        fleet = self.simulation.fleet
        self.car = Car(np.array([*fleet.poses()[EGO], fleet.speed[EGO], fleet.accel[EGO]]))
        if not is_expert:
            self.simulation.expert = Follower(self.graph, self.still, self.route.blocks)
        self._place_ego()

    def decide(self) -> Decision:
        """What everybody does from now on; the present is remembered."""
        decision = self.simulation.decide(self.step)
        self._keep_waiting(decision)
        self.simulation.remember(decision)
        return decision

    def _keep_waiting(self, decision: Decision) -> None:
        """An ego that brakes for its light goes on to do so until this is green.

        The world lets drivers go on at yellow who could not stop any more, which close to the line may be said of one
        who nearly has: it would crawl over the junction at red.
        """
        fleet = self.simulation.fleet
        front = fleet.station[EGO] + fleet.front[EGO]
        gate = next((gate for gate in fleet.gates[EGO] if gate.stop_m - front > -BEYOND_LINE_M), None)
        if gate is None or gate.connector_id not in self.codes or self.codes[gate.connector_id][self.step] == GREEN:
            self._waits_for = ""
        elif decision.reasons.get(EGO) == "red":
            self._waits_for = gate.connector_id
        elif self._waits_for == gate.connector_id:
            decision.walls_m[EGO] = min(decision.walls_m[EGO], max(gate.stop_m - front, 0.05))

    def move(self, decision: Decision) -> None:
        """Everybody but the ego takes a step; the ego has moved already."""
        self.simulation.move(decision, self.step)
        self.step += 1
        self._place_ego()

    def _place_ego(self) -> None:
        fleet, state = self.simulation.fleet, self.car.state
        fleet.ego_pose = self.car.fleet_pose
        fleet.station[EGO] = path_station(fleet, state[XY])
        fleet.speed[EGO], fleet.accel[EGO] = state[State.VELOCITY_X], state[State.ACCELERATION_X]

    @property
    def last_block(self) -> int:
        """Number of the roadblock in which the route ends."""
        route = self.route
        return len(chain_of_lanes(self.graph, route.blocks, route.start_lane, route.start_m + route.length_m)) - 1

    @property
    def line(self) -> RouteLine:
        """The whole route, from where the warm-up begins."""
        route = self.route
        return RouteLine.along(self.graph, route.blocks, route.start_lane, route.start_m, route.length_m)
