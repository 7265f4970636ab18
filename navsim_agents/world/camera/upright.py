"""Paints everything that stands on the ground over the backdrop, from back to front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, UInt8, UInt32

from navsim_agents.common.poses import XY
from navsim_agents.world.camera.canvas import SUPERSAMPLING, Canvas
from navsim_agents.world.camera.lighting import Lighting
from navsim_agents.world.camera.mesh import Mesh, join_meshes
from navsim_agents.world.camera.packed import RGB, halved, laid_over, pack, unpack
from navsim_agents.world.camera.painter import painting_order
from navsim_agents.world.camera.polygons import make_polygons
from navsim_agents.world.camera.solids import Solid
from navsim_agents.world.camera.view import View

DETAIL_PX_PER_M = 3.0  # coarser than this, windows and lamps are left out
OPAQUE = 255
SLAB_ROWS = 32  # composed at once, to stay in the processor's cache
RIM_COLOUR = np.array([[104.0, 118.0, 98.0]])
RIM_HAZE = 0.72
RIM_FOOT_RAD = -0.004


def paint_upright(
    canvas: Canvas,
    sheet: UInt32[np.ndarray, "H W"],
    view: View,
    lighting: Lighting,
    solids: Sequence[Solid],
    rim_heights: Float64[np.ndarray, " R"],
) -> UInt8[np.ndarray, "H W 3"]:
    """Cover the backdrop ``sheet`` with the world's rim and ``solids``; returns RGB."""
    canvas.start((0, 0, 0, 0))
    _paint_rim(canvas, view, lighting, rim_heights)
    if solids:
        order = painting_order([solid.footprint for solid in solids], view.position[XY])
        mesh = join_meshes([_worth_painting(solids[index], view) for index in order.tolist()])
        _paint_mesh(canvas, mesh, view, lighting)
    return _composed(sheet, canvas.samples_of_rows())


def _worth_painting(solid: Solid, view: View) -> Mesh:
    """The solid's mesh, without details where it is far away."""
    mesh = solid.mesh
    distance = float(np.linalg.norm(solid.footprint - view.position[XY], axis=1).min())
    if view.focal_px > DETAIL_PX_PER_M * distance or not mesh.is_detail.any():
        return mesh
    return mesh.select(np.flatnonzero(~mesh.is_detail))


def _paint_mesh(canvas: Canvas, mesh: Mesh, view: View, lighting: Lighting) -> None:
    corners = mesh.polygons.vertices[mesh.polygons.starts[:-1]]
    offsets = view.position - corners
    facing = np.flatnonzero((offsets * mesh.normals).sum(axis=1) > 0.0)
    shown = mesh.select(facing)
    distance = np.linalg.norm(offsets[facing], axis=1)
    seen = lighting.through_air(lighting.shade(shown.colours, shown.normals), distance)
    colours = np.where(shown.is_glowing[:, None], shown.colours, seen)
    canvas.paint(view, shown.polygons, _opaque(colours))


def _paint_rim(canvas: Canvas, view: View, lighting: Lighting, heights: Float64[np.ndarray, " R"]) -> None:
    """A wooded silhouette at infinity, one quadrilateral a step of azimuth."""
    azimuth = 2.0 * np.pi * np.arange(len(heights) + 1) / len(heights)
    top = np.tan(np.append(heights, heights[0]))
    low = np.full_like(top, RIM_FOOT_RAD)
    directions = np.stack((np.cos(azimuth), np.sin(azimuth)), axis=1)
    foot, crest = (np.concatenate((directions, z[:, None]), axis=1) for z in (low, top))
    quads = np.stack((foot[:-1], foot[1:], crest[1:], crest[:-1]), axis=1)
    ahead = quads[(quads.mean(axis=1) @ view.ahead) > 0.0]
    far = view.position + 1e5 * ahead
    lit = lighting.shade(RIM_COLOUR, np.array([[0.0, 0.0, 1.0]]))
    colour = lit * (1.0 - RIM_HAZE) + lighting.horizon * RIM_HAZE
    canvas.paint(view, make_polygons(list(far)), np.repeat(_opaque(colour), len(far), axis=0))


def _opaque(colours: Float64[np.ndarray, "F 3"]) -> UInt8[np.ndarray, "F 4"]:
    """Colours with full coverage as the fourth channel."""
    inks = np.full((len(colours), 4), OPAQUE, dtype=np.uint8)
    inks[:, RGB] = np.clip(np.rint(colours), 0.0, 255.0)
    return inks


def _composed(
    sheet: UInt32[np.ndarray, "H W"], samples: UInt8[np.ndarray, "rows columns 4"]
) -> UInt8[np.ndarray, "H W 3"]:
    """Objects' ``samples``, the last channel their coverage, over ``sheet``: RGB."""
    picture = np.empty((*sheet.shape, 3), dtype=np.uint8)
    for first in range(0, len(sheet), SLAB_ROWS):
        rows = slice(first, first + SLAB_ROWS)
        layer = halved(pack(samples[SUPERSAMPLING * first : SUPERSAMPLING * (first + SLAB_ROWS)]))
        slab = unpack(laid_over(layer, sheet[rows]) if layer.any() else np.ascontiguousarray(sheet[rows]))
        for channel in range(3):  # three strided copies are several times faster than one sliced one
            picture[rows, :, channel] = slab[..., channel]
    return picture
