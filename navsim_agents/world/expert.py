"""The expert: where its route leads, in which lane it drives, and when it changes lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING, POSE, XY
from navsim_agents.world.curves import FloatArray, arc_lengths, interpolate_curve, offset_curve
from navsim_agents.world.fleet import EGO, Fleet
from navsim_agents.world.following import NO_LEAD_M, Lead
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.motion import (
    CURVATURE,
    LaneSpan,
    Reference,
    SpeedRule,
    blend_curves,
    build_reference,
    lane_curve,
)
from navsim_agents.world.right_of_way import RightOfWay
from navsim_agents.world.routes import lanes_towards, random_block_route
from navsim_agents.world.steering import SteeringRule, drive_along
from navsim_agents.world.still_objects import StillScene


@dataclass(frozen=True)
class ExpertRule:
    """How the expert chooses its way and lane."""

    reference_m: float = 300.0
    renew_m: float = 130.0  # plan further when less is left
    route_m: float = 1500.0
    turn_preference: float = 1.4
    slow_lead_share: float = 0.62  # of its own speed: vehicles slower than this are overtaken
    slow_lead_s: float = 1.5
    overtake_room_m: float = 85.0
    reroute_m: float = 30.0  # this close to a junction in the wrong lane, it takes another way
    wander_m: float = 0.1
    clear_start_m: float = 1.5  # into a lane, with the rear bumper in it too, before the next decision


@dataclass(frozen=True)
class Whereabouts:
    """Where the expert is in the lane graph."""

    lane_id: str
    route_index: int  # of the lane's roadblock
    is_changing_lane: bool


class Expert:
    """Keeps vehicle ``EGO`` of a fleet on a random route."""

    def __init__(
        self, graph: LaneGraph, still: StillScene, start_lane: str, rng: np.random.Generator, rule: ExpertRule
    ) -> None:
        self.graph, self.rule = graph, rule
        self.route = self._draw_route([graph.town.lanes[start_lane].roadblock_id], rng)
        self.speed_rule = SpeedRule(lateral_accel_mps2=1.1, limit_factor=float(rng.uniform(0.85, 1.0)))
        self._still, self._rng = still, rng
        self._phases = rng.uniform(0.0, 2.0 * np.pi, 2)
        self._driven_m = 0.0
        self._slow_s = 0.0
        self._decide_m = self.rule.clear_start_m + float(rng.uniform(0.0, 20.0))
        self._change_end_m = -1.0
        self._has_dead_end = False
        self._first_block = 0
        self._progress: FloatArray = np.zeros(1)
        self._reference: Optional[Reference] = None

    def _draw_route(self, start: list[str], rng: np.random.Generator) -> list[str]:
        return random_block_route(self.graph, start, self.rule.route_m, rng, self.rule.turn_preference)

    def begin(self, fleet: Fleet, lane_id: str, station_m: float) -> None:
        """Set out in ``lane_id``."""
        pose = interpolate_curve(lane_curve(self.graph, lane_id, self._still.nudges), np.array([station_m]))[0]
        self._plan(fleet, pose, 0.0, lane_id, None)

    def whereabouts(self, fleet: Fleet) -> Whereabouts:
        """Lane of the rear axle and its place on the route."""
        index, _, at = self._span(fleet)
        span = self._spans[index]
        return Whereabouts(span.lane_id, self._first_block + self._blocks[index], at < self._change_end_m)

    def wall_m(self, fleet: Fleet) -> float:
        """Room before the end of a lane that does not follow the route."""
        if not self._has_dead_end:
            return NO_LEAD_M
        return float(fleet.path_length[EGO] - fleet.station[EGO] - fleet.front[EGO])

    def update(
        self, fleet: Fleet, poses: Float64[np.ndarray, "K 4"], lead: Lead, ways: RightOfWay, step_s: float
    ) -> None:
        """Change lanes, take another way or plan further, where needed."""
        index, span, at = self._span(fleet)
        self._watch_lead(fleet, lead, step_s)
        lane = self.graph.town.lanes[span.lane_id]
        if lane.is_connector or at < self._change_end_m:
            return
        station = self._station(span.lane_id, poses[EGO])
        if station < self.rule.clear_start_m:
            return
        target = self._wanted_lane(index, span.lane_id, station, span.end_m - at, fleet, lead)
        if target is not None and self._has_room(fleet, poses, target, station, span.end_m - at, ways):
            self._replan(fleet, poses, ways, span.lane_id, target)
        elif self._is_stuck(index, span.lane_id, span.end_m - at):
            self._reroute(index, span.lane_id)
            self._replan(fleet, poses, ways, span.lane_id, None)
        elif not self._has_dead_end and fleet.path_length[EGO] - fleet.station[EGO] < self.rule.renew_m:
            self._replan(fleet, poses, ways, span.lane_id, None)

    def take_over(self, fleet: Fleet, poses: Float64[np.ndarray, "K 4"], ways: RightOfWay) -> None:
        """Find a way on along the route from where the car is, which may be beside its path."""
        _, span, _ = self._span(fleet)
        lanes = self.graph.town.lanes
        block = lanes[span.lane_id].roadblock_id
        beside = [span.lane_id] if lanes[span.lane_id].is_connector else self.graph.town.roadblocks[block].lane_ids
        curves = {lane_id: lanes[lane_id].centerline for lane_id in beside}
        nearest = min(curves, key=lambda lane_id: float(np.hypot(*(curves[lane_id][:, XY] - poses[EGO, XY]).T).min()))
        self._replan(fleet, poses, ways, nearest, None)

    def _span(self, fleet: Fleet) -> tuple[int, LaneSpan, float]:
        """Index of the current span, the span, and how far along the reference the rear axle is."""
        stations = np.arange(len(self._progress)) * 0.5
        at = float(np.interp(fleet.station[EGO], stations, self._progress))
        index = next((i for i, span in enumerate(self._spans) if at < span.end_m), len(self._spans) - 1)
        return index, self._spans[index], at

    def _station(self, lane_id: str, pose: FloatArray) -> float:
        curve = self.graph.town.lanes[lane_id].centerline
        return float(arc_lengths(curve)[np.argmin(np.hypot(*(curve[:, XY] - pose[XY]).T))])

    def _watch_lead(self, fleet: Fleet, lead: Lead, step_s: float) -> None:
        own = float(fleet.profile_at(fleet.station)[EGO])
        is_slow = lead.gap_m[EGO] < 35.0 and lead.speed_mps[EGO] < self.rule.slow_lead_share * own
        self._slow_s = self._slow_s + step_s if is_slow else 0.0

    def _goals(self, index: int) -> frozenset[str]:
        """Lanes of the current roadblock that lead on along the route."""
        block = self._first_block + self._blocks[index]
        return lanes_towards(self.graph, self.route[block], self.route[block + 1])

    def _is_blocked(self, lane_id: str, station: float, within_m: float) -> bool:
        begin, end = self._still.closed_lanes.get(lane_id, (np.inf, -np.inf))
        return bool(end + 6.0 > station > begin - within_m)

    def _wanted_lane(
        self, index: int, lane_id: str, station: float, left_m: float, fleet: Fleet, lead: Lead
    ) -> Optional[str]:
        """Neighbouring lane to change to, if any."""
        lane, goals = self.graph.town.lanes[lane_id], self._goals(index)
        if self._is_blocked(lane_id, station, 55.0):
            return lane.left_neighbor or lane.right_neighbor
        if lane_id not in goals:
            order = self.graph.town.roadblocks[lane.roadblock_id].lane_ids
            is_left = min(order.index(goal) for goal in goals) < order.index(lane_id)
            target = lane.left_neighbor if is_left else lane.right_neighbor
            is_time = station > self._decide_m and target is not None
            return target if is_time and not self._is_blocked(str(target), station, 60.0) else None
        if self._slow_s > self.rule.slow_lead_s and left_m > self.rule.overtake_room_m:
            options = [i for i in (lane.left_neighbor, lane.right_neighbor) if i is not None]
            return next((i for i in options if i in goals and not self._is_blocked(i, station, 90.0)), None)
        return None

    def _change_length(self, speed: float) -> float:
        return float(np.clip(3.4 * max(speed, 3.0) + 6.0, 18.0, 48.0))

    def _has_room(
        self,
        fleet: Fleet,
        poses: Float64[np.ndarray, "K 4"],
        target: str,
        station: float,
        left_m: float,
        ways: RightOfWay,
    ) -> bool:
        """Whether the lane change fits before the junction and between the vehicles in the other lane."""
        speed = float(fleet.speed[EGO])
        if left_m < self._change_length(speed) + fleet.front[EGO] or ways.is_granted(EGO):
            return False
        curve = self.graph.town.lanes[target].centerline
        is_near = np.hypot(*(poses[:, XY] - poses[EGO, XY]).T) < 65.0
        distance = np.full((len(fleet), len(curve)), np.inf)
        distance[is_near] = np.hypot(*(poses[is_near, None, XY] - curve[None, :, XY]).transpose(2, 0, 1))
        is_there = (distance.min(axis=1) < 2.2) & fleet.is_active
        is_there[EGO] = False
        along = arc_lengths(curve)[distance.argmin(axis=1)] - station
        closing = fleet.speed - speed
        behind = -along - fleet.front - fleet.rear[EGO] - (4.0 + 0.3 * fleet.speed + 2.5 * np.maximum(closing, 0.0))
        ahead = along - fleet.rear - fleet.front[EGO] - (3.0 + 0.3 * speed + 2.0 * np.maximum(-closing, 0.0))
        return bool(np.all((behind > 0.0) | (ahead > 0.0) | ~is_there))

    def _is_stuck(self, index: int, lane_id: str, left_m: float) -> bool:
        return lane_id not in self._goals(index) and left_m < self.rule.reroute_m

    def _reroute(self, index: int, lane_id: str) -> None:
        """Continue from this lane, wherever it leads."""
        lanes = self.graph.town.lanes
        connector = lanes[str(self._rng.choice(lanes[lane_id].successors))]
        block = self._first_block + self._blocks[index]
        following = lanes[connector.successors[0]].roadblock_id
        self.route = self._draw_route([*self.route[: block + 1], connector.roadblock_id, following], self._rng)

    def _replan(
        self, fleet: Fleet, poses: Float64[np.ndarray, "K 4"], ways: RightOfWay, lane_id: str, target: Optional[str]
    ) -> None:
        index, _, _ = self._span(fleet)
        self._first_block += self._blocks[index]
        self._driven_m += float(fleet.station[EGO])
        self._plan(fleet, poses[EGO, POSE], float(poses[EGO, CURVATURE]), lane_id, target)
        ways.follow_new_plan(EGO, fleet.gates[EGO])

    def _plan(
        self, fleet: Fleet, pose: Float64[np.ndarray, "3"], curvature: float, lane_id: str, target: Optional[str]
    ) -> None:
        """Build reference and path from ``pose`` in ``lane_id`` on, by way of the lane ``target`` if given."""
        station = self._station(lane_id, pose)
        change_m = self._change_length(float(fleet.speed[EGO]))
        first, spans_first = self._first_curve(lane_id, target, station, change_m)
        lane_ids, curves = self._follow_route(target or lane_id, first)
        starts = [station, *([0.0] * (len(lane_ids) - 1))]
        reference = build_reference(self.graph, lane_ids, curves, starts)
        self._spans = (*spans_first, LaneSpan(lane_ids[0], spans_first[-1].end_m if spans_first else 0.0,
                                              reference.spans[0].end_m), *reference.spans[1:])  # fmt: skip
        self._blocks = [0] * (len(spans_first) + 1) + list(range(1, len(lane_ids)))
        self._change_end_m = change_m if target is not None else -1.0
        self._decide_m = self.rule.clear_start_m + float(self._rng.uniform(0.0, 20.0))
        wandering = Reference(
            self._wander(reference.curve), reference.limits_mps, reference.spans, reference.gates, reference.crossings
        )
        plan, self._progress = drive_along(wandering, pose, curvature, SteeringRule(), self.speed_rule)
        fleet.set_plan(EGO, plan, 0.0)

    def _first_curve(
        self, lane_id: str, target: Optional[str], station: float, change_m: float
    ) -> tuple[FloatArray, tuple[LaneSpan, ...]]:
        """The rest of the lane from ``station``, or a blend into its neighbour; and the spans before the lane's own."""
        curve = lane_curve(self.graph, lane_id, self._still.nudges)
        start = int(np.searchsorted(arc_lengths(curve), station))
        start = min(start, len(curve) - 2)
        if target is None:
            return curve[start:], ()
        other = lane_curve(self.graph, target, self._still.nudges)
        blended = blend_curves(curve[start:], other[start:], 0.0, change_m)
        return blended, (LaneSpan(lane_id, 0.0, change_m / 2),)

    def _follow_route(self, lane_id: str, first: FloatArray) -> tuple[list[str], list[FloatArray]]:
        """Lanes along the route from ``lane_id`` on, until one does not lead on."""
        lane_ids, curves, block = [lane_id], [first], self._first_block
        length = float(arc_lengths(first)[-1])
        self._has_dead_end = False
        if self.graph.town.lanes[lane_id].is_connector:
            lane_ids.append(self.graph.town.lanes[lane_id].successors[0])
            curves.append(lane_curve(self.graph, lane_ids[-1], self._still.nudges))
            length += self.graph.lengths[lane_ids[-1]]
            block += 1
        while length < self.rule.reference_m:
            goals = lanes_towards(self.graph, self.route[block], self.route[block + 1])
            if lane_ids[-1] not in goals:
                self._has_dead_end = True
                break
            connector = self._best_connector(lane_ids[-1], block)
            following = self.graph.town.lanes[connector].successors[0]
            for new in (connector, following):
                lane_ids.append(new)
                curves.append(lane_curve(self.graph, new, self._still.nudges))
                length += self.graph.lengths[new]
            block += 2
        return lane_ids, curves

    def _best_connector(self, lane_id: str, block: int) -> str:
        """Into a lane that leads on along the route and is not closed, if there is one."""
        lanes = self.graph.town.lanes
        options = [i for i in lanes[lane_id].successors if lanes[i].roadblock_id == self.route[block + 1]]
        goals = lanes_towards(self.graph, self.route[block + 2], self.route[block + 3])

        def cost(connector: str) -> tuple[bool, bool]:
            following = lanes[connector].successors[0]
            return following not in goals, following in self._still.closed_lanes

        return min(options, key=cost)

    def _wander(self, curve: Float64[np.ndarray, "M 3"]) -> Float64[np.ndarray, "M 3"]:
        """People do not drive exactly on the centreline: slow waves around it."""
        driven = self._driven_m + arc_lengths(curve)
        waves = np.sin(driven / 13.0 + self._phases[0]) + np.sin(driven / 29.0 + self._phases[1])
        return np.column_stack((offset_curve(curve, self.rule.wander_m * waves), curve[:, HEADING]))
