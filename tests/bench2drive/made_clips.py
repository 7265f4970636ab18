"""Clips and maps in Bench2Drive's format, of our own making, with all that the real files say wrongly or not at all.

The drive: from CARLA's (100, 50) along yaw 30 degrees at 5 m/s, 0.1 s between frames. Beside it a car 20 m ahead at
4 m/s, a walker who crosses, a parked car whose own pose is wrong, a cone, a real sign and a light.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import Image

from navsim_agents.bench2drive.frames import CAMERAS, folder_of

TOWN = "Town03"
NAME = f"ParkingExit_{TOWN}_Route7_Weather3"
START, YAW_DEG, SPEED_MPS, NUM_FRAMES = np.array([100.0, 50.0]), 30.0, 5.0, 62
AHEAD = np.array([np.cos(np.deg2rad(YAW_DEG)), np.sin(np.deg2rad(YAW_DEG))])
RIGHT = np.array([-AHEAD[1], AHEAD[0]])  # of CARLA's left-handed frame
CAR_EXTENT, EGO_EXTENT = [2.3, 1.0, 0.75], [2.4508, 1.0642, 0.7554]
PICTURE = (36, 64)  # rows, columns
Changes = Callable[[int, dict[str, Any]], None]


def place(along: float, aside: float = 0.0) -> list[float]:
    """A point of CARLA's world, ``along`` the drive from its start and ``aside`` to the right."""
    return [*(START + along * AHEAD + aside * RIGHT).tolist(), 0.0]


def world2actor(where: list[float], yaw_deg: float) -> list[list[float]]:
    """As ``carla.Transform.get_inverse_matrix``."""
    cos, sin = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    matrix = np.array([[cos, -sin, 0, where[0]], [sin, cos, 0, where[1]], [0, 0, 1, where[2]], [0, 0, 0, 1]])
    found: list[list[float]] = np.linalg.inv(matrix).tolist()
    return found


def actor(kind: str, number: int, where: list[float], yaw_deg: float, extent: list[float]) -> dict[str, Any]:
    """A box that says everything rightly."""
    matrix = {
        "ego_vehicle": "world2ego",
        "vehicle": "world2vehicle",
        "walker": "world2ped",
        "traffic_sign": "world2sign",
    }
    return {
        "class": kind,
        "id": str(number),
        "location": where,
        "rotation": [0.0, 0.0, yaw_deg],
        "bbx_loc": [0.06, 0.0, 0.7],
        "center": where,
        "extent": extent,
        "speed": 3.0,
        matrix[kind]: world2actor(where, yaw_deg),
    }


def others(step: int) -> list[dict[str, Any]]:
    """Everybody but the ego."""
    car = {
        **actor("vehicle", 11, place(20.0 + 0.4 * step), YAW_DEG, CAR_EXTENT),
        "state": "dynamic",
        "base_type": "car",
    }
    walker = {**actor("walker", 12, place(40.0, 6.0 - 0.12 * step), YAW_DEG - 90.0, [0.3, 0.3, 0.9]), "speed": 0.0}
    parked = {
        **actor("vehicle", 13, place(15.0, 5.0), YAW_DEG + 90.0, CAR_EXTENT),
        "state": "static",
        "type_id": "/Game/Carla/Static/Car/4Wheeled/ParkedVehicles/Charger/SM_Charger_parked",
        "location": [0.0, 0.0, 0.0],
        "rotation": [0.0, 0.0, 77.0],
    }
    cone = {**actor("traffic_sign", 14, place(25.0, 3.0), 0.0, [0.2, 0.2, 0.3]), "type_id": "static.prop.trafficcone01"}
    sign = {**actor("traffic_sign", 15, place(30.0), 0.0, [0.1, 0.1, 2.0]), "type_id": "traffic.stop"}
    light = {
        "class": "traffic_light",
        "id": "16",
        "location": place(60.0, 4.0),
        "state": min(step // 20, 4),
        "affects_ego": step > 5,
        "trigger_volume_location": place(50.0),
    }
    return [car, walker, parked, cone, sign, light]


def annotation(step: int) -> dict[str, Any]:
    """One frame, as the data set's files have it."""
    where = place(0.1 * SPEED_MPS * step)
    ego = {**actor("ego_vehicle", 10, where, YAW_DEG, EGO_EXTENT), "type_id": "vehicle.lincoln.mkz_2020"}
    noise = np.random.default_rng(step).normal(0.0, 0.56, 2)
    gnss = START + (0.1 * SPEED_MPS * step - 1.4) * AHEAD + noise
    target = place(10.0 * (step // 20 + 4), 1.0)
    return {
        "x": float(gnss[0]),
        "y": float(gnss[1]),
        "theta": np.deg2rad(YAW_DEG + 90.0),
        "speed": SPEED_MPS,
        "command_near": 3 if step < 30 else -1,
        "command_far": 4,
        "x_command_near": target[0],
        "y_command_near": target[1],
        "x_command_far": target[0],
        "y_command_far": target[1],
        "acceleration": [0.5, 0.25, 9.8],
        "angular_velocity": [0.0, 0.0, 0.1],
        "bounding_boxes": [ego, *others(step)],
        "sensors": {},
    }


def write_clip(
    root: Path, name: str = NAME, frames: int = NUM_FRAMES, change: Optional[Changes] = None, cameras: Any = CAMERAS
) -> Path:
    """A clip; ``change`` may spoil each frame before it is written."""
    folder = root / name
    (folder / "anno").mkdir(parents=True)
    for step in range(frames):
        content = annotation(step)
        if change is not None:
            change(step, content)
        with gzip.open(folder / "anno" / f"{step:05}.json.gz", "wt", encoding="utf-8") as file:
            json.dump(content, file)
        for camera in cameras:
            path = folder / "camera" / folder_of(camera) / f"{step:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            shade = np.full((*PICTURE, 3), (step, 40 * CAMERAS.index(camera), 100), np.uint8)
            Image.fromarray(shade).save(path, quality=20)
    return folder


def map_line(aside: float, is_center: bool, copies: int = 1, is_back: bool = False) -> list[Any]:
    """Points 0.05 m apart along the drive, from 30 m behind its start to 120 m ahead."""
    stations = np.arange(-30.0, 120.0, 0.05)[:: -1 if is_back else 1]
    places = START + stations[:, None] * AHEAD + aside * RIGHT
    points = [((x, y, 0.0), (0.0, 0.0, YAW_DEG)) for x, y in places.tolist()]
    flagged = [(*point, False) for point in points] if is_center else points
    return [point for point in flagged for _ in range(copies)]


def road_map(copies: int = 1) -> dict[int, Any]:
    """A road of two lanes: lane -1 under the drive, 3.5 m wide; lane 1 to its left, 3 m wide, leads back."""

    def lane(aside: float, width: float, is_back: bool) -> list[dict[str, Any]]:
        center = {"Points": map_line(aside, True, copies, is_back), "Type": "Center", "Color": "White", "Topology": []}
        sides = [aside - width / 2, aside + width / 2]
        borders = [
            {"Points": map_line(side, False, copies, is_back), "Type": "Solid", "Topology": []} for side in sides
        ]
        return [center, *borders]

    volume = [{"Points": [], "Type": "StopSign", "ParentActor_Location": (0.0, 0.0, 0.0)}]
    return {5: {-1: lane(0.0, 3.5, False), 1: lane(-3.25, 3.0, True), "Trigger_Volumes": volume}}


def write_map(folder: Path, content: Any = None, town: str = TOWN) -> Path:
    """A map as the published ones are saved."""
    path = folder / f"{town}_HD_map.npz"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, arr=np.array(road_map() if content is None else content, dtype=object))
    return path
