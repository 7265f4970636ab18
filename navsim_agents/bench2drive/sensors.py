"""The sensors that the agent asks the leaderboard for, and what it makes of their data."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from navsim_agents.bench2drive.frames import MOUNTS, REAR_AXLE_M
from navsim_agents.bench2drive.localisation import Reading
from navsim_agents.bench2drive.team_config import AFTER, BEFORE, TeamConfig
from navsim_agents.bench2drive.ticks import TICKS_PER_S
from navsim_agents.data.resize import resize_bilinear
from navsim_agents.errors import InputError

IMU, GNSS, SPEED = "IMU", "GPS", "SPEED"
NUM_IMU = 7
Picture = npt.NDArray[np.uint8]


def sensor_list(cameras: Iterable[str], width: int, height: int) -> list[dict[str, Any]]:
    """What ``sensors()`` answers: ``cameras`` at Bench2Drive's calibration, IMU, GNSS and speedometer."""
    level = {"roll": 0.0, "pitch": 0.0, "yaw": 0.0}
    found: list[dict[str, Any]] = []
    for name in cameras:
        mount = MOUNTS[name]
        place = {"x": mount.x_m, "y": mount.y_m, "z": mount.z_m, **level, "yaw": mount.yaw_deg}
        size = {"width": width, "height": height, "fov": mount.fov_deg}
        found.append({"type": "sensor.camera.rgb", **place, **size, "id": name})
    behind = {"x": -REAR_AXLE_M, "y": 0.0, "z": 0.0, **level}
    return [
        *found,
        {"type": "sensor.other.imu", **behind, "sensor_tick": 1.0 / TICKS_PER_S, "id": IMU},
        {"type": "sensor.other.gnss", **behind, "sensor_tick": 1.0 / TICKS_PER_S, "id": GNSS},
        {"type": "sensor.speedometer", "reading_frequency": TICKS_PER_S, "id": SPEED},
    ]


def reading_of(input_data: Mapping[str, Any]) -> Reading:
    """What the car's motion is read from.

    Raises:
        InputError: a sensor is missing or its data have another form.
    """
    imu, fix, speed = (_data(input_data, name) for name in (IMU, GNSS, SPEED))
    numbers = np.asarray(imu, dtype=np.float64)
    if numbers.shape != (NUM_IMU,) or len(fix) < 2:
        raise InputError(
            f"IMU and GPS have shapes {list(numbers.shape)} and [{len(fix)}], but must be [{NUM_IMU}] (acceleration, "
            "gyroscope, compass) and [3]; run the leaderboard of Bench2Drive 0.0.3 or 0.0.4"
        )
    value = speed["speed"]
    return Reading(float(fix[0]), float(fix[1]), numbers, None if value is None else float(value))


def _data(input_data: Mapping[str, Any], name: str) -> Any:
    if name not in input_data:
        raise InputError(f"the leaderboard sent no {name}, but {', '.join(input_data) or 'nothing'}; ask for sensors()")
    return input_data[name][1]


def picture_of(input_data: Mapping[str, Any], camera: str, config: TeamConfig) -> Picture:
    """A camera's picture [H, W, 3], RGB, as the planner knew pictures when it learnt.

    Raises:
        InputError: the camera is missing, or its picture is no BGRA of 8 bits.
    """
    data = np.asarray(_data(input_data, camera))
    if data.ndim != 3 or data.shape[2] < 3 or data.dtype != np.uint8:
        raise InputError(f"{camera} sent {data.dtype} {list(data.shape)}, but must send uint8 [height, width, 4], BGRA")
    picture = np.ascontiguousarray(data[..., 2::-1])
    if config.jpeg == BEFORE:
        picture = compressed(picture, config.jpeg_quality)
    if config.picture_width is not None and config.picture_height is not None:
        picture = resize_bilinear(picture, config.picture_width, config.picture_height)
    return compressed(picture, config.jpeg_quality) if config.jpeg == AFTER else picture


def compressed(picture: Picture, quality: int) -> Picture:
    """What JPEG leaves of a picture."""
    with io.BytesIO() as file:
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))
