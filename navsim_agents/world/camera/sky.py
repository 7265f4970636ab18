"""The sky: a gradient from haze to zenith, clouds, and the sun's glow, by the direction of each pixel's ray."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64
from PIL import Image

from navsim_agents.common.poses import XY, X, Y
from navsim_agents.world.camera.lighting import Lighting
from navsim_agents.world.camera.model import FloatArray
from navsim_agents.world.camera.noise import tileable_noise
from navsim_agents.world.camera.packed import PACKED, RGB, PackedArray, pack
from navsim_agents.world.camera.view import View
from navsim_agents.world.types import Z

COARSENESS_PX = 12  # the sky is smooth: one sample covers this many pixels a side
CLOUD_TILE = 256
CLOUD_SCALE = 26.0  # tile samples a cloud layer's height
CLOUD_WHITE = np.array([244.0, 245.0, 247.0])


def cloud_field() -> npt.NDArray[np.float32]:
    """The one cloud layer of every drive [CLOUD_TILE, CLOUD_TILE] in [-1, 1]; drives see different parts of it."""
    return tileable_noise(CLOUD_TILE, (6, 13, 28, 60), seed=7)


def paint_sky(view: View, lighting: Lighting, clouds: npt.NDArray[np.float32], num_rows: int) -> PackedArray:
    """The first ``num_rows`` rows of the picture as sky [num_rows, width]; the last channel is unused."""
    width = view.camera.width
    if num_rows <= 0:
        return np.zeros((0, width), dtype=PACKED)
    across, down = max(2, -(-width // COARSENESS_PX)), max(2, -(-num_rows // COARSENESS_PX))
    u = (np.arange(across) + 0.5) * width / across - 0.5
    v = (np.arange(down) + 0.5) * num_rows / down - 0.5
    colours = _colours(_directions(view, u, v), lighting, clouds)
    small = np.zeros((down, across, 4), dtype=np.uint8)
    small[..., RGB] = np.clip(np.rint(colours), 0, 255)
    image = Image.frombuffer("CMYK", (across, down), small, "raw", "CMYK", 0, 1)
    half = np.asarray(image.resize((-(-width // 2), -(-num_rows // 2)), Image.Resampling.BILINEAR))
    return pack(half).repeat(2, axis=0).repeat(2, axis=1)[:num_rows, :width]


def _directions(view: View, u: FloatArray, v: FloatArray) -> FloatArray:
    """Unit directions [len(v), len(u), 3], global."""
    uv1 = np.stack(np.broadcast_arrays(u[None, :], v[:, None], np.ones((1, 1))), axis=-1)
    rays = uv1 @ np.linalg.inv(view.camera.intrinsics).T @ view.rotation.T
    return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def _colours(
    directions: Float64[np.ndarray, "H W 3"], lighting: Lighting, clouds: npt.NDArray[np.float32]
) -> Float64[np.ndarray, "H W 3"]:
    """Sky colours towards ``directions``."""
    height = np.clip(directions[..., Z], 0.0, 1.0)
    clear = lighting.horizon + (lighting.zenith - lighting.horizon) * ((1.0 - (1.0 - height) ** 4.5)[..., None])
    towards_sun = np.clip(directions @ lighting.sun, 0.0, 1.0)
    glow = (0.35 * towards_sun**24 + 0.6 * towards_sun**400) * (1.0 - lighting.cloudiness) + 0.06 * towards_sun**4
    sky = clear + (255.0 - clear) * glow[..., None]
    cover = _cloud_cover(directions, height, lighting, clouds)[..., None]
    return sky * (1.0 - cover) + (CLOUD_WHITE * lighting.tint * 0.5 + 0.5 * sky) * cover


def _cloud_cover(
    directions: FloatArray, height: FloatArray, lighting: Lighting, clouds: npt.NDArray[np.float32]
) -> Float64[np.ndarray, "H W"]:
    """Opacity of a flat layer of clouds that thins out towards the horizon."""
    rise = np.maximum(height, 0.02)
    offset = np.array([lighting.sky_seed % 251, lighting.sky_seed % 239])
    place = directions[..., XY] / rise[..., None] * CLOUD_SCALE + offset
    density = _sample(clouds, place)
    threshold = 0.45 - 0.75 * lighting.cloudiness
    opacity = np.clip((density - threshold) * 1.8, 0.0, 1.0)
    return np.asarray(opacity * np.clip((height - 0.02) / 0.12, 0.0, 1.0) * 0.85)


def _sample(tile: npt.NDArray[np.float32], place: Float64[np.ndarray, "*batch 2"]) -> npt.NDArray[np.float32]:
    """Bilinear samples of a repeating ``tile`` at ``place`` (column, row)."""
    size = len(tile)
    corner = np.floor(place).astype(np.int64)
    share = (place - corner).astype(np.float32)
    x0, y0 = corner[..., X] % size, corner[..., Y] % size
    x1, y1 = (x0 + 1) % size, (y0 + 1) % size
    sx, sy = share[..., X], share[..., Y]
    top = tile[y0, x0] * (1 - sx) + tile[y0, x1] * sx
    bottom = tile[y1, x0] * (1 - sx) + tile[y1, x1] * sx
    return np.asarray(top * (1 - sy) + bottom * sy)
