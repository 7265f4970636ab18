"""Buildings from footprints: coloured walls with floors of windows, a plinth and a cornice."""

from __future__ import annotations

import zlib

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import X, Y
from navsim_agents.world.camera.mesh import Colour, MeshBuilder
from navsim_agents.world.camera.shadows import Caster
from navsim_agents.world.camera.solids import Solid
from navsim_agents.world.camera.textures import cladding
from navsim_agents.world.types import Area

WALLS: tuple[Colour, ...] = (
    (172.0, 118.0, 96.0),
    (196.0, 176.0, 146.0),
    (186.0, 184.0, 178.0),
    (150.0, 132.0, 118.0),
    (208.0, 198.0, 180.0),
    (138.0, 146.0, 154.0),
    (160.0, 100.0, 82.0),
    (176.0, 170.0, 150.0),
)
GLASS: tuple[Colour, ...] = ((74.0, 90.0, 106.0), (92.0, 110.0, 124.0), (62.0, 74.0, 86.0), (126.0, 136.0, 140.0))
FLOOR_M, BAY_M = 3.3, 3.0
PROUD_M = 0.04


def building_solid(area: Area, is_textured: bool = False) -> Solid:
    """The building on ``area``, whose look depends on its id alone; ``is_textured`` gives every bay its own tone."""
    rng = np.random.default_rng(zlib.crc32(area.area_id.encode()))
    ring = counter_clockwise(area.polygon)
    height = max(area.height_m, FLOOR_M)
    wall = WALLS[rng.integers(len(WALLS))]
    builder = MeshBuilder()
    builder.frustum(ring, 0.0, ring, height, wall, top=(150.0, 150.0, 148.0))
    window = (rng.uniform(0.42, 0.66), rng.uniform(0.45, 0.62))  # shares of a bay's width and a floor's height
    for start, end in zip(ring, np.roll(ring, -1, axis=0)):
        _facade(builder, start, end, height, wall, window, rng, is_textured)
    return Solid(builder.build(), ring, Caster(ring, 0.0, height))


def counter_clockwise(ring: Float64[np.ndarray, "K 2"]) -> Float64[np.ndarray, "K 2"]:
    """``ring``, reversed if it runs clockwise."""
    following = np.roll(ring, -1, axis=0)
    area = np.sum((ring[:, X] - ring[0, X]) * (following[:, Y] - ring[0, Y]))
    area -= np.sum((following[:, X] - ring[0, X]) * (ring[:, Y] - ring[0, Y]))
    return ring if area >= 0.0 else ring[::-1]


def _facade(
    builder: MeshBuilder,
    start: Float64[np.ndarray, "2"],
    end: Float64[np.ndarray, "2"],
    height: float,
    wall: Colour,
    window: tuple[float, float],
    rng: np.random.Generator,
    is_textured: bool,
) -> None:
    """Plinth, cornice and a grid of windows on the wall from ``start`` to ``end``."""
    length = float(np.linalg.norm(end - start))
    if length < 1.0:
        return
    along = (end - start) / length
    origin = start + PROUD_M * np.array([along[Y], -along[X]])

    def panel(low: float, high: float, bottom: float, top: float, colour: Colour, is_detail: bool = True) -> None:
        near, far = origin + low * along, origin + high * along
        ring = [(*near, bottom), (*far, bottom), (*far, top), (*near, top)]
        builder.face(ring, colour, is_detail=is_detail)

    bays, floors = max(1, int(length // BAY_M)), max(1, int(height // FLOOR_M))
    bay, floor = length / bays, (height - 0.5) / floors
    if is_textured:
        cladding(builder, origin, along, (bay, bays), (floor, floors), wall)
    panel(0.0, length, 0.0, 0.5, _scaled(wall, 0.62))
    panel(0.0, length, height - 0.45, height, _scaled(wall, 1.12))
    for level in range(floors):
        for column in range(bays):
            width, rise = (0.8, 0.68) if level == 0 and floors > 1 else window
            left, sill = (column + 0.5 - 0.5 * width) * bay, 0.5 + (level + 0.55 - 0.5 * rise) * floor
            panel(left, left + width * bay, sill, sill + rise * floor, GLASS[rng.integers(len(GLASS))])


def _scaled(colour: Colour, share: float) -> Colour:
    return (colour[0] * share, colour[1] * share, colour[2] * share)
