"""Trees and street lamps along the walkways, and the wooded rim of the world: decoration that the map does not know."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

from navsim_agents.world.camera.mesh import Colour, Mesh, MeshBuilder, rectangle, regular_ring
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.noise import tileable_noise
from navsim_agents.world.camera.regions import Regions
from navsim_agents.world.camera.solids import Solid, placed_solid
from navsim_agents.world.camera.strips import arc_length, resample
from navsim_agents.world.types import Town

TREE_SPACING_M, TREE_SETBACK_M = 12.0, 6.3
TRUNK_CLEARANCE_M, CROWN_CLEARANCE_M = 0.7, 2.2  # from streets and car parks, from buildings
LAMP_SPACING_M, LAMP_SETBACK_M = 36.0, 2.95
LEAVES: tuple[Colour, ...] = ((84.0, 116.0, 58.0), (98.0, 124.0, 62.0), (72.0, 104.0, 60.0), (112.0, 126.0, 66.0))
BARK: Colour = (98.0, 80.0, 64.0)
STEEL: Colour = (128.0, 132.0, 134.0)
CROWN_SIDES = 9
# Rings of a crown from below: share of its height, share of its radius, turn in sides.
CROWN = ((0.0, 0.5, 0.0), (0.2, 0.92, 0.5), (0.48, 1.0, 0.0), (0.76, 0.74, 0.5), (1.0, 0.28, 0.0))
RIM_SAMPLES = 720


def roadside_solids(town: Town) -> list[Solid]:
    """Trees behind the walkways wherever there is room, and lamps at the kerb."""
    rng = np.random.default_rng(zlib.crc32(town.location.encode()))
    streets = Regions([*(lane.polygon for lane in town.lanes.values()), *_paved(town)])
    buildings = Regions([building.polygon for building in town.buildings.values()])
    trees = [_tree(pose, rng) for pose in _poses(town, TREE_SPACING_M, TREE_SETBACK_M, rng)]
    trunks = np.array([tree.footprint.mean(axis=0) for tree in trees]).reshape(-1, 2)
    has_room = streets.clear_of(trunks, TRUNK_CLEARANCE_M) & buildings.clear_of(trunks, CROWN_CLEARANCE_M)
    lamps = [
        placed_solid(_lamp(), rectangle(0.3, 0.3), pose, None)
        for pose in _poses(town, LAMP_SPACING_M, LAMP_SETBACK_M, rng)
    ]
    return [trees[index] for index in np.flatnonzero(has_room)] + lamps


def _paved(town: Town) -> Iterator[FloatArray]:
    for group in (town.walkways, town.carparks, town.intersections):
        yield from (area.polygon for area in group.values())


def _poses(town: Town, spacing_m: float, setback_m: float, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Poses [3] to the right of every road, along its direction."""
    for lane in town.lanes.values():
        if lane.is_connector or lane.right_neighbor is not None:
            continue
        length = float(arc_length(lane.right_boundary)[-1])
        stations = np.arange(0.5 * spacing_m, length - 0.3 * spacing_m, spacing_m)
        stations = stations + rng.uniform(-0.2, 0.2, len(stations)) * spacing_m
        points, ahead = resample(lane.right_boundary, stations), resample(lane.right_boundary, stations + 0.5)
        for point, following in zip(points, ahead):
            heading = float(np.arctan2(*(following - point)[::-1]))
            yield np.array([*(point + setback_m * np.array([np.sin(heading), -np.cos(heading)])), heading])


def _tree(pose: Float64[np.ndarray, "3"], rng: np.random.Generator) -> Solid:
    height, radius = rng.uniform(5.0, 8.5), rng.uniform(1.5, 2.4)
    foot = 0.32 * height
    builder = MeshBuilder()
    builder.frustum(regular_ring(0.18, 6), 0.0, regular_ring(0.12, 6), foot + 0.6, BARK)
    leaves = np.array(LEAVES[rng.integers(len(LEAVES))])
    rings = [_lumpy_ring(share * radius, foot + rise * (height - foot), turn, rng) for rise, share, turn in CROWN]
    builder.face(rings[0][::-1], _leaf(0.7 * leaves, rng))
    for level, (low, high) in enumerate(zip(rings[:-1], rings[1:])):
        ahead = 1 - level % 2  # every other ring is turned by half a side
        for side in range(CROWN_SIDES):
            following, above = (side + 1) % CROWN_SIDES, (side + ahead) % CROWN_SIDES
            shade = leaves * (0.80 + 0.06 * level)
            builder.face((low[side], low[following], high[above]), _leaf(shade, rng))
            beside = (above + 1) % CROWN_SIDES
            apex = low[following]
            builder.face((high[above], apex, high[beside]), _leaf(shade, rng))
    builder.face(rings[-1], _leaf(leaves, rng))
    return placed_solid(builder.build(), rectangle(1.2 * radius, 1.2 * radius), pose, (foot, 0.9 * height))


def _leaf(colour: Float64[np.ndarray, "3"], rng: np.random.Generator) -> Colour:
    """A facet's own tone of ``colour``."""
    red, green, blue = (float(channel) for channel in colour * rng.uniform(0.90, 1.10))
    return (red, green, blue)


def _lumpy_ring(radius: float, z: float, turn: float, rng: np.random.Generator) -> FloatArray:
    """An uneven ring [CROWN_SIDES, 3], turned by ``turn`` sides."""
    angles = 2.0 * np.pi * (np.arange(CROWN_SIDES) + turn) / CROWN_SIDES
    reach = radius * rng.uniform(0.88, 1.12, CROWN_SIDES)
    heights = z + radius * rng.uniform(-0.12, 0.12, CROWN_SIDES)
    return np.stack((reach * np.cos(angles), reach * np.sin(angles), heights), axis=1)


def _lamp() -> Mesh:
    """A street lamp whose arm reaches to the left, over the road."""
    builder = MeshBuilder()
    builder.frustum(regular_ring(0.10, 6), 0.0, regular_ring(0.06, 6), 7.6, STEEL)
    builder.box((0.0, 1.3), (0.08, 2.7), (7.52, 7.6), STEEL)
    builder.box((0.0, 2.8), (0.22, 0.6), (7.46, 7.62), (222.0, 222.0, 214.0))
    return builder.build()


def rim_heights(location: str) -> FloatArray:
    """Elevation [RIM_SAMPLES, rad] of the wooded horizon towards each azimuth, from east counter-clockwise."""
    profile = tileable_noise(RIM_SAMPLES, (9, 40, 180, 360), seed=zlib.crc32(location.encode()))[0]
    return np.asarray(np.deg2rad(0.9 + 0.55 * profile), dtype=np.float64)
