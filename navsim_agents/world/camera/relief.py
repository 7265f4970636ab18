"""What changes the ground's own colour, at half the picture's resolution: grain, shadows and haze."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32, UInt8, UInt32
from PIL import Image, ImageFilter

from navsim_agents.common.poses import XY, X, Y
from navsim_agents.world.camera.canvas import SHADOW_SAMPLES, SUPERSAMPLING, Canvas
from navsim_agents.world.camera.lighting import Lighting
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.noise import tileable_noise
from navsim_agents.world.camera.packed import FOURTH, PACKED, ByteArray, halved, pack, unpack
from navsim_agents.world.camera.shadows import Shadows
from navsim_agents.world.camera.view import View
from navsim_agents.world.types import Z

REDUCTION = round(1 / SHADOW_SAMPLES)
SLAB_ROWS = 32  # worked on at once, to stay in the processor's cache
NEUTRAL_BITS = 7
NEUTRAL = np.float32(1 << NEUTRAL_BITS)  # brightness factor of ground as it is
TILE = 512  # samples a side; a power of two, so that a bit mask wraps
GRAIN_M, BLOTCH_M, WEAR_M = 0.025, 0.16, 0.45  # size of a sample
GRAIN_GAIN, BLOTCH_GAIN, WEAR_GAIN = 26.0, 22.0, 48.0  # of 128
LIGHT = 0  # channel of a shadow sheet that holds the share of sunlight
FloatImage = npt.NDArray[np.float32]
ShareArray = npt.NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Grain:
    """Random tiles [TILE, TILE] in [-1, 1]: fine aggregate, broad patches and, of textured towns, wear."""

    fine: FloatImage
    broad: FloatImage
    wear: Optional[FloatImage] = None


def make_grain(is_textured: bool = False) -> Grain:
    """The ground's grain, the same in every town."""
    fine, broad = tileable_noise(TILE, (512, 256, 64), seed=11), tileable_noise(TILE, (16, 48, 128), seed=12)
    return Grain(fine, broad, tileable_noise(TILE, (512, 256, 128), seed=13) if is_textured else None)


@dataclass(frozen=True, eq=False)
class GroundRays:
    """Where the pixels of rows [first_row, height) meet the ground, at 1 / REDUCTION of the resolution."""

    first_row: int
    depth: Float32[np.ndarray, "h w"]  # m along the optical axis; infinite above the horizon
    x: Float32[np.ndarray, "h w"]  # m from the camera, global axes; 0 above the horizon
    y: Float32[np.ndarray, "h w"]


def cast_ground_rays(view: View, first_row: int) -> GroundRays:
    """Intersect the picture's rows from ``first_row`` down with the ground."""
    camera = view.camera
    height, width = -(-(camera.height - first_row) // REDUCTION), -(-camera.width // REDUCTION)
    u = ((np.arange(width) + 0.5) * REDUCTION - 0.5).astype(np.float32)
    v = ((np.arange(height) + 0.5) * REDUCTION - 0.5 + first_row).astype(np.float32)
    per_u, per_v, constant = (view.rotation @ np.linalg.inv(camera.intrinsics)).T.astype(np.float32)
    fall = per_u[Z] * u[None, :] + (per_v[Z] * v + constant[Z])[:, None]
    is_ground = fall < -1e-6
    depth = np.where(is_ground, -np.float32(view.position[Z]) / np.where(is_ground, fall, -1.0), np.float32(np.inf))
    reach = np.where(is_ground, depth, 0.0)
    x, y = (reach * (per_u[a] * u[None, :] + (per_v[a] * v + constant[a])[:, None]) for a in (X, Y))
    return GroundRays(first_row, depth, x, y)


def grain_image(rays: GroundRays, view: View, grain: Grain) -> FloatImage:
    """Brightness offsets [h, w] in 1 / 128 of the ground's own; fades where a pixel spans more than a sample."""
    total = np.zeros_like(rays.x)
    pixel_m = rays.depth**2 * np.float32(REDUCTION / (view.focal_px * max(view.position[Z], 0.1)))
    layers = [(grain.fine, GRAIN_M, GRAIN_GAIN), (grain.broad, BLOTCH_M, BLOTCH_GAIN)]
    layers += [(grain.wear, WEAR_M, WEAR_GAIN)] if grain.wear is not None else []
    for tile, size_m, gain in layers:
        visibility = np.minimum(np.float32(1.0), np.float32(1.5 * size_m) / np.maximum(pixel_m, 1e-6))
        total += np.float32(gain) * visibility * _sample_wrapped(tile, rays, view, size_m)
    return total


def _sample_wrapped(tile: FloatImage, rays: GroundRays, view: View, size_m: float) -> FloatImage:
    origin = np.mod(view.position[XY] / size_m, TILE)
    scale = np.float32(1.0 / size_m)
    column = (rays.x * scale + np.float32(origin[X] + 64 * TILE)).astype(np.int32) & (TILE - 1)
    row = (rays.y * scale + np.float32(origin[Y] + 64 * TILE)).astype(np.int32) & (TILE - 1)
    return np.asarray(tile.ravel()[row * TILE + column])


def shadow_image(canvas: Canvas, shadows: Shadows, view: View, first_row: int) -> ByteArray:
    """Light left on the ground in rows from ``first_row`` [h, w], at ``canvas``'s resolution, softened."""
    canvas.start((255, 0, 0, 0), first_row)
    inks = np.zeros((len(shadows.light), 4), dtype=np.uint8)
    inks[:, LIGHT] = np.rint(255.0 * shadows.light)
    canvas.paint(view, shadows.polygons, inks)
    light = Image.fromarray(np.ascontiguousarray(canvas.samples_of_rows()[..., LIGHT]))
    return np.asarray(light.filter(ImageFilter.BoxBlur(2)))


def finish_ground(
    samples: UInt8[np.ndarray, "rows columns 4"],
    rays: GroundRays,
    grain: FloatImage,
    light: ByteArray,
    lighting: Lighting,
) -> UInt32[np.ndarray, "H W"]:
    """Ground from its painted ``samples``, whose last channel is coarseness.

    ``grain`` and ``light`` [H / REDUCTION, W / REDUCTION] brighten and darken it; haze covers the far rows.
    """
    coarse = samples[:: SUPERSAMPLING * REDUCTION, :: SUPERSAMPLING * REDUCTION, FOURTH]
    relief = NEUTRAL + grain * (coarse * np.float32(1.0 / 255.0))
    factors = np.clip(relief * (light * np.float32(1.0 / 255.0)), 0.0, 255.0).astype(np.uint16)
    far_rows = int(np.count_nonzero(lighting.haze(rays.depth.min(axis=1)) > 1.0 / 255.0))
    haze = np.rint(256.0 * lighting.haze(rays.depth[:far_rows])).astype(np.uint16)
    finished = np.empty((len(samples) // SUPERSAMPLING, samples.shape[1] // SUPERSAMPLING), dtype=PACKED)
    for first in range(0, len(finished), SLAB_ROWS):
        slab = halved(pack(samples[SUPERSAMPLING * first : SUPERSAMPLING * (first + SLAB_ROWS)]))
        factor, share = (_enlarged(image, first, slab.shape) for image in (factors, haze))
        _light_slab(unpack(slab), factor, share, lighting.horizon)
        finished[first : first + SLAB_ROWS] = slab
    return finished


def _light_slab(colours: UInt8[np.ndarray, "h w 4"], factor: ShareArray, haze: ShareArray, horizon: FloatArray) -> None:
    """Brighten ``colours`` by ``factor`` [h, w]; cover the first rows with ``haze`` [<= h, w]; in place."""
    for channel in range(3):  # one by one: NumPy is slow over an axis of four
        lit = colours[..., channel] * factor
        lit >>= NEUTRAL_BITS
        np.minimum(lit, 255, out=lit)
        if len(haze):
            far = lit[: len(haze)]
            far *= 256 - haze
            far += np.uint16(horizon[channel]) * haze
            far >>= 8
        colours[..., channel] = lit


def _enlarged(image: ShareArray, first: int, shape: tuple[int, ...]) -> ShareArray:
    """The part [h, w] of a reduced ``image`` for pixels of ``shape`` from row ``first``, as far as it goes."""
    part = image[first // REDUCTION : -(-(first + shape[0]) // REDUCTION)]
    return part.repeat(REDUCTION, axis=0).repeat(REDUCTION, axis=1)[: shape[0], : shape[1]]
