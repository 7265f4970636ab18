"""Logs in which an expert saves a car: somebody leads it into trouble, and the log begins where the expert takes over.

What is learnt from logs alone is how to go on from where people drive; a car that follows its own plans is soon
elsewhere. Ross et al. (DAgger, 2011) let an expert show the way out of where the learner gets to; Laskey et al. (DART,
2017) out of where a disturbed expert gets to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional, Protocol, runtime_checkable

import numpy as np

from navsim_agents.closed_loop.contacts import Surroundings
from navsim_agents.closed_loop.guides import RouteExpert
from navsim_agents.closed_loop.moment import WINDOW, columns_of
from navsim_agents.closed_loop.planners import Plan, expert_plan
from navsim_agents.closed_loop.routes import SITUATIONS, pick_routes
from navsim_agents.closed_loop.stage import Stage, StageConfig
from navsim_agents.closed_loop.troubles import draw_trouble
from navsim_agents.common.conventions import POSE_INTERVAL_S, STEPS_PER_POSE, WORLD_STEP_S
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.errors import WorldDataError
from navsim_agents.poses import wrap_angle
from navsim_agents.world.drive import DriveConfig, recorded_drive, simulate_drive
from navsim_agents.world.fleet import EGO
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.simulation import Decision, Record
from navsim_agents.world.still_objects import place_still_objects
from navsim_agents.world.town_styles import TOWN_LOCATIONS
from navsim_agents.world.tracks import build_tracks
from navsim_agents.world.types import Drive, Town

TRIES = 40
LARGEST_SEED = 2**31
LONGEST_S = 20.0  # of a trouble
BEGINS_S = (0.0, 14.0)  # after the route's beginning, when the trouble begins
FARTHEST_M, MOST_TURNED = 3.0, 0.6  # [rad] from the expert's path, where it takes over at once


@runtime_checkable
class Lead(Protocol):
    """Whoever leads a car into trouble."""

    @property
    def lasts_s(self) -> float:
        """For how long."""

    def plan(self, stage: Stage, decision: Decision) -> Plan:
        """Poses 0.5 s apart in the car's frame."""


LeadOf = Callable[[Stage, np.random.Generator], Lead]
"""Who leads the car of a route, drawn anew for each."""


def wrong_plans(stage: Stage, rng: np.random.Generator) -> Lead:
    """Any of :mod:`navsim_agents.closed_loop.troubles`."""
    return draw_trouble(rng)


@dataclass(frozen=True)
class Recoveries:
    """Makes the drives of a world, a share of them recoveries; the same for the same arguments.

    Attributes:
        share: of the drives.
        lead: who leads cars into trouble.
    """

    share: float
    lead: LeadOf = wrong_plans

    def __call__(self, town: Town, log_index: int, seed: int, config: DriveConfig) -> Drive:
        """Drive number ``log_index``.

        Raises:
            WorldDataError: no way was found on which the expert saves the car.
        """
        if not is_recovery(log_index, seed, self.share):
            return simulate_drive(town, log_index, seed, config)
        for attempt in range(TRIES):
            rng = np.random.default_rng([seed, log_index, TOWN_LOCATIONS.index(town.location), 8, attempt])
            drive = Attempt(LaneGraph(town), (log_index, seed), config, rng, self.lead).drive()
            if drive is not None:
                return drive
        raise WorldDataError(
            f"log {log_index} of {town.location}: in {TRIES} tries the expert never saved the car; take another seed"
        )


def is_recovery(log_index: int, seed: int, share: float) -> bool:
    """Whether a log of a world with such a ``share`` is one."""
    return bool(np.random.default_rng([seed, log_index, 9]).random() < share)


class Attempt:
    """One car on one route, led into one trouble."""

    def __init__(
        self,
        graph: LaneGraph,
        number: tuple[int, int],
        config: DriveConfig,
        rng: np.random.Generator,
        lead: LeadOf = wrong_plans,
        begins_after: Optional[int] = None,
    ) -> None:
        """Put everybody in place.

        Args:
            graph: of the town.
            number: the log's, and the world's seed.
            config: of the drive.
            rng: draws the route, who is there, and what is not given.
            lead: who leads the car into trouble.
            begins_after: so many steps of the route.
        """
        self._number, self._config, self._rng = number, config, rng
        still = place_still_objects(graph, config.still, rng)
        seed = int(rng.integers(LARGEST_SEED))
        routes = pick_routes({graph.town.location: (graph, still)}, number[1], len(SITUATIONS), seed)
        begins_s = float(rng.uniform(*BEGINS_S))
        self._begins_after = _in_plans(begins_s) if begins_after is None else begins_after
        self._num_after = round(config.duration_s / WORLD_STEP_S) - WINDOW + 2
        limit_s = BEGINS_S[1] + LONGEST_S + config.duration_s
        route = routes[int(rng.integers(len(routes)))]
        self.stage = Stage(route, graph, still, StageConfig(config.traffic, config, limit_s))
        self._surroundings = Surroundings(self.stage)
        self._lead = lead(self.stage, rng)

    def drive(self) -> Optional[Drive]:
        """The log from 1.5 s before the expert takes over; None where the car touches anything."""
        stage = self.stage
        stage.hand_over(is_expert=True)
        if not self._go(self._begins_after, None) or not self._go(
            _in_plans(min(self._lead.lasts_s, LONGEST_S)), self._lead
        ):
            return None
        guide, fleet = stage.simulation.expert, stage.simulation.fleet
        assert isinstance(guide, RouteExpert)
        guide.take_over(fleet, fleet.poses(), stage.simulation.ways)
        first = len(stage.simulation.record.ego) - WINDOW + 1
        return self._log(first, guide.route) if self._go(self._num_after, None) else None

    def _go(self, num_steps: int, lead: Optional[Lead]) -> bool:
        """Drive on, the expert where nobody leads the car into trouble; whether nothing was touched."""
        stage = self.stage
        for step in range(num_steps):
            if lead is not None and step % STEPS_PER_POSE == 0 and self._is_astray():
                break
            decision = stage.decide()
            if step % STEPS_PER_POSE == 0:
                stage.car.follow(lead.plan(stage, decision) if lead else expert_plan(stage, decision))
            stage.car.move()
            stage.move(decision)
            if self._surroundings.touching(stage.car.box):
                return False
        return True

    def _is_astray(self) -> bool:
        """Whether the car is so far from the expert's path that it takes over at once."""
        fleet, pose = self.stage.simulation.fleet, self.stage.car.pose
        meant = fleet.path_poses(np.array([EGO]), fleet.station[None, :1])[0, 0]
        turned = abs(float(wrap_angle(meant[HEADING] - pose[HEADING])))
        return float(np.hypot(*(meant[XY] - pose[XY]))) > FARTHEST_M or turned > MOST_TURNED

    def _log(self, first: int, route: list[str]) -> Drive:
        """What was recorded from step ``first`` on."""
        stage = self.stage
        whole, record = stage.simulation.record, Record()
        for name, column in columns_of(whole).items():
            setattr(record, name, column[first:])
        steps = slice(first, len(whole.ego))
        codes = {lane_id: steps_of[steps] for lane_id, steps_of in stage.codes.items()}
        tracks = build_tracks(record, stage.movers, stage.still, self._config.view_m, self._rng)
        return recorded_drive(stage.graph, record, route, tracks, codes, self._number)


def _in_plans(seconds: float) -> int:
    """Steps of the plans that last so long."""
    return round(seconds / POSE_INTERVAL_S) * STEPS_PER_POSE
