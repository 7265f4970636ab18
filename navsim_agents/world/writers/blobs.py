"""Sensor files of a drive: JPEG images and, if wanted, point clouds."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64, UInt8
from PIL import Image

from navsim_agents.common.files import is_there, write_bytes
from navsim_agents.data.scene import BOX_POSE, BOX_SIZE, BOX_Z
from navsim_agents.poses import FloatArray, points_to_global
from navsim_agents.world.camera.model import CameraModel
from navsim_agents.world.types import Drive
from navsim_agents.world.writers.logs import ImagePath, frame_steps, image_path, lidar_path, log_frames

RenderImage = Callable[[Drive, int, CameraModel], npt.NDArray[np.uint8]]

IS_FORCED = False
"""There are thousands of files; one that a power cut emptied does not count as there, and is written again."""

POINT_SPACING_M = 0.4
GROUND_RINGS_M = np.geomspace(4.0, 60.0, 24)
POINTS_PER_RING = 180
PCD_FIELDS = (("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "u1"), ("ring", "u1"), ("lidar_info", "u1"))


def encode_jpeg(image: UInt8[np.ndarray, "H W 3"], quality: int) -> bytes:
    """JPEG of an RGB image [H, W, 3]."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=quality)
    return stream.getvalue()


def write_images(
    drive: Drive,
    cameras: Mapping[str, CameraModel],
    folder: Path,
    render: RenderImage,
    steps: range,
    quality: int = 90,
    path_of: ImagePath = image_path,
) -> int:
    """Render every camera at every step whose file is not there yet; returns how many were written."""
    written = 0
    for step in steps:
        for name, camera in cameras.items():
            path = folder / path_of(drive.log_name, step, name)
            if not is_there(path):
                write_bytes(path, encode_jpeg(render(drive, step, camera), quality), is_forced=IS_FORCED)
                written += 1
    return written


def _box_points(box: Float64[np.ndarray, "7"]) -> Float64[np.ndarray, "N 3"]:
    """Points on the walls of a box (x, y, z, length, width, height, heading), in the frame of its pose."""
    length, width, height = box[BOX_SIZE]
    along = np.arange(-0.5, 0.5 + 1e-9, min(0.5, POINT_SPACING_M / max(length, width)))
    levels = np.arange(-0.5, 0.5 + 1e-9, min(0.5, POINT_SPACING_M / height)) * height
    half = np.full_like(along, 0.5)
    walls = np.concatenate(
        [np.stack(wall, axis=1) for wall in ((along, half), (along, -half), (half, along), (-half, along))]
    )
    corners = points_to_global(walls * (length, width), box[BOX_POSE])
    return np.concatenate([np.column_stack((corners, np.full(len(corners), box[BOX_Z] + level))) for level in levels])


def _ground_points() -> Float64[np.ndarray, "N 3"]:
    """Rings on the road around the vehicle."""
    angles = np.linspace(-np.pi, np.pi, POINTS_PER_RING, endpoint=False)
    radius, angle = np.meshgrid(GROUND_RINGS_M, angles, indexing="ij")
    return np.stack((radius * np.cos(angle), radius * np.sin(angle), np.zeros_like(radius)), axis=-1).reshape(-1, 3)


def point_cloud(boxes: Float64[np.ndarray, "K 7"]) -> Float64[np.ndarray, "N 3"]:
    """Lidar points of ``boxes`` and road, all in the lidar frame. Nothing is occluded."""
    return np.concatenate([_ground_points(), *(_box_points(box) for box in boxes)])


def encode_pcd(points: FloatArray) -> bytes:
    """nuPlan's merged point cloud: PCD 0.7, binary, with intensity, ring and lidar number of each point."""
    table = np.zeros(len(points), dtype=[*PCD_FIELDS])
    for axis, name in enumerate("xyz"):
        table[name] = points[:, axis]
    names, kinds = zip(*PCD_FIELDS)
    header = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        f"FIELDS {' '.join(names)}",
        f"SIZE {' '.join(kind[1] for kind in kinds)}",
        f"TYPE {' '.join(kind[0].upper() for kind in kinds)}",
        f"COUNT {' '.join('1' for _ in kinds)}",
        f"WIDTH {len(points)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(points)}",
        "DATA binary",
    ]
    return "\n".join(header).encode() + b"\n" + table.tobytes()


def write_point_clouds(drive: Drive, folder: Path, steps: range) -> int:
    """Write the point cloud of every step that has none yet; returns how many were written."""
    missing = [step for step in steps if not is_there(folder / lidar_path(drive.log_name, step))]
    if not missing:
        return 0
    frames = dict(zip(frame_steps(drive), log_frames(drive, {})))
    for step in missing:
        content = encode_pcd(point_cloud(frames[step]["anns"]["gt_boxes"]))
        write_bytes(folder / lidar_path(drive.log_name, step), content, is_forced=IS_FORCED)
    return len(missing)
