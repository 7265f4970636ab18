"""Sky and ground of a picture, before anything stands on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from jaxtyping import UInt32

from navsim_agents.world.camera.canvas import Sheets
from navsim_agents.world.camera.ground import GroundMap, build_ground, paint_ground
from navsim_agents.world.camera.horizon import Horizon, find_horizon
from navsim_agents.world.camera.lighting import Lighting
from navsim_agents.world.camera.packed import PACKED
from navsim_agents.world.camera.relief import (
    Grain,
    cast_ground_rays,
    finish_ground,
    grain_image,
    make_grain,
    shadow_image,
)
from navsim_agents.world.camera.shadows import Shadows
from navsim_agents.world.camera.sky import cloud_field, paint_sky
from navsim_agents.world.camera.view import View
from navsim_agents.world.types import Town


class Backdrop:
    """A town's ground and its sky, ready to be seen from anywhere."""

    def __init__(self, town: Town, is_textured: bool = False) -> None:
        self._ground: GroundMap = build_ground(town, is_textured)
        self._grain: Grain = make_grain(is_textured)
        self._clouds: npt.NDArray[np.float32] = cloud_field()

    def paint(self, sheets: Sheets, view: View, lighting: Lighting, shadows: Shadows) -> UInt32[np.ndarray, "H W"]:
        """Picture; the fourth channel means nothing."""
        camera, horizon = view.camera, find_horizon(view)
        sheet = np.empty((camera.height, camera.width), dtype=PACKED)
        sheet[: horizon.num_sky_rows] = paint_sky(view, lighting, self._clouds, horizon.num_sky_rows)
        if horizon.first_ground_row < camera.height:
            ground = self._paint_ground(sheets, view, lighting, shadows, horizon.first_ground_row)
            _lay(sheet, ground, horizon)
        return sheet

    def _paint_ground(
        self, sheets: Sheets, view: View, lighting: Lighting, shadows: Shadows, first_row: int
    ) -> UInt32[np.ndarray, "rows W"]:
        """Ground [H - first_row, W]."""
        paint_ground(sheets.colour, self._ground, view, lighting, first_row)
        rays = cast_ground_rays(view, first_row)
        light = shadow_image(sheets.shadow, shadows, view, first_row)
        samples, grain = sheets.colour.samples_of_rows(), grain_image(rays, view, self._grain)
        return finish_ground(samples, rays, grain, light, lighting)


def _lay(sheet: UInt32[np.ndarray, "H W"], ground: UInt32[np.ndarray, "rows W"], horizon: Horizon) -> None:
    """Put ``ground`` below the horizon of ``sheet``."""
    shared = horizon.num_sky_rows - horizon.first_ground_row
    mixed = sheet[horizon.first_ground_row : horizon.num_sky_rows]
    mixed[horizon.is_ground] = ground[:shared][horizon.is_ground]
    sheet[horizon.num_sky_rows :] = ground[shared:]
