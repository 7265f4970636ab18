"""Who knows the ego's way while a route is driven: the expert, or somebody who only watches where the car really is.

Both keep the ego's row of the fleet, by which others see what it is about to do: its path along the route from where
it is, the junctions and crosswalks on it, and how far along it the car has come.
"""

from __future__ import annotations

from typing import Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.closed_loop.line import RouteLanes, Spot
from navsim_agents.common.poses import XY
from navsim_agents.world.curves import FloatArray, arc_lengths
from navsim_agents.world.expert import Expert, ExpertRule, Whereabouts
from navsim_agents.world.fleet import EGO, Fleet
from navsim_agents.world.following import NO_LEAD_M, Lead
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.motion import PATH_SPACING_M, SpeedRule, build_reference, lane_curve, plan_along
from navsim_agents.world.right_of_way import RightOfWay
from navsim_agents.world.still_objects import StillScene

CHANGE_ROOM_M = 24.0  # kept before the end of a lane that does not lead on, so that a change still fits
LOOK_M = 25.0  # along the path, around its last place, in which the car's new place is looked for
PATH_M = 250.0


def path_station(fleet: Fleet, point: Float64[np.ndarray, "2"]) -> float:
    """Where along the ego's path it is nearest to ``point`` [m], not far from where it was."""
    last = fleet.station[EGO]
    marks = np.arange(max(0.0, last - LOOK_M), min(last + LOOK_M, fleet.path_length[EGO]) + 0.01, PATH_SPACING_M)
    path = fleet.path_poses(np.array([EGO]), marks[None])[0, :, XY]
    nearest = int(np.hypot(*(path - point).T).argmin())
    low, high = path[max(nearest - 1, 0)], path[min(nearest + 1, len(path) - 1)]
    along = (high - low) / max(float(np.hypot(*(high - low))), 1e-9)
    return float(np.clip(marks[nearest] + (point - path[nearest]) @ along, 0.0, fleet.path_length[EGO]))


class RouteExpert(Expert):
    """The world's expert on a given route: where it cannot change lanes yet, it waits.

    From the roadblock on in which the route ends it may go on as it likes.
    """

    def __init__(
        self,
        graph: LaneGraph,
        still: StillScene,
        start_lane: str,
        rng: np.random.Generator,
        rule: ExpertRule,
        blocks: tuple[str, ...],
        last_block: int,
    ) -> None:
        """On the route ``blocks``, which ends in number ``last_block`` of these; otherwise as the expert."""
        self._given, self._last_block, self._has_route = list(blocks), last_block, False
        self._closed_wall_m = NO_LEAD_M
        super().__init__(graph, still, start_lane, rng, rule)

    def _draw_route(self, start: list[str], rng: np.random.Generator) -> list[str]:
        if self._has_route:
            return super()._draw_route(start, rng)
        self._has_route = True
        return self._given

    def _is_stuck(self, index: int, lane_id: str, left_m: float) -> bool:
        is_at_end = self._first_block + self._blocks[index] >= self._last_block
        return is_at_end and super()._is_stuck(index, lane_id, left_m)

    def update(
        self, fleet: Fleet, poses: Float64[np.ndarray, "K 4"], lead: Lead, ways: RightOfWay, step_s: float
    ) -> None:
        """As the expert does; before a closed part of its lane it keeps room for a change of lanes."""
        super().update(fleet, poses, lead, ways, step_s)
        _, span, at = self._span(fleet)
        self._closed_wall_m = NO_LEAD_M
        begin, _ = self._still.closed_lanes.get(span.lane_id, (np.inf, -np.inf))
        if np.isfinite(begin) and at >= self._change_end_m:
            room = begin - self._station(span.lane_id, poses[EGO]) - float(fleet.front[EGO])
            if room > 0.0:
                self._closed_wall_m = room - CHANGE_ROOM_M if room > CHANGE_ROOM_M else room

    def wall_m(self, fleet: Fleet) -> float:
        """Room before the end of a lane that does not lead on, or before what stands in it."""
        room = super().wall_m(fleet)
        if CHANGE_ROOM_M < room < NO_LEAD_M:
            room -= CHANGE_ROOM_M
        return min(room, self._closed_wall_m)


class Follower:
    """Keeps the ego's row of the fleet by where the car is, whoever drives it and wherever that leads."""

    def __init__(self, graph: LaneGraph, still: StillScene, blocks: tuple[str, ...]) -> None:
        self.graph, self.route = graph, list(blocks)
        self._still, self._lanes = still, RouteLanes(graph, blocks)
        self._spot: Optional[Spot] = None

    def update(
        self, fleet: Fleet, poses: Float64[np.ndarray, "K 4"], lead: Lead, ways: RightOfWay, step_s: float
    ) -> None:
        """A new path where the car is in another lane; its place along it in any case."""
        spot = self._lanes.locate(poses[EGO])
        if spot != self._spot:
            self._spot = spot
            self._set_path(fleet, poses[EGO], spot)
            ways.follow_new_plan(EGO, fleet.gates[EGO])

    def wall_m(self, fleet: Fleet) -> float:
        """None: nothing of the ego's own is decided here."""
        return NO_LEAD_M

    def whereabouts(self, fleet: Fleet) -> Whereabouts:
        """Lane of the rear axle and its place on the route."""
        spot = self._spot or Spot(self.graph.town.roadblocks[self.route[0]].lane_ids[0], 0)
        return Whereabouts(spot.lane_id, spot.block, False)

    def _set_path(self, fleet: Fleet, pose: Float64[np.ndarray, "4"], spot: Spot) -> None:
        lane_ids = self._lanes_ahead(spot)
        curves = [lane_curve(self.graph, lane_id, self._still.nudges) for lane_id in lane_ids]
        plan = plan_along(build_reference(self.graph, lane_ids, curves), SpeedRule())
        curve: FloatArray = curves[0]
        station = float(arc_lengths(curve)[int(np.hypot(*(curve[:, XY] - pose[XY]).T).argmin())])
        fleet.set_plan(EGO, plan, min(station, plan.length_m))

    def _lanes_ahead(self, spot: Spot) -> list[str]:
        """Lanes along the route from here on; where one does not lead on, along any that does."""
        lanes, lane_ids, block = self.graph.town.lanes, [spot.lane_id], spot.block
        length = self.graph.lengths[spot.lane_id]
        while length < PATH_M and block + 3 < len(self.route):
            options = lanes[lane_ids[-1]].successors
            fit = [lane for lane in options if lanes[lane].roadblock_id == self.route[block + 1]]
            lane_ids.append((*fit, *options)[0])
            length += self.graph.lengths[lane_ids[-1]]
            block += 1
        return lane_ids
