"""What a textured town shows beside the plain one: mended roads, worn paint, slabs, fences, posts, clad walls.

All of it stands still and follows from the town alone, lane by lane and wall by wall, so that whoever drives past sees
it move.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.world.camera.markings import GroundPatch, Material, paint_patches, surface_patches
from navsim_agents.world.camera.mesh import Colour, MeshBuilder, rectangle
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.regions import Regions
from navsim_agents.world.camera.solids import Solid, placed_solid
from navsim_agents.world.camera.strips import arc_length, resample
from navsim_agents.world.types import Lane, Town

REPAIR_SPACING_M, STAIN_SPACING_M, WEAR_SPACING_M, SLAB_M = 4.0, 5.0, 2.5, 2.2
REPAIR_M = ((0.5, 0.4), (4.5, 2.2))  # least and most length and width
STAIN_M = ((0.3, 0.3), (1.6, 0.9))
WEAR_M = ((0.2, 0.5), (0.9, 0.6))
SLABS_M = (2.8, 4.9)  # of the walkway, right of the road's edge
FENCE_SETBACK_M, PANEL_M = 5.35, 2.4
POST_SETBACK_M, POST_SPACING_M = 2.35, 7.0
CLEARANCE_M = 1.5  # of fences and posts, from streets and car parks
PANELS: tuple[Colour, ...] = (
    (150.0, 92.0, 60.0),
    (92.0, 104.0, 74.0),
    (206.0, 202.0, 190.0),
    (66.0, 74.0, 84.0),
    (170.0, 146.0, 96.0),
)
POSTS: tuple[Colour, ...] = ((210.0, 70.0, 54.0), (232.0, 228.0, 216.0), (62.0, 66.0, 72.0), (64.0, 98.0, 150.0))


def textured_patches(town: Town) -> Iterator[GroundPatch]:
    """All ground patches of a textured ``town``; later ones lie above earlier ones."""
    yield from surface_patches(town)
    for lane in town.lanes.values():
        yield from _road_surface(lane)
        if _is_outer(lane):
            yield from _slabs(lane)
    yield from paint_patches(town)
    for lane in town.lanes.values():
        if not lane.is_connector:
            yield from _worn_paint(lane)


def roadside_textures(town: Town) -> list[Solid]:
    """Fences behind the walkways and posts at the kerb, wherever there is room."""
    kept_free = [area.polygon for group in (town.carparks, town.intersections) for area in group.values()]
    streets = Regions([*(lane.polygon for lane in town.lanes.values()), *kept_free])
    buildings = Regions([building.polygon for building in town.buildings.values()])
    solids = [solid for lane in town.lanes.values() if _is_outer(lane) for solid in _fence_and_posts(lane)]
    feet = np.array([solid.footprint.mean(axis=0) for solid in solids]).reshape(-1, 2)
    has_room = streets.clear_of(feet, CLEARANCE_M) & buildings.clear_of(feet, PANEL_M / 2)
    return [solids[index] for index in np.flatnonzero(has_room)]


def cladding(
    builder: MeshBuilder,
    origin: Float64[np.ndarray, "2"],
    along: Float64[np.ndarray, "2"],
    bay: tuple[float, int],
    floor: tuple[float, int],
    wall: Colour,
) -> None:
    """One panel of its own tone for every bay and floor (size [m], count) of the wall that starts at ``origin``."""
    rng = _rng("wall", *np.round(origin, 2).tolist())
    tones = rng.choice((0.62, 0.8, 0.9, 1.0, 1.1, 1.24), (floor[1], bay[1]))
    for level, column in np.ndindex(tones.shape):
        near, far = origin + column * bay[0] * along, origin + (column + 1) * bay[0] * along
        bottom, top = 0.5 + level * floor[0], 0.5 + (level + 1) * floor[0] - 0.12
        tone = tones[level, column]
        ring = [(*near, bottom), (*far, bottom), (*far, top), (*near, top)]
        builder.face(ring, (wall[0] * tone, wall[1] * tone, wall[2] * tone), is_detail=True)


def _rng(*what: object) -> np.random.Generator:
    """Random numbers that follow from ``what`` alone."""
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


def _is_outer(lane: Lane) -> bool:
    return not lane.is_connector and lane.right_neighbor is None


def _road_surface(lane: Lane) -> Iterator[GroundPatch]:
    """Repairs and stains, along the lane and a little across its edges."""
    rng = _rng("road", lane.lane_id)
    for spacing_m, sizes, reach_m, materials in (
        (REPAIR_SPACING_M, REPAIR_M, 0.8, (Material.TAR, Material.TAR, Material.CONCRETE)),
        (STAIN_SPACING_M, STAIN_M, 1.4, (Material.TAR, Material.CONCRETE, Material.CONCRETE)),
    ):
        for pose in _poses(lane.centerline[:, XY], spacing_m, rng):
            pose[XY] += rng.uniform(-reach_m, reach_m) * _left(pose)
            outline = _placed(rectangle(*rng.uniform(*sizes)), pose)
            yield GroundPatch(outline, materials[rng.integers(len(materials))])


def _slabs(lane: Lane) -> Iterator[GroundPatch]:
    """Every other slab or so of the walkway in another tone."""
    rng = _rng("slabs", lane.lane_id)
    inner, outer = SLABS_M
    for pose in _poses(lane.right_boundary, SLAB_M, rng, jitter=0.0):
        material = (None, Material.VERGE, Material.CONCRETE, None)[rng.integers(4)]
        if material is not None:
            pose[XY] -= 0.5 * (inner + outer) * _left(pose)
            yield GroundPatch(_placed(rectangle(0.94 * SLAB_M, outer - inner), pose), material)


def _worn_paint(lane: Lane) -> Iterator[GroundPatch]:
    """Gaps in the lines at both sides of the lane."""
    rng = _rng("paint", lane.lane_id)
    for boundary in (lane.left_boundary, lane.right_boundary):
        for pose in _poses(boundary, WEAR_SPACING_M, rng):
            pose[XY] += rng.uniform(-0.15, 0.15) * _left(pose)
            yield GroundPatch(_placed(rectangle(*rng.uniform(*WEAR_M)), pose), Material.ASPHALT)


def _fence_and_posts(lane: Lane) -> Iterator[Solid]:
    rng = _rng("roadside", lane.lane_id)
    for pose in _poses(lane.right_boundary, PANEL_M + 0.1, rng, jitter=0.0):
        colour, height, is_there = PANELS[rng.integers(len(PANELS))], rng.uniform(0.8, 1.5), rng.random() < 0.55
        if is_there:
            yield _box_beside(pose, FENCE_SETBACK_M, (PANEL_M, 0.12), height, colour)
    for pose in _poses(lane.right_boundary, POST_SPACING_M, rng):
        colour, height = POSTS[rng.integers(len(POSTS))], rng.uniform(0.7, 1.2)
        yield _box_beside(pose, POST_SETBACK_M, (0.28, 0.28), height, colour)


def _box_beside(pose: FloatArray, setback_m: float, size: tuple[float, float], height: float, colour: Colour) -> Solid:
    """An upright box ``setback_m`` to the right of ``pose``, along it."""
    builder = MeshBuilder()
    builder.box((0.0, 0.0), size, (0.0, height), colour)
    placed = np.array([*(pose[XY] - setback_m * _left(pose)), pose[HEADING]])
    return placed_solid(builder.build(), rectangle(*size), placed, (0.0, height))


def _poses(
    curve: Float64[np.ndarray, "M 2"], spacing_m: float, rng: np.random.Generator, jitter: float = 0.5
) -> Iterator[Float64[np.ndarray, "3"]]:
    """Poses along ``curve``, each up to ``jitter`` of half the spacing away from an even one."""
    stations = np.arange(0.5 * spacing_m, float(arc_length(curve)[-1]) - 0.5, spacing_m)
    stations = stations + rng.uniform(-0.5, 0.5, len(stations)) * jitter * spacing_m
    points, ahead = resample(curve, stations - 0.25), resample(curve, stations + 0.25)
    for point, following in zip(points, ahead):
        step = following - point
        yield np.array([*(0.5 * (point + following)), np.arctan2(step[Y], step[X])])


def _left(pose: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "2"]:
    return np.array([-np.sin(pose[HEADING]), np.cos(pose[HEADING])])


def _placed(outline: Float64[np.ndarray, "K 2"], pose: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "K 2"]:
    ahead = np.array([np.cos(pose[HEADING]), np.sin(pose[HEADING])])
    return np.asarray(pose[XY] + outline[:, X, None] * ahead + outline[:, Y, None] * _left(pose))
