"""A vehicle's plan: the path of its reference point, a comfortable speed along it, and what it must heed on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.world.curves import FloatArray, arc_lengths, offset_curve
from navsim_agents.world.lane_graph import LaneGraph

PATH_SPACING_M = 0.5
CURVATURE = 3
"""Column of a path's points behind their poses."""


@dataclass(frozen=True)
class PathGate:
    """The line before a connector, and where the vehicle is through it."""

    connector_id: str
    stop_m: float
    clear_m: float


@dataclass(frozen=True)
class PathCrossing:
    """A crosswalk on the path."""

    crosswalk_id: str
    wait_m: float  # where the front bumper waits
    start_m: float
    end_m: float
    across_m: float


@dataclass(frozen=True)
class LaneSpan:
    """Part of the path that lies in one lane."""

    lane_id: str
    start_m: float
    end_m: float


@dataclass(frozen=True)
class Reference:
    """Where to drive: points [M, 3] with lanes, gates and crossings by arc length."""

    curve: Float64[np.ndarray, "M 3"]
    limits_mps: Float64[np.ndarray, " M"]
    spans: tuple[LaneSpan, ...]
    gates: tuple[PathGate, ...]
    crossings: tuple[PathCrossing, ...]


@dataclass(frozen=True)
class MotionPlan:
    """A path every ``PATH_SPACING_M`` from 0 on: x, y, unwrapped heading, curvature [M, 4] and speed [M]."""

    path: Float64[np.ndarray, "M 4"]
    speeds: Float64[np.ndarray, " M"]
    gates: tuple[PathGate, ...]
    crossings: tuple[PathCrossing, ...]

    @property
    def length_m(self) -> float:
        """Arc length of the path."""
        return (len(self.path) - 1) * PATH_SPACING_M


@dataclass(frozen=True)
class Nudge:
    """Vehicles pass something at a lane's edge by ``offset_m`` to the left."""

    station_m: float
    half_length_m: float
    offset_m: float


_NUDGE_RAMP_M = 14.0


def nudge_profile(nudges: tuple[Nudge, ...], stations: Float64[np.ndarray, " M"]) -> Float64[np.ndarray, " M"]:
    """Lateral offsets at ``stations`` along a lane."""
    offsets = np.zeros_like(stations)
    for nudge in nudges:
        beyond = (np.abs(stations - nudge.station_m) - nudge.half_length_m) / _NUDGE_RAMP_M
        offsets = np.maximum(offsets, nudge.offset_m * (1.0 - smoothstep(beyond)))
    return offsets


def smoothstep(share: Float64[np.ndarray, " M"]) -> Float64[np.ndarray, " M"]:
    """0 to 1 over [0, 1] with zero slope and curvature at both ends."""
    u = np.clip(share, 0.0, 1.0)
    return u**3 * (10.0 - 15.0 * u + 6.0 * u**2)


def lane_curve(graph: LaneGraph, lane_id: str, nudges: dict[str, tuple[Nudge, ...]]) -> Float64[np.ndarray, "M 3"]:
    """Centreline of a lane, moved where something stands at its edge."""
    curve = graph.town.lanes[lane_id].centerline
    if lane_id not in nudges:
        return curve
    stations = arc_lengths(curve)
    from_end = np.minimum(stations, stations[-1] - stations)
    offsets = nudge_profile(nudges[lane_id], stations) * smoothstep(from_end / _NUDGE_RAMP_M)
    return np.column_stack((offset_curve(curve, offsets), curve[:, HEADING]))


def blend_curves(
    curve: Float64[np.ndarray, "M 3"], other: Float64[np.ndarray, "M 3"], start_m: float, end_m: float
) -> Float64[np.ndarray, "M 3"]:
    """``curve``, blended into its neighbour ``other`` between two stations."""
    share = smoothstep((arc_lengths(curve) - start_m) / (end_m - start_m))[:, None]
    xy = (1.0 - share) * curve[:, XY] + share * other[:, XY]
    heading = np.unwrap(np.arctan2(*np.gradient(xy, axis=0).T[::-1]))
    return np.column_stack((xy, heading))


def build_reference(
    graph: LaneGraph, lane_ids: list[str], curves: list[FloatArray], lane_starts_m: Optional[list[float]] = None
) -> Reference:
    """Join ``curves``, one per lane in ``lane_ids``; ``lane_starts_m`` says where on its lane each curve begins."""
    starts = lane_starts_m or [0.0] * len(lane_ids)
    joined = np.concatenate([curves[0], *(curve[1:] for curve in curves[1:])])
    ends = np.cumsum([arc_lengths(curve)[-1] for curve in curves])
    limits = np.concatenate([np.full(len(c) - (k > 0), graph.town.lanes[i].speed_limit_mps)
                             for k, (i, c) in enumerate(zip(lane_ids, curves))])  # fmt: skip
    spans, gates, crossings = [], [], []
    for lane_id, end, curve, start in zip(lane_ids, ends, curves, starts):
        begin = float(end - arc_lengths(curve)[-1])
        spans.append(LaneSpan(lane_id, begin, float(end)))
        if graph.town.lanes[lane_id].is_connector:
            zero = begin - start
            gates.append(PathGate(lane_id, zero, float(end)))
            crossings += _path_crossings(graph, lane_id, zero)
    return Reference(joined, limits, tuple(spans), tuple(gates), tuple(crossings))


_WAIT_BEFORE_CROSSWALK_M = 1.2
_CROSSWALK_AT_GATE_M = 3.0


def _path_crossings(graph: LaneGraph, connector_id: str, zero_m: float) -> list[PathCrossing]:
    """Crosswalks of a connector; those right behind the stop line are waited for at the line."""
    found = []
    for crossing in graph.crossings[connector_id]:
        at_gate = crossing.start_m < _CROSSWALK_AT_GATE_M
        wait = -0.3 if at_gate else crossing.start_m - _WAIT_BEFORE_CROSSWALK_M
        start, end = zero_m + crossing.start_m, zero_m + crossing.end_m
        found.append(PathCrossing(crossing.crosswalk_id, zero_m + wait, start, end, crossing.across_m))
    return found


@dataclass(frozen=True)
class SpeedRule:
    """How fast a driver likes to go."""

    lateral_accel_mps2: float = 1.9
    decel_mps2: float = 1.1  # when slowing down for a curve
    limit_factor: float = 1.0


def speed_profile(
    curvature: Float64[np.ndarray, " M"], limits_mps: Float64[np.ndarray, " M"], rule: SpeedRule
) -> Float64[np.ndarray, " M"]:
    """Speed every ``PATH_SPACING_M`` that keeps to limits and curves, slowing down in time."""
    in_curve = np.sqrt(rule.lateral_accel_mps2 / np.maximum(np.abs(curvature), 1e-4))
    squares = np.minimum(limits_mps * rule.limit_factor, in_curve) ** 2
    ramp = 2.0 * rule.decel_mps2 * PATH_SPACING_M * np.arange(len(squares))
    return np.sqrt(np.minimum.accumulate((squares + ramp)[::-1])[::-1] - ramp)


def plan_along(reference: Reference, rule: SpeedRule, lateral_offset_m: float = 0.0) -> MotionPlan:
    """A plan whose reference point follows ``reference`` exactly, ``lateral_offset_m`` to its left."""
    curve = reference.curve
    travelled = arc_lengths(curve)
    stations = np.arange(0.0, travelled[-1], PATH_SPACING_M)
    xy = offset_curve(curve, lateral_offset_m)
    heading = np.interp(stations, travelled, np.unwrap(curve[:, HEADING]))
    curvature = _smooth(np.gradient(heading, PATH_SPACING_M))
    path = np.column_stack(
        (np.interp(stations, travelled, xy[:, X]), np.interp(stations, travelled, xy[:, Y]), heading, curvature)
    )
    speeds = speed_profile(curvature, np.interp(stations, travelled, reference.limits_mps), rule)
    return MotionPlan(path, speeds, reference.gates, reference.crossings)


def _smooth(values: Float64[np.ndarray, " M"], half: int = 4) -> Float64[np.ndarray, " M"]:
    kernel = np.full(2 * half + 1, 1.0 / (2 * half + 1))
    return np.convolve(np.pad(values, half, mode="edge"), kernel, mode="valid")
