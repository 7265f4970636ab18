"""Pictures from the wire, as NAVSIM's agents want them: 1920 x 1080, RGB, with the calibration that belongs to them."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from navsim_agents.alpasim.faults import INVALID_ARGUMENT, DriverFault
from navsim_agents.common.conventions import CAMERA_HEIGHT_PX, CAMERA_WIDTH_PX
from navsim_agents.data.resize import resize_bilinear
from navsim_agents.data.types import Camera

Picture = UInt8[np.ndarray, "H W 3"]
LARGEST_PX = 4 * CAMERA_WIDTH_PX
"""Wider pictures are refused before they are decoded: a small file may hold a picture that fills the memory."""


@dataclass(frozen=True)
class DeclaredCamera:
    """A pinhole camera as a client declares it when a session starts.

    Attributes:
        width, height: of its pictures [px].
        intrinsics: of those pictures.
        rotation, translation: of the optical frame (x right, y down, z ahead) in the rig frame.
        distortion: OpenCV's k1, k2, p1, p2, k3.
    """

    width: int
    height: int
    intrinsics: Float64[np.ndarray, "3 3"]
    rotation: Float64[np.ndarray, "3 3"]
    translation: Float64[np.ndarray, "3"]
    distortion: Float64[np.ndarray, "5"]

    def with_picture(self, picture: Picture) -> Camera:
        """What an agent is given; the calibration is that of 1920 x 1080, as the picture is."""
        scale = np.array([CAMERA_WIDTH_PX / self.width, CAMERA_HEIGHT_PX / self.height, 1.0])
        return Camera(
            image=picture,
            sensor2lidar_rotation=self.rotation,
            sensor2lidar_translation=self.translation,
            intrinsics=scale[:, None] * self.intrinsics,
            distortion=self.distortion,
        )


def refuse_size(name: str, width: int, height: int) -> None:
    """Raises DriverFault where pictures of this size cannot become 1920 x 1080 by scaling alone."""
    if width <= 0 or width * CAMERA_HEIGHT_PX != height * CAMERA_WIDTH_PX or width > LARGEST_PX:
        raise DriverFault(
            INVALID_ARGUMENT,
            f"camera {name} has pictures of {width} x {height}, but the agent was trained on {CAMERA_WIDTH_PX} x "
            f"{CAMERA_HEIGHT_PX}; send these, or smaller or larger ones of the same form up to {LARGEST_PX} px wide",
        )


def decode(name: str, data: bytes) -> Picture:
    """The picture of a JPEG or PNG, resized to 1920 x 1080 where it has another size.

    Raises:
        DriverFault: it is damaged, or of another form.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
            refuse_size(name, *opened.size)
            picture = np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DriverFault):
            raise
        raise DriverFault(
            INVALID_ARGUMENT, f"a picture of {name} is no complete JPEG or PNG ({error}); send it again"
        ) from error
    if picture.shape[:2] == (CAMERA_HEIGHT_PX, CAMERA_WIDTH_PX):
        return picture
    return resize_bilinear(picture, CAMERA_WIDTH_PX, CAMERA_HEIGHT_PX)
