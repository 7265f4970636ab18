"""Everything flat that a town's map says about the ground, as polygons in painting order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import XY, X, Y
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.regions import inside
from navsim_agents.world.camera.strips import arc_length, dashes, resample, rim_quads, simplify, strip
from navsim_agents.world.types import Area, Lane, Town, Turn

LINE_WIDTH_M = 0.14
EDGE_INSET_M = 0.22  # from the lane's boundary to the middle of an edge line
DASH_M, GAP_M = 3.0, 6.0
VERGE_M = 2.7
KERB_M = 0.18
PIECE_M = 30.0  # long surfaces are cut so that most pieces lie wholly inside or outside a picture
ZEBRA_BAR_M, ZEBRA_GAP_M = 0.5, 0.55
STALL_WIDTH_M, STALL_DEPTH_M, STALL_MARGIN_M = 2.9, 5.4, 0.55  # as the world parks its cars
ARROW_SETBACK_M = 7.0


class Material(IntEnum):
    """What the ground is made of or painted with."""

    GRASS = 0
    PLAZA = 1
    VERGE = 2
    WALKWAY = 3
    KERB = 4
    LOT = 5
    ASPHALT = 6
    WHITE = 7
    YELLOW = 8
    TAR = 9
    CONCRETE = 10


@dataclass(frozen=True, eq=False)
class GroundPatch:
    """One flat polygon [., 2] in global metres."""

    outline: Float64[np.ndarray, "M 2"]
    material: Material


def ground_patches(town: Town) -> Iterator[GroundPatch]:
    """All patches of ``town``; later ones lie above earlier ones."""
    yield from surface_patches(town)
    yield from paint_patches(town)


def surface_patches(town: Town) -> Iterator[GroundPatch]:
    """What the ground is made of."""
    yield from _surroundings(town)
    for area in town.walkways.values():
        yield GroundPatch(area.polygon, Material.WALKWAY)
    yield from _kerbs(town)
    for area in town.carparks.values():
        yield GroundPatch(area.polygon, Material.LOT)
    yield from _roads(town)


def paint_patches(town: Town) -> Iterator[GroundPatch]:
    """What is painted on it."""
    for carpark in town.carparks.values():
        yield from (GroundPatch(line, Material.WHITE) for line in stall_lines(carpark))
    for lane in town.lanes.values():
        if not lane.is_connector:
            yield from _lane_lines(lane)
            yield from _turn_arrows(lane, town)
    for stop_line in town.stop_lines.values():
        yield GroundPatch(stop_line.polygon, Material.WHITE)
    for crosswalk in town.crosswalks.values():
        yield from (GroundPatch(bar, Material.WHITE) for bar in zebra_bars(crosswalk))


def _surroundings(town: Town) -> Iterator[GroundPatch]:
    for building in town.buildings.values():
        centre = building.polygon.mean(axis=0)
        reach = np.linalg.norm(building.polygon - centre, axis=1).max()
        yield GroundPatch(centre + (building.polygon - centre) * (1.0 + 3.0 / reach), Material.PLAZA)
    for lane in _outer_lanes(town):
        yield from (GroundPatch(strip(p, 0.0, VERGE_M), Material.VERGE) for p in _cut(lane.right_boundary))
    for intersection in town.intersections.values():
        for quad in rim_quads(simplify(intersection.polygon, 0.1), VERGE_M):
            yield GroundPatch(quad, Material.VERGE)


def _kerbs(town: Town) -> Iterator[GroundPatch]:
    for lane in _outer_lanes(town):
        yield from (GroundPatch(strip(p, 0.0, KERB_M), Material.KERB) for p in _cut(lane.right_boundary))
    for intersection in town.intersections.values():
        for quad in rim_quads(simplify(intersection.polygon, 0.05), KERB_M):
            yield GroundPatch(quad, Material.KERB)


def _roads(town: Town) -> Iterator[GroundPatch]:
    for intersection in town.intersections.values():
        yield GroundPatch(simplify(intersection.polygon), Material.ASPHALT)
    for lane in town.lanes.values():
        if not lane.is_connector:
            for left, right in zip(_cut(lane.left_boundary), _cut(lane.right_boundary)):
                yield GroundPatch(np.concatenate((left, right[::-1])), Material.ASPHALT)


def _outer_lanes(town: Town) -> Iterator[Lane]:
    return (lane for lane in town.lanes.values() if not lane.is_connector and lane.right_neighbor is None)


def _cut(curve: Float64[np.ndarray, "M 2"]) -> list[FloatArray]:
    """``curve`` in pieces of about PIECE_M, each with few points."""
    count = max(1, round(float(arc_length(curve)[-1]) / PIECE_M))
    bounds = np.linspace(0, len(curve) - 1, count + 1).round().astype(int)
    return [simplify(curve[start : end + 1]) for start, end in zip(bounds[:-1], bounds[1:])]


def _lane_lines(lane: Lane) -> Iterator[GroundPatch]:
    """Yellow on the side of oncoming traffic, white at the outer edge, dashes between lanes of one direction."""
    half = LINE_WIDTH_M / 2
    if lane.left_neighbor is None:
        for piece in _cut(lane.left_boundary):
            yield GroundPatch(strip(piece, half - EDGE_INSET_M / 2, half + EDGE_INSET_M / 2), Material.YELLOW)
    if lane.right_neighbor is None:
        for piece in _cut(lane.right_boundary):
            yield GroundPatch(strip(piece, half + EDGE_INSET_M, half - EDGE_INSET_M), Material.WHITE)
    else:
        for outline in dashes(lane.right_boundary, LINE_WIDTH_M, DASH_M, GAP_M):
            yield GroundPatch(outline, Material.WHITE)


def zebra_bars(crosswalk: Area) -> list[FloatArray]:
    """Bars [4, 2] across a crosswalk's longer side, evenly spaced."""
    corners = crosswalk.polygon
    sides = np.roll(corners, -1, axis=0) - corners
    longest = int(np.argmax(np.linalg.norm(sides, axis=1)))
    length = float(np.linalg.norm(sides[longest]))
    along = sides[longest] / length
    across = np.array([-along[Y], along[X]])
    reach = (corners - corners[longest]) @ across
    low, high = float(reach.min()), float(reach.max())
    count = max(1, int((length + ZEBRA_GAP_M) // (ZEBRA_BAR_M + ZEBRA_GAP_M)))
    margin = 0.5 * (length - count * ZEBRA_BAR_M - (count - 1) * ZEBRA_GAP_M)
    starts = margin + np.arange(count) * (ZEBRA_BAR_M + ZEBRA_GAP_M)
    local = np.array([[0.0, low], [ZEBRA_BAR_M, low], [ZEBRA_BAR_M, high], [0.0, high]])
    bars = local[None] + np.stack((starts, np.zeros(count)), axis=1)[:, None]
    return list(corners[longest] + bars[..., X, None] * along + bars[..., Y, None] * across)


def stall_lines(carpark: Area) -> Iterator[FloatArray]:
    """Lines between the stalls of two rows: along the lot's longest side and opposite it, except at the entrance."""
    corners = carpark.polygon
    sides = np.roll(corners, -1, axis=0) - corners
    first = int(np.argmax(np.linalg.norm(sides, axis=1)))
    length = float(np.linalg.norm(sides[first]))
    along, edge = sides[first] / length, corners[first - 1] - corners[first]
    depth = float(np.linalg.norm(edge - (edge @ along) * along))
    inward = (edge - (edge @ along) * along) / max(depth, 1e-9)
    if depth < 2 * STALL_DEPTH_M:
        return
    for station in np.arange(STALL_MARGIN_M, length, STALL_WIDTH_M):
        foot = corners[first] + station * along
        yield _line(foot, foot + STALL_DEPTH_M * inward)
        opposite = foot + depth * inward
        if not inside((opposite + 0.5 * inward)[None], corners)[0]:
            yield _line(opposite, opposite - STALL_DEPTH_M * inward)


def _line(start: Float64[np.ndarray, "2"], end: Float64[np.ndarray, "2"]) -> FloatArray:
    return strip(np.array([start, end]), LINE_WIDTH_M / 2, LINE_WIDTH_M / 2)


def _turn_arrows(lane: Lane, town: Town) -> Iterator[GroundPatch]:
    """An arrow for every way out of a lane, before signalised junctions."""
    exits = [town.lanes[name] for name in lane.successors if town.lanes[name].signal_group is not None]
    length = float(arc_length(lane.centerline[:, XY])[-1])
    if not exits or length < 3 * ARROW_SETBACK_M:
        return
    foot, tip = resample(lane.centerline[:, XY], np.array([length - ARROW_SETBACK_M, length - ARROW_SETBACK_M + 1.0]))
    ahead = tip - foot
    across = np.array([-ahead[Y], ahead[X]])
    for turn in sorted({exit_lane.turn for exit_lane in exits}):
        for outline in ARROWS[turn]:
            yield GroundPatch(foot + outline[:, X, None] * ahead + outline[:, Y, None] * across, Material.WHITE)


_SHAFT = np.array([[-2.0, 0.08], [-2.0, -0.08], [0.8, -0.08], [0.8, 0.08]])
_HEAD = np.array([[0.8, 0.32], [0.8, -0.32], [2.0, 0.0]])
_BEND = np.array([[-2.0, 0.08], [-2.0, -0.08], [0.25, -0.08], [0.75, 0.35], [0.65, 0.5], [0.15, 0.08]])
_BEND_HEAD = np.array([[0.95, 0.25], [0.45, 0.65], [1.15, 1.05]])
_MIRROR = np.array([1.0, -1.0])
ARROWS: dict[Turn, tuple[FloatArray, ...]] = {
    Turn.STRAIGHT: (_SHAFT, _HEAD),
    Turn.LEFT: (_BEND, _BEND_HEAD),
    Turn.U_TURN: (_BEND, _BEND_HEAD),
    Turn.RIGHT: (_BEND * _MIRROR, _BEND_HEAD * _MIRROR),
}
