"""A supersampled sheet that polygons are painted on, with a fourth channel besides the colour.

Pillow's four-channel mode without colour management or premultiplication is called CMYK; here the channels are red,
green, blue and whatever the layer counts (coverage of objects, coarseness of ground).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Int64, UInt8
from PIL import Image, ImageDraw

from navsim_agents.world.camera.model import DEPTH, FloatArray
from navsim_agents.world.camera.polygons import Polygons, clip_near
from navsim_agents.world.camera.view import View

SUPERSAMPLING = 2
SHADOW_SAMPLES = 0.5
NEAR_M = 0.15


class Canvas:
    """A sheet for pictures of one size, painted with ``samples`` samples a pixel's side (also below 1), used again."""

    def __init__(self, width: int, height: int, samples: float = SUPERSAMPLING) -> None:
        self.width, self.height, self.samples = width, height, samples
        across, down = math.ceil(width * samples), math.ceil(height * samples)
        self._sheet = np.zeros((down, across, 4), dtype=np.uint8)
        self._image = Image.frombuffer("CMYK", (across, down), self._sheet, "raw", "CMYK", 0, 1)
        self._image.readonly = 0  # otherwise Pillow would paint on a copy of the array's memory
        self._draw = ImageDraw.Draw(self._image)
        self._first_row = 0

    def start(self, colour: tuple[int, int, int, int], first_row: int = 0) -> None:
        """Begin a picture of the rows [first_row, height), all in ``colour``."""
        self._first_row = first_row
        self._image.paste(colour, self._used())

    def _used(self) -> tuple[int, int, int, int]:
        """The part of the sheet that the rows of this picture need."""
        return (0, 0, self._image.width, math.ceil((self.height - self._first_row) * self.samples))

    def paint(self, view: View, polygons: Polygons, colours: UInt8[np.ndarray, "F 4"]) -> None:
        """Paint global ``polygons`` in order with ``colours``; what lies behind the camera is cut off."""
        if not len(polygons):
            return
        in_camera = view.to_camera(polygons.vertices)
        nearest = np.minimum.reduceat(in_camera[:, DEPTH], polygons.starts[:-1])
        farthest = np.maximum.reduceat(in_camera[:, DEPTH], polygons.starts[:-1])
        safe = in_camera[:, DEPTH, None] > NEAR_M
        sheet = self._sheet_coordinates(view.to_pixels(np.where(safe, in_camera, np.array([0.0, 0.0, 1.0]))))
        is_cut = (nearest <= NEAR_M) & (farthest > NEAR_M)
        is_shown = (nearest > NEAR_M) & self._touches(sheet, polygons)
        flat, starts, inks = sheet.ravel().tolist(), (2 * polygons.starts).tolist(), colours.tolist()
        for index in np.flatnonzero(is_cut | is_shown).tolist():
            if is_cut[index]:
                ring = clip_near(in_camera[polygons.starts[index] : polygons.starts[index + 1]], NEAR_M)
                points = self._sheet_coordinates(view.to_pixels(ring)).ravel().tolist()
            else:
                points = flat[starts[index] : starts[index + 1]]
            self._draw.polygon(points, fill=tuple(inks[index]))

    def _touches(self, sheet: npt.NDArray[np.int64], polygons: Polygons) -> Bool[np.ndarray, " F"]:
        """Whether each polygon's bounding box meets the sheet."""
        low = np.minimum.reduceat(sheet, polygons.starts[:-1], axis=0)
        high = np.maximum.reduceat(sheet, polygons.starts[:-1], axis=0)
        return np.asarray((high >= 0).all(axis=1) & (low < np.array(self._used()[2:])).all(axis=1))

    def _sheet_coordinates(self, pixels: FloatArray) -> Int64[np.ndarray, "_ 2"]:
        """Nearest sample of each pixel coordinate [., 2]; both count centres."""
        sheet = (pixels - np.array([0.0, self._first_row])) * self.samples + 0.5 * (self.samples - 1.0)
        return np.rint(np.clip(sheet, -1e6, 1e6)).astype(np.int64)

    def samples_of_rows(self) -> UInt8[np.ndarray, "rows columns 4"]:
        """The sheet itself, as far as this picture's rows need it [rows * samples, width * samples, 4]."""
        return self._sheet[: self._used()[3]]


@dataclass(frozen=True, eq=False)
class Sheets:
    """The canvases that one picture after the other is painted on; large, so kept from picture to picture."""

    colour: Canvas
    shadow: Canvas


def make_sheets(width: int, height: int) -> Sheets:
    """Sheets for pictures of ``width`` x ``height`` pixels."""
    return Sheets(Canvas(width, height), Canvas(width, height, SHADOW_SAMPLES))
