"""The ground: a town's flat polygons painted by projection, then grain, shadows and haze by pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from navsim_agents.world.camera.canvas import Canvas
from navsim_agents.world.camera.lighting import Lighting
from navsim_agents.world.camera.markings import GroundPatch, Material, ground_patches
from navsim_agents.world.camera.mesh import at_height
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.polygons import Polygons, make_polygons
from navsim_agents.world.camera.textures import textured_patches
from navsim_agents.world.camera.view import View
from navsim_agents.world.types import Town

RANGE_M = 320.0
PAINT_RANGE_M = 190.0  # dashes beyond are lower than a quarter of a pixel
UP = np.array([[0.0, 0.0, 1.0]])

# RGB in full light, and coarseness 0-255: how strongly the grain shows.
PALETTE: dict[Material, tuple[tuple[int, int, int], int]] = {
    Material.GRASS: ((112, 128, 78), 255),
    Material.PLAZA: ((156, 150, 138), 90),
    Material.VERGE: ((128, 124, 116), 130),
    Material.WALKWAY: ((178, 174, 164), 70),
    Material.KERB: ((196, 193, 186), 40),
    Material.LOT: ((104, 104, 106), 140),
    Material.ASPHALT: ((98, 99, 103), 150),
    Material.WHITE: ((236, 235, 228), 60),
    Material.YELLOW: ((226, 176, 52), 60),
    Material.TAR: ((62, 62, 66), 120),
    Material.CONCRETE: ((136, 134, 130), 150),
}


@dataclass(frozen=True, eq=False)
class GroundMap:
    """A town's ground, ready to be seen from anywhere."""

    polygons: Polygons  # z = 0
    materials: Int64[np.ndarray, " F"]
    centres: Float64[np.ndarray, "F 3"]
    radii: Float64[np.ndarray, " F"]  # m


def build_ground(town: Town, is_textured: bool = False) -> GroundMap:
    """Collect and measure the ground polygons of ``town``."""
    patches = list(textured_patches(town) if is_textured else ground_patches(town))
    bounds = [_bounding_circle(patch) for patch in patches]
    return GroundMap(
        polygons=make_polygons([at_height(patch.outline, 0.0) for patch in patches]),
        materials=np.array([patch.material for patch in patches], dtype=np.int64),
        centres=at_height(np.array([centre for centre, _ in bounds]).reshape(-1, 2), 0.0),
        radii=np.array([radius for _, radius in bounds]),
    )


def _bounding_circle(patch: GroundPatch) -> tuple[FloatArray, float]:
    centre = 0.5 * (patch.outline.min(axis=0) + patch.outline.max(axis=0))
    return centre, float(np.linalg.norm(patch.outline - centre, axis=1).max())


def paint_ground(canvas: Canvas, ground: GroundMap, view: View, lighting: Lighting, first_row: int) -> None:
    """Fill the rows from ``first_row`` with grass and every patch in sight; the fourth channel is coarseness."""
    inks = material_inks(lighting)
    canvas.start(tuple(inks[Material.GRASS].tolist()), first_row)
    ranges = np.where(ground.materials >= Material.WHITE, PAINT_RANGE_M, RANGE_M)
    indices = np.flatnonzero(view.sees(ground.centres, ground.radii, ranges))
    canvas.paint(view, ground.polygons.select(indices), inks[ground.materials[indices]])


def material_inks(lighting: Lighting) -> UInt8[np.ndarray, "..."]:
    """Colour and coarseness [len(Material), 4] of sunlit ground."""
    colours = np.array([PALETTE[material][0] for material in Material], dtype=np.float64)
    lit = np.clip(lighting.shade(colours, UP), 0.0, 255.0)
    coarseness = np.array([[PALETTE[material][1]] for material in Material])
    return np.concatenate((np.rint(lit), coarseness), axis=1).astype(np.uint8)
