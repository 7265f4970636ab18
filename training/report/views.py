"""What a picture needs of one scene: image, calibration, boxes, road and the plans to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
from jaxtyping import Float64, UInt8

from navsim_agents.closed_loop.recovery_world import load_any_world
from navsim_agents.common.conventions import FRONT_CAMERA, NUM_HISTORY_FRAMES
from navsim_agents.errors import NavsimDriveJepaError
from navsim_agents.poses import FloatArray, points_to_local
from navsim_agents.scoring.axes import POSITION, State
from navsim_agents.sources import LoggedScenes
from navsim_agents.world.camera.model import CameraModel
from navsim_agents.world.load import World
from navsim_agents.world.types import Town
from training.report.teachers import SceneTeachers

NOW = NUM_HISTORY_FRAMES - 1  # index of the current frame in NAVSIM's four history frames
VIEW_RADIUS_M = 90.0
PIECES_PER_POSE = 5  # of a plan's curve as it is drawn
NEAREST_DEPTH_M = 1.5


@dataclass(frozen=True)
class Road:
    """The map around the ego, polygons and lines [., 2] in its frame."""

    surfaces: list[FloatArray]
    intersections: list[FloatArray]
    crosswalks: list[FloatArray]
    walkways: list[FloatArray]
    carparks: list[FloatArray]
    buildings: list[FloatArray]
    stop_lines: list[FloatArray]
    centerlines: list[FloatArray]
    red_connectors: list[FloatArray]


@dataclass(frozen=True)
class SceneView:
    """One scene now; everything in the ego frame (rear axle, x ahead, y left)."""

    camera: CameraModel
    image: UInt8[np.ndarray, "H W 3"]
    boxes: Float64[np.ndarray, "K 7"]  # centre x, y, z, length, width, height, heading
    box_names: list[str]
    road: Optional[Road]  # None where the data is not of the built-in world
    plans: dict[str, FloatArray]  # agent -> [T, 3], in drawing order
    teachers: Float64[np.ndarray, "M _ 3"] = field(default_factory=lambda: np.zeros((0, 8, 3)))
    proposals: Optional[Float64[np.ndarray, "N T 3"]] = None  # what the shown agent chose from
    foreseen: Optional[Float64[np.ndarray, " N"]] = None  # its own scores of them


def open_world(root: Path) -> Optional[World]:
    """The built-in world at ``root``, or None if the data is not of a built-in world."""
    try:
        return load_any_world(root)
    except NavsimDriveJepaError:
        return None


def view_scene(
    source: LoggedScenes,
    world: Optional[World],
    teachers: Optional[SceneTeachers],
    log_name: str,
    token: str,
    plans: Mapping[str, FloatArray],
) -> SceneView:
    """Read one scene for its pictures."""
    scene: Any = source.open(log_name).get_scene(token)
    camera = getattr(scene.get_agent_input().cameras[NOW], FRONT_CAMERA)
    frame = scene.frames[NOW]
    town = world.town(scene.scene_metadata.map_name) if world else None
    red = {str(connector) for connector, is_red in frame.traffic_lights if is_red}
    model = CameraModel(
        FRONT_CAMERA,
        camera.intrinsics,
        camera.sensor2lidar_rotation,
        camera.sensor2lidar_translation,
        width=camera.image.shape[1],
        height=camera.image.shape[0],
    )
    boxes = frame.annotations.boxes if frame.annotations else np.zeros((0, 7))
    names = frame.annotations.names if frame.annotations else []
    road = view_road(town, scene.current_pose, red) if town else None
    view = SceneView(model, camera.image, boxes, names, road, dict(plans))
    return replace(view, teachers=teachers.of(token)) if teachers else view


def view_road(town: Town, pose: Float64[np.ndarray, "3"], red_connectors: set[str]) -> Road:
    """What of ``town`` lies within ``VIEW_RADIUS_M`` of the global ``pose``."""

    def near(shapes: list[FloatArray]) -> list[FloatArray]:
        local = [points_to_local(shape[:, POSITION], pose) for shape in shapes]
        return [shape for shape in local if np.linalg.norm(shape, axis=1).min() < VIEW_RADIUS_M]

    lanes = town.lanes.values()
    return Road(
        surfaces=near([block.polygon for block in town.roadblocks.values()]),
        intersections=near([area.polygon for area in town.intersections.values()]),
        crosswalks=near([area.polygon for area in town.crosswalks.values()]),
        walkways=near([area.polygon for area in town.walkways.values()]),
        carparks=near([area.polygon for area in town.carparks.values()]),
        buildings=near([area.polygon for area in town.buildings.values()]),
        stop_lines=near([line.polygon for line in town.stop_lines.values()]),
        centerlines=near([lane.centerline for lane in lanes if not lane.is_connector]),
        red_connectors=near([lane.centerline for lane in lanes if lane.lane_id in red_connectors]),
    )


def upwards(points: Float64[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch 2"]:
    """Ego-frame points (x ahead, y left) as paper points (right, up)."""
    return np.stack((-points[..., State.Y], points[..., State.X]), axis=-1)


def project_ground(view: SceneView, points: Float64[np.ndarray, "*batch 2"]) -> Float64[np.ndarray, "*batch 2"]:
    """Pixels of ground points; NaN behind or right under the camera."""
    ground = np.concatenate((points, np.zeros((*points.shape[:-1], 1))), axis=-1)
    pixels, depth = view.camera.project(ground)
    return np.where((depth > NEAREST_DEPTH_M)[..., None], pixels, np.nan)


def smooth_path(poses: Float64[np.ndarray, "T 3"]) -> Float64[np.ndarray, "_ 2"]:
    """Positions along planned ``poses``, from the ego on, by cubic Hermite pieces that keep headings."""
    poses = np.concatenate((np.zeros((1, 3)), poses))
    positions = poses[:, POSITION]
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1, keepdims=True)
    ahead = np.stack((np.cos(poses[:, State.HEADING]), np.sin(poses[:, State.HEADING])), axis=-1)
    share = np.linspace(0.0, 1.0, PIECES_PER_POSE, endpoint=False)[:, None]
    pieces = [
        _hermite(share, positions[i], positions[i + 1], ahead[i] * steps[i], ahead[i + 1] * steps[i])
        for i in range(len(steps))
    ]
    return np.concatenate([*pieces, positions[-1:]])


def _hermite(
    share: FloatArray, start: FloatArray, end: FloatArray, leave: FloatArray, arrive: FloatArray
) -> FloatArray:
    square, cube = share**2, share**3
    curve: FloatArray = (
        (2 * cube - 3 * square + 1) * start
        + (cube - 2 * square + share) * leave
        + (3 * square - 2 * cube) * end
        + (cube - square) * arrive
    )
    return curve


def ribbon(path: Float64[np.ndarray, "_ 2"], width_m: float) -> tuple[FloatArray, FloatArray]:
    """Left and right edge [., 2] of a band of ``width_m`` along ``path``."""
    ahead = np.gradient(path, axis=0)
    ahead = ahead / np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    left = np.stack((-ahead[:, State.Y], ahead[:, State.X]), axis=-1) * (width_m / 2.0)
    return path + left, path - left
