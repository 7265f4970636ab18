"""Driving direction, lane keeping, red lights and progress of one ego."""

from __future__ import annotations

from math import hypot, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from navsim_agents.scoring.compiled.arrays import END_X, END_Y, Bools, Floats, Ints, X, Y
from navsim_agents.scoring.compiled.ego import Ego
from navsim_agents.scoring.compiled.jit import part
from navsim_agents.scoring.compiled.location import CellTables, entries_at
from navsim_agents.scoring.compiled.meetings import cuts
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.geometry.grid import NearSegments
from navsim_agents.scoring.plane import squared_distance


class LineTables(NamedTuple):
    """:class:`~navsim_agents.scoring.geometry.grid.NearSegments` of B scenes as arrays."""

    cells: CellTables
    segments: Floats  # [segments, 4]
    segments_base: Ints
    owner: npt.NDArray[np.int32]
    owner_base: Ints

    @staticmethod
    def of(line: NearSegments) -> LineTables:
        """The arrays share the tensors' memory."""
        segments, owner = line.segments, line.owner
        return LineTables(
            CellTables.of(line.cells),
            segments.values.numpy(),
            segments.base.numpy(),
            owner.values.numpy(),
            owner.base.numpy(),
        )


class Keeping(NamedTuple):
    """Figures of the rules of lanes."""

    window_steps: int
    compliance_m: float
    violation_m: float
    intersection_excuses: bool
    deviation_m: float
    deviation_steps: int

    @staticmethod
    def of(metric: MetricConfig) -> Keeping:
        """Those of a metric."""
        return Keeping(
            metric.direction_window_steps,
            metric.direction_compliance_m,
            metric.direction_violation_m,
            metric.intersection_excuses_direction,
            metric.lane_deviation_m,
            metric.lane_deviation_steps,
        )


@part
def driving_direction(rules: Keeping, ego: Ego, ways: Floats) -> float:
    """1, 1/2 or 0 by the longest way [m] within one second outside the route's lanes; ``ways`` [S] is room."""
    wrong, xs, ys, oncoming, excused = False, ego.center_x, ego.center_y, ego.oncoming, ego.in_intersection
    for step in range(1, len(ways)):
        counts = oncoming[step] and not (rules.intersection_excuses and excused[step])
        ways[step] = hypot(xs[step] - xs[step - 1], ys[step] - ys[step - 1]) if counts else 0.0
        wrong = wrong or counts
    if not wrong:
        return 1.0
    longest = 0.0
    for last in range(1, len(ways)):
        way = 0.0
        for step in range(max(1, last - rules.window_steps + 1), last + 1):
            way += ways[step]
        longest = max(longest, way)
    if longest < rules.compliance_m:
        return 1.0
    return 0.5 if longest < rules.violation_m else 0.0


@part
def keeps_lane(rules: Keeping, line: LineTables, scene: int, ego: Ego) -> bool:
    """Whether the centre is never too far from the centreline for 20 states in a row, those in intersections aside."""
    xs, ys, excused = ego.center_x, ego.center_y, ego.in_intersection
    cells, items, segments = line.cells, line.cells.item, line.segments[line.segments_base[scene] :]
    first, base, plain = cells.first[cells.first_base[scene] :], cells.item_base[scene], cells.plain[scene]
    run, limit_sq, entries = 0, rules.deviation_m**2, ego.entries
    entries_at(cells, scene, xs, ys, entries)
    for step in range(len(xs)):
        if excused[step]:
            continue
        run += 1
        number = entries[step] - plain - 1
        if number >= 0:
            for at in range(base + first[number], base + first[number + 1]):
                ends = segments[items[at]]
                if squared_distance(xs[step], ys[step], ends[X], ends[Y], ends[END_X], ends[END_Y]) <= limit_sq:
                    run = 0
                    break
        if run >= rules.deviation_steps:
            return False
    return True


@part
def obeys_lights(active: Bools, active_bits: Ints, lights: LineTables, scene: int, ego: Ego) -> bool:
    """Whether the box never touches a connector while it is red.

    ``active`` [L, T] says when a light is red, ``active_bits`` [S, W] holds the polygons of those that are.
    """
    corner_bits = ego.corner_bits
    for step in range(len(active_bits)):
        for word in range(active_bits.shape[1]):
            if corner_bits[word, step] & active_bits[step, word] != 0:
                return False
    entries_at(lights.cells, scene, ego.center_x, ego.center_y, ego.entries)
    for step in range(len(active_bits)):
        lit = False
        for word in range(active_bits.shape[1]):
            lit = lit or active_bits[step, word] != 0
        if lit and _is_cut(active, lights, scene, step, ego):
            return False
    return True


@part
def _is_cut(active: Bools, lights: LineTables, scene: int, step: int, ego: Ego) -> bool:
    """Whether the outline of a connector that is red cuts the box."""
    x, y, cosine, sine = ego.center_x[step], ego.center_y[step], ego.cos[step], ego.sin[step]
    number = ego.entries[step] - lights.cells.plain[scene] - 1
    if number < 0:
        return False
    row, base = lights.cells.first_base[scene] + number, lights.cells.item_base[scene]
    for at in range(base + lights.cells.first[row], base + lights.cells.first[row + 1]):
        segment = lights.cells.item[at]
        if not active[lights.owner[lights.owner_base[scene] + segment], step]:
            continue
        ends = lights.segments[lights.segments_base[scene] + segment]
        if cuts(ends[X], ends[Y], ends[END_X], ends[END_Y], x, y, cosine, sine, ego.half_length, ego.half_width):
            return True
    return False


@part
def arc_length(x: float, y: float, line: Floats) -> float:
    """Arc length [m] of the point of a line [M, 2] nearest to a point; the first one of several equally near."""
    nearest, best, covered = np.inf, 0.0, 0.0
    for row in range(len(line) - 1):
        edge_x, edge_y = line[row + 1, X] - line[row, X], line[row + 1, Y] - line[row, Y]
        length = sqrt(edge_x * edge_x + edge_y * edge_y)
        if length == 0.0:
            continue
        cosine, sine = edge_x / length, edge_y / length
        reach_x, reach_y = x - line[row, X], y - line[row, Y]
        along, across = reach_x * cosine + reach_y * sine, reach_y * cosine - reach_x * sine
        beyond = along - min(max(along, 0.0), length)
        gap_sq = across * across + beyond * beyond
        if gap_sq < nearest:
            nearest, best = gap_sq, covered + min(max(along, 0.0), length)
        covered += length
    return best
