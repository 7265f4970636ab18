"""The street plan of a town: nodes where roads meet and the centre curves of the roads between them.

A plan is a bent grid: its outer ring is a street with one T-junction per inner line, inner lines cross at signals,
the ring's corners are bends, and a few long roads are cut in two by a pedestrian crossing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import XY, X, Y
from navsim_agents.poses import wrap_angle
from navsim_agents.world.curves import FloatArray, arc_lengths, connect_poses, cut_curve, interpolate_curve

_FINE_SPACING_M = 0.5


class NodeKind(str, Enum):
    """What happens where roads meet."""

    SIGNAL = "signal"
    YIELD = "yield"
    BEND = "bend"
    CROSSING = "crossing"


@dataclass(frozen=True)
class TownStyle:
    """What makes one town differ from another. Traffic keeps to the right in all of them."""

    columns: int
    rows: int
    spacing_x_m: float
    spacing_y_m: float
    jitter_m: float  # how far nodes leave the grid
    skew: float  # x per y
    rotation: float  # rad
    origin: tuple[float, float]  # m, where the map frame's numbers lie
    arterial_lanes: int  # per direction
    street_lanes: int
    ring_lanes: int
    arterial_speed_mps: float
    street_speed_mps: float
    num_crossings: int


@dataclass(frozen=True)
class RoadPlan:
    """A road from node ``start`` to node ``end`` along ``center`` [M, 3], equal lanes in both directions."""

    start: int
    end: int
    center: Float64[np.ndarray, "M 3"]
    num_lanes: int
    speed_limit_mps: float


@dataclass(frozen=True)
class StreetPlan:
    """Nodes [N, 2] with their kinds, and roads between them."""

    positions: Float64[np.ndarray, "... 2"]
    kinds: tuple[NodeKind, ...]
    roads: tuple[RoadPlan, ...]


def plan_streets(style: TownStyle, rng: np.random.Generator) -> StreetPlan:
    """Draw the street plan of a town in ``style``."""
    grid = _grid_positions(style, rng)
    positions = grid.reshape(-1, 2)
    index = np.arange(style.rows * style.columns).reshape(style.rows, style.columns)
    tangents = _tangents(grid, index)
    roads = [_plan_road(line, i, positions, tangents) for line in _lines(style, index) for i in range(line.count)]
    kinds = [_kind(sum(node in (road.start, road.end) for road in roads)) for node in range(len(positions))]
    return _cut_crossings(StreetPlan(positions, tuple(kinds), tuple(roads)), style.num_crossings, rng)


@dataclass(frozen=True)
class _Line:
    nodes: tuple[int, ...]
    key: str
    num_lanes: int
    speed_limit_mps: float

    @property
    def count(self) -> int:
        return len(self.nodes) - 1


def _kind(degree: int) -> NodeKind:
    return {2: NodeKind.BEND, 3: NodeKind.YIELD, 4: NodeKind.SIGNAL}[degree]


def _grid_positions(style: TownStyle, rng: np.random.Generator) -> Float64[np.ndarray, "rows columns 2"]:
    """Node positions."""
    x, y = np.meshgrid(np.arange(style.columns) * style.spacing_x_m, np.arange(style.rows) * style.spacing_y_m)
    grid = np.stack((x + style.skew * y, y), axis=-1) + rng.uniform(-1.0, 1.0, (*x.shape, 2)) * style.jitter_m
    cos, sin = np.cos(style.rotation), np.sin(style.rotation)
    return grid @ np.array([[cos, sin], [-sin, cos]]) + np.array(style.origin)


def _ring_nodes(index: np.ndarray) -> tuple[int, ...]:
    """Indices of the outer ring, counter-clockwise from the first corner."""
    ring = [*index[0, :-1], *index[:-1, -1], *index[-1, :0:-1], *index[:0:-1, 0]]
    return tuple(int(node) for node in ring)


def _lines(style: TownStyle, index: np.ndarray) -> list[_Line]:
    """Ring, inner rows and inner columns; the middle ones are arterials."""
    ring = _ring_nodes(index)
    lines = [_Line((*ring, ring[0]), "ring", style.ring_lanes, style.street_speed_mps)]
    arterial = (style.arterial_lanes, style.arterial_speed_mps)
    street = (style.street_lanes, style.street_speed_mps)
    for row in range(1, style.rows - 1):
        lines.append(_Line(tuple(map(int, index[row])), "row", *(arterial if row == style.rows // 2 else street)))
    for column in range(1, style.columns - 1):
        kind = arterial if column == style.columns // 2 else street
        lines.append(_Line(tuple(map(int, index[:, column])), "column", *kind))
    return lines


def _tangents(grid: FloatArray, index: np.ndarray) -> dict[tuple[str, int], float]:
    """Direction of each line at each of its nodes (as a Catmull-Rom curve has it)."""
    positions = grid.reshape(-1, 2)
    ring = _ring_nodes(index)
    headings: dict[tuple[str, int], float] = {}
    for i, node in enumerate(ring):
        headings["ring", node] = _heading(positions[ring[i - 1]], positions[ring[(i + 1) % len(ring)]])
    for key, table in (("row", index), ("column", index.T)):
        for nodes in table[1:-1]:
            for i in range(1, len(nodes) - 1):
                headings[key, int(nodes[i])] = _heading(positions[nodes[i - 1]], positions[nodes[i + 1]])
            for end, inner, sign in ((nodes[0], nodes[1], 1.0), (nodes[-1], nodes[-2], -1.0)):
                headings[key, int(end)] = _inward_heading(positions, int(end), int(inner), headings, sign)
    return headings


def _inward_heading(
    positions: FloatArray, end: int, inner: int, headings: dict[tuple[str, int], float], sign: float
) -> float:
    """Direction of a side road at a T-junction: towards its next node, but within 20 degrees of a right angle."""
    inward = _heading(positions[end], positions[inner])
    square = headings["ring", end] + np.pi / 2
    bounded = square + np.clip(wrap_angle(inward - square), -np.pi / 9, np.pi / 9)
    return float(bounded if sign > 0 else bounded + np.pi)


def _heading(start: Float64[np.ndarray, "2"], end: Float64[np.ndarray, "2"]) -> float:
    return float(np.arctan2(end[Y] - start[Y], end[X] - start[X]))


def _plan_road(line: _Line, i: int, positions: FloatArray, tangents: dict[tuple[str, int], float]) -> RoadPlan:
    start, end = line.nodes[i], line.nodes[i + 1]
    poses = [np.array([*positions[node], wrap_angle(tangents[line.key, node])]) for node in (start, end)]
    center = connect_poses(poses[0], poses[1], _FINE_SPACING_M)
    return RoadPlan(start, end, center, line.num_lanes, line.speed_limit_mps)


def _cut_crossings(plan: StreetPlan, count: int, rng: np.random.Generator) -> StreetPlan:
    """Cut ``count`` of the longest roads in two at a pedestrian crossing."""
    positions, kinds, roads = list(plan.positions), list(plan.kinds), list(plan.roads)
    by_length = sorted(range(len(roads)), key=lambda i: -arc_lengths(roads[i].center)[-1])
    for i in by_length[:count]:
        road = roads[i]
        length = float(arc_lengths(road.center)[-1])
        middle = length * float(rng.uniform(0.45, 0.55))
        positions.append(interpolate_curve(road.center, np.array([middle]))[0, XY])
        kinds.append(NodeKind.CROSSING)
        node = len(positions) - 1
        roads[i] = replace(road, end=node, center=cut_curve(road.center, 0.0, middle))
        roads.append(replace(road, start=node, center=cut_curve(road.center, middle, length)))
    return StreetPlan(np.array(positions), tuple(kinds), tuple(roads))
