"""The picture of one camera at one step of a drive."""

from __future__ import annotations

from typing import Optional

import numpy as np
from jaxtyping import UInt8

from navsim_agents.errors import InputError
from navsim_agents.world.camera.backdrop import Backdrop
from navsim_agents.world.camera.canvas import Sheets, make_sheets
from navsim_agents.world.camera.lighting import Lighting, lighting_of
from navsim_agents.world.camera.model import CameraModel
from navsim_agents.world.camera.scenery import Scenery
from navsim_agents.world.camera.shadows import cast_shadows
from navsim_agents.world.camera.upright import paint_upright
from navsim_agents.world.camera.view import view_from
from navsim_agents.world.types import Drive, Town


class Renderer:
    """Renders drives through one town; what stands still is prepared once. Not to be shared between threads."""

    def __init__(self, town: Town, is_textured: bool = False) -> None:
        """Prepare ``town``; ``is_textured`` adds what :mod:`navsim_agents.world.camera.textures` lists."""
        self._location = town.location
        self._backdrop = Backdrop(town, is_textured)
        self._scenery = Scenery(town, is_textured)
        self._sheets = make_sheets(1, 1)

    def render(
        self, drive: Drive, step: int, camera: CameraModel, lighting: Optional[Lighting] = None
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Picture, RGB, of ``camera`` at ``step`` (0.1 s) of ``drive``; same input, same bytes.

        ``lighting`` replaces the light that follows from the drive's name. Raises ``InputError`` for a drive through
        another town or a step outside the drive.
        """
        self._check(drive, step)
        light = lighting if lighting is not None else lighting_of(drive.log_name)
        view = view_from(camera, drive.ego.poses[step])
        things = self._scenery.things(drive, step)
        shadows = cast_shadows(self._scenery.casters(things, view, light), light)
        sheets = self._sheets_for(camera)
        picture = self._backdrop.paint(sheets, view, light, shadows)
        solids = self._scenery.in_sight(things, view)
        return paint_upright(sheets.colour, picture, view, light, solids, self._scenery.rim_heights)

    def _sheets_for(self, camera: CameraModel) -> Sheets:
        if (camera.width, camera.height) != (self._sheets.colour.width, self._sheets.colour.height):
            self._sheets = make_sheets(camera.width, camera.height)
        return self._sheets

    def _check(self, drive: Drive, step: int) -> None:
        if drive.location != self._location:
            raise InputError(
                f"the drive {drive.log_name} is through {drive.location}, but this renderer holds {self._location}; "
                "build a Renderer of the drive's own town"
            )
        if not 0 <= step < len(drive.ego.poses):
            raise InputError(f"step is {step}, but {drive.log_name} has the steps 0 to {len(drive.ego.poses) - 1}")


def textured_renderer(town: Town) -> Renderer:
    """A renderer of ``town`` with textures."""
    return Renderer(town, is_textured=True)
