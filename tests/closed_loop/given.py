"""What the tests of the closed loop share: a town, its routes, and planners that do one thing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from navsim_agents.closed_loop.config import DriveLoopConfig
from navsim_agents.closed_loop.drive import Driven, drive_route
from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.planners import Plan, Planner
from navsim_agents.closed_loop.routes import Route
from navsim_agents.closed_loop.runs import choose_routes
from navsim_agents.closed_loop.stage import Stage, StageConfig, place_of
from navsim_agents.world.simulation import Decision
from navsim_agents.world.traffic import TrafficConfig

TOWN, WORLD_SEED = "us-ma-boston", 1
FEW = TrafficConfig(num_vehicles=5, num_cyclists=1, num_crossers=2, num_walkers=2)


class Standing:
    """Brakes, and stands."""

    is_expert = False
    cameras: Mapping[str, tuple[int, ...]] = {}

    def plan(self, stage: Stage, witness: Witness, decision: Decision) -> Plan:
        """Eight times here."""
        return np.zeros((8, 3))


@lru_cache(maxsize=1)
def routes(count: int = 11) -> tuple[Route, ...]:
    """One of each situation that the town has."""
    return tuple(choose_routes(DriveLoopConfig("", towns=[TOWN], world_seed=WORLD_SEED, routes=count)))


def route_of(situation: str) -> Route:
    return next(route for route in routes() if route.situation == situation)


def stage_of(situation: str, traffic: TrafficConfig = FEW, time_limit_s: float = 100.0) -> Stage:
    return Stage(route_of(situation), *place_of(TOWN, WORLD_SEED), StageConfig(traffic, time_limit_s=time_limit_s))


def driven(situation: str, planner: Planner, time_limit_s: float = 100.0, **given: Any) -> Driven:
    stage = stage_of(situation, time_limit_s=time_limit_s, **given)
    return drive_route(stage, planner, Witness(stage, {}, None, 0), 5, time_limit_s)
