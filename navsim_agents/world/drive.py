"""One log of the built-in world: an expert's drive through a town among traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from jaxtyping import Float64, Int64

from navsim_agents.common.conventions import WORLD_STEP_S
from navsim_agents.common.poses import XY
from navsim_agents.errors import InputError
from navsim_agents.world.curves import interpolate_curve
from navsim_agents.world.expert import Expert, ExpertRule
from navsim_agents.world.fleet import EGO
from navsim_agents.world.following import FollowRule
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.log import ego_states, event_steps, route_per_step
from navsim_agents.world.pedestrians import People
from navsim_agents.world.right_of_way import RightOfWay, YieldRule
from navsim_agents.world.signals import LIGHTS, SignalPlan, SignalTiming
from navsim_agents.world.simulation import Record, Simulation
from navsim_agents.world.still_objects import StillConfig, StillScene, place_still_objects
from navsim_agents.world.town_styles import TOWN_LOCATIONS
from navsim_agents.world.tracks import build_tracks
from navsim_agents.world.traffic import Mover, TrafficConfig, assemble_fleet, place_movers, place_people
from navsim_agents.world.types import Drive, Town, Track

EPOCH_US = 1_620_000_000_000_000  # logs begin in May 2021, an hour apart
HOUR_US = 3_600_000_000
_TOP_SPEED_MPS = 13.0
_NEAR_BLOCKS = 7


@dataclass(frozen=True)
class DriveConfig:
    """What a drive is made of. A scene of NAVSIM needs 1.5 s before and 5 s after its current frame."""

    duration_s: float = 36.5
    warmup_s: float = 9.0  # driven before the log begins, so that it begins among traffic
    view_m: float = 75.0  # tracks are known up to this distance from the expert
    traffic: TrafficConfig = field(default_factory=TrafficConfig)
    still: StillConfig = field(default_factory=StillConfig)
    expert: ExpertRule = field(default_factory=ExpertRule)
    signals: SignalTiming = field(default_factory=SignalTiming)
    following: FollowRule = field(default_factory=FollowRule)
    yielding: YieldRule = field(default_factory=YieldRule)

    def __post_init__(self) -> None:
        if self.duration_s < WORLD_STEP_S or self.duration_s > 90.0:
            raise InputError(f"duration_s={self.duration_s}, but a drive lasts between {WORLD_STEP_S} and 90 s")


def simulate_drive(town: Town, log_index: int, seed: int, config: DriveConfig) -> Drive:
    """Drive number ``log_index`` through ``town``: the same for the same town, index, seed and configuration."""
    rng = np.random.default_rng([seed, log_index, TOWN_LOCATIONS.index(town.location)])
    num_steps, num_warmup = round(config.duration_s / WORLD_STEP_S) + 1, round(config.warmup_s / WORLD_STEP_S)
    graph = LaneGraph(town)
    simulation, signals, movers = _prepare(graph, num_steps + num_warmup, config, rng)
    record = simulation.run(num_warmup, num_steps)
    codes = {lane_id: steps[num_warmup:] for lane_id, steps in signals.connector_codes().items()}
    tracks = build_tracks(record, movers, simulation.still, config.view_m, rng)
    return recorded_drive(graph, record, simulation.expert.route, tracks, codes, (log_index, seed))


def recorded_drive(
    graph: LaneGraph,
    record: Record,
    route: list[str],
    tracks: tuple[Track, ...],
    codes: Mapping[str, Int64[np.ndarray, " S"]],
    number: tuple[int, int],
) -> Drive:
    """A log of what was recorded, S steps.

    Args:
        graph: of the town.
        record: what everybody did.
        route: of the ego, roadblocks.
        tracks: of everybody else.
        codes: lights of every connector that has one, at these steps.
        number: the log's, and the world's seed.
    """
    town, (log_index, seed) = graph.town, number
    return Drive(
        log_name=_log_name(town, log_index, seed),
        location=town.location,
        start_time_us=EPOCH_US + log_index * HOUR_US,
        ego=ego_states(graph, record, route),
        tracks=tracks,
        lights={lane_id: tuple(LIGHTS[code] for code in steps.tolist()) for lane_id, steps in codes.items()},
        route_roadblock_ids=route_per_step(record, route),
        events=event_steps(graph, record),
    )


def _prepare(
    graph: LaneGraph, num_steps: int, config: DriveConfig, rng: np.random.Generator
) -> tuple[Simulation, SignalPlan, list[Mover]]:
    """Everything in its place before the first step."""
    still = place_still_objects(graph, config.still, rng)
    start_lane, station = _start(graph, still, rng)
    expert = Expert(graph, still, start_lane, rng, config.expert)
    signals_of = partial(SignalPlan, graph.town, num_steps, WORLD_STEP_S, rng, config.signals)
    return populate(expert, still, (start_lane, station), num_steps * WORLD_STEP_S, signals_of, config, rng)


def populate(
    expert: Expert,
    still: StillScene,
    start: tuple[str, float],
    total_s: float,
    signals_of: Callable[[], SignalPlan],
    config: DriveConfig,
    rng: np.random.Generator,
) -> tuple[Simulation, SignalPlan, list[Mover]]:
    """Everybody along the way of ``expert``, who sets out at a lane's station, for ``total_s`` seconds."""
    graph, (start_lane, station) = expert.graph, start
    route = _route_points(graph, expert.route)
    ego = interpolate_curve(graph.town.lanes[start_lane].centerline, np.array([station]))[0]
    movers = place_movers(graph, still, ego, route, total_s * _TOP_SPEED_MPS + 80.0, config.traffic, rng)
    fleet = assemble_fleet(movers, rng)
    expert.begin(fleet, start_lane, station)
    fleet.speed[EGO] = float(rng.uniform(0.0, 0.9)) * fleet.profile_at(fleet.station)[EGO]
    signals = signals_of()
    people = People(graph, signals, place_people(graph, route, total_s, config.traffic, rng))
    ways = RightOfWay(graph, signals.connector_codes(), len(fleet), config.yielding)
    return Simulation(fleet, expert, ways, people, still, config.following), signals, movers


def _route_points(graph: LaneGraph, route: list[str]) -> Float64[np.ndarray, "M 2"]:
    """Points along the roadblocks that a drive can reach; traffic starts near them."""
    lanes = [graph.town.roadblocks[block].lane_ids[0] for block in route[:_NEAR_BLOCKS]]
    return np.concatenate([graph.town.lanes[lane].centerline[:, XY] for lane in lanes])


def _start(graph: LaneGraph, still: StillScene, rng: np.random.Generator) -> tuple[str, float]:
    """A random lane and station for the expert."""
    lanes = [lane for lane in graph.town.lanes.values() if not lane.is_connector]
    options = [lane.lane_id for lane in lanes if lane.lane_id not in still.closed_lanes]
    lane_id = options[int(rng.integers(len(options)))]
    return lane_id, float(rng.uniform(9.0, graph.lengths[lane_id] - 22.0))


def _log_name(town: Town, log_index: int, seed: int) -> str:
    number = TOWN_LOCATIONS.index(town.location)
    return f"2021.05.{log_index % 28 + 1:02d}.12.00.00_veh-{number + 1:02d}_{seed:05d}_{log_index:05d}"
