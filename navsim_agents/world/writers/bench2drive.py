"""A drive as a clip of Bench2Drive: annotations at 10 Hz, pictures of its cameras, and the town's map.

``<output>/clips/World_Town91_Route0_Weather0/{anno,camera}``, ``<output>/maps/Town91_HD_map.npz``. CARLA's towns have
other numbers. Places are counted from the town's corner, so that they are as small as CARLA's.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.lib.format import write_array

from navsim_agents.bench2drive.annotations import LIGHT_STATES
from navsim_agents.bench2drive.clips import annotation_path, picture_path
from navsim_agents.bench2drive.frames import (
    MOUNTS,
    REAR_AXLE_M,
    calibration,
    origin_of_rear_axle,
    other_hand,
    world2actor_of_pose,
)
from navsim_agents.bench2drive.maps import MAP_ENTRY, map_path
from navsim_agents.common.conventions import (
    EGO_HEIGHT_M,
    EGO_LENGTH_M,
    EGO_REAR_AXLE_TO_CENTER_M,
    EGO_WIDTH_M,
    WORLD_STEP_S,
)
from navsim_agents.common.files import is_there, whole_file, write_bytes
from navsim_agents.common.planar import unit
from navsim_agents.common.poses import HEADING, XY, FloatArray, X, Y
from navsim_agents.world.camera.model import DEPTH, PIXEL, CameraModel
from navsim_agents.world.guidance import Guidance, guidance
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.town_styles import TOWN_LOCATIONS, TOWN_STYLES
from navsim_agents.world.types import HEIGHT, LENGTH, WIDTH, AgentType, Drive, Light, Town, Track
from navsim_agents.world.writers.blobs import IS_FORCED, RenderImage, encode_jpeg
from navsim_agents.world.writers.logs import seen_tracks

FIRST_TOWN = 91
GNSS_SIGMA_M = 0.5566  # of the leaderboard's sensor: 5e-6 degrees
GRAVITY_MPS2 = 9.81
FULL_THROTTLE_MPS2, FULL_STEER_RAD = 4.0, 1.22
LIGHT_RANGE_M = 80.0
_LIGHTS = {Light.RED: "red", Light.YELLOW: "yellow", Light.GREEN: "green"}
_OBSTACLES = {
    AgentType.TRAFFIC_CONE: "static.prop.trafficcone01",
    AgentType.BARRIER: "static.prop.streetbarrier",
    AgentType.CZONE_SIGN: "static.prop.warningconstruction",
    AgentType.GENERIC_OBJECT: "static.prop.dirtdebris01",
}


def town_name(location: str) -> str:
    """What a town is called in a clip's name and in its map's."""
    return f"Town{FIRST_TOWN + TOWN_LOCATIONS.index(location)}"


def clip_name(location: str, index: int) -> str:
    """Of log number ``index``."""
    return f"World_{town_name(location)}_Route{index}_Weather0"


def corner(location: str) -> Float64[np.ndarray, "2"]:
    """From where a town's places are counted [m]."""
    return np.array(TOWN_STYLES[location].origin)


def clip_camera(name: str, width: int, height: int) -> CameraModel:
    """Bench2Drive's camera of that name as the renderer takes it, whose pixels are counted from their middles."""
    found = calibration(name, width, height)
    intrinsics = found.intrinsics.copy()
    intrinsics[PIXEL, DEPTH] -= 0.5
    return CameraModel(name, intrinsics, found.rotation, found.translation, width, height)


class ClipWriter:
    """Writes one drive."""

    def __init__(self, drive: Drive, town_map: TownMap, folder: Path) -> None:
        self._drive, self._map, self._folder = drive, town_map, folder
        self._corner, self._sensors = corner(drive.location), _sensors()
        headings = np.unwrap(drive.ego.poses[:, HEADING])
        self._yaw_rates = np.gradient(headings, WORLD_STEP_S) if len(headings) > 1 else np.zeros(1)
        self._numbers = {track.track_token: 100 + number for number, track in enumerate(drive.tracks)}

    def write_annotations(self) -> None:
        """Those that are not there yet."""
        for step in range(len(self._drive.ego.poses)):
            path = annotation_path(self._folder, step)
            if not is_there(path):
                content = json.dumps(self.annotation(step)).encode()
                write_bytes(path, gzip.compress(content, mtime=0), is_forced=IS_FORCED)

    def write_pictures(self, render: RenderImage, cameras: Sequence[CameraModel], interval: int, quality: int) -> None:
        """Every ``interval``-th frame's, those that are not there yet."""
        for step in range(0, len(self._drive.ego.poses), interval):
            for camera in cameras:
                path = picture_path(self._folder, camera.name, step)
                if not is_there(path):
                    picture = render(self._drive, step, camera)
                    write_bytes(path, encode_jpeg(picture, quality), is_forced=IS_FORCED)

    def annotation(self, step: int) -> dict[str, Any]:
        """One frame as the data set's files have it."""
        ego = self._drive.ego
        rear_axle, told = ego.poses[step], self._guidance(step)
        gnss = self._place(rear_axle[XY]) + np.random.default_rng(step).normal(0.0, GNSS_SIGMA_M, 2)
        along, left = ego.accelerations[step]
        near, far = self._place(told.target), self._place(told.far_target)
        return {
            **{"x": float(gnss[X]), "y": float(gnss[Y])},
            "throttle": float(np.clip(along / FULL_THROTTLE_MPS2, 0.0, 1.0)),
            "steer": float(np.clip(-ego.steering[step] / FULL_STEER_RAD, -1.0, 1.0)),
            "brake": float(along < -1.0),
            "reverse": False,
            "theta": float(np.mod(np.pi / 2 - rear_axle[HEADING], 2.0 * np.pi)),
            "speed": float(ego.velocities[step, X]),
            **{"x_command_far": float(far[X]), "y_command_far": float(far[Y]), "command_far": told.far_command + 1},
            **{"x_command_near": float(near[X]), "y_command_near": float(near[Y]), "command_near": told.command + 1},
            **{"x_target": float(near[X]), "y_target": float(near[Y]), "next_command": told.far_command + 1},
            **{"should_brake": 0, "only_ap_brake": 0, "weather": {}},
            "acceleration": [float(along), float(-left), GRAVITY_MPS2],
            "angular_velocity": [0.0, 0.0, -float(self._yaw_rates[step])],
            "bounding_boxes": [self._ego(step), *self._others(step), *self._lights(step, told)],
            "sensors": self._sensors,
        }

    def _guidance(self, step: int) -> Guidance:
        return guidance(self._map, self._drive.route_roadblock_ids[step], self._drive.ego.poses[step])

    def _place(self, point: Float64[np.ndarray, "2"]) -> Float64[np.ndarray, "2"]:
        """A global place in CARLA's left-handed world."""
        return other_hand(point - self._corner)

    def _ego(self, step: int) -> dict[str, Any]:
        origin = origin_of_rear_axle(self._drive.ego.poses[step])
        size = np.array([EGO_LENGTH_M, EGO_WIDTH_M, EGO_HEIGHT_M])
        offset = EGO_REAR_AXLE_TO_CENTER_M - REAR_AXLE_M
        speed = float(self._drive.ego.velocities[step, X])
        box = self._box("ego_vehicle", 1, origin, size, offset, "world2ego")
        return {**box, "type_id": "vehicle.lincoln.mkz_2020", "base_type": "car", "speed": speed}

    def _box(
        self, kind: str, number: int, pose: Float64[np.ndarray, "3"], size: FloatArray, offset_m: float, matrix: str
    ) -> dict[str, Any]:
        """A box whose middle lies ``offset_m`` ahead of ``pose``."""
        local = np.array([*(pose[XY] - self._corner), pose[HEADING]])
        center, height = self._place(pose[XY] + offset_m * unit(pose[HEADING])), float(size[HEIGHT])
        return {
            "class": kind,
            "id": str(number),
            "location": [*self._place(pose[XY]).tolist(), 0.0],
            "rotation": [0.0, 0.0, float(-np.rad2deg(pose[HEADING]))],
            "bbx_loc": [offset_m, 0.0, height / 2],
            "center": [*center.tolist(), height / 2],
            "extent": (size / 2.0).tolist(),
            matrix: world2actor_of_pose(local).tolist(),
        }

    def _others(self, step: int) -> list[dict[str, Any]]:
        tracks = seen_tracks(self._drive, step, self._drive.ego.poses[step, XY])
        return [self._track(track, step) for track in tracks]

    def _track(self, track: Track, step: int) -> dict[str, Any]:
        number, pose, size = self._numbers[track.track_token], track.poses[step], track.size[[LENGTH, WIDTH, HEIGHT]]
        speed = float(np.hypot(*track.velocities[step]))
        if track.agent_type is AgentType.PEDESTRIAN:  # CARLA says so of all of them
            return {**self._box("walker", number, pose, size, 0.0, "world2ped"), "speed": 0.0}
        if track.agent_type in _OBSTACLES:
            box = self._box("traffic_sign", number, pose, size, 0.0, "world2sign")
            return {**box, "type_id": _OBSTACLES[track.agent_type], "affects_ego": False}
        is_parked = not np.abs(track.velocities).any()
        kind = "bicycle" if track.agent_type is AgentType.BICYCLE else "car"
        box = self._box("vehicle", number, pose, size, 0.0, "world2vehicle")
        return {**box, "state": "static" if is_parked else "dynamic", "base_type": kind, "speed": speed}

    def _lights(self, step: int, told: Guidance) -> list[dict[str, Any]]:
        """Signals of the connectors near by; the next one on the way affects the ego."""
        here, found = self._drive.ego.poses[step, XY], []
        ahead = next((lane for lane in told.lanes if lane in self._drive.lights), None)
        for lane, states in self._drive.lights.items():
            start = self._map.town.lanes[lane].centerline[0, XY]
            if np.hypot(*(start - here)) <= LIGHT_RANGE_M:
                place = [*self._place(start).tolist(), 0.0]
                state = LIGHT_STATES.index(_LIGHTS[states[step]])
                found.append(_light(int(lane), place, state, affects_ego=lane == ahead))
        return found


def _light(number: int, place: list[float], state: int, affects_ego: bool) -> dict[str, Any]:
    return {
        "class": "traffic_light",
        "id": str(number),
        "location": place,
        "rotation": [0.0, 0.0, 0.0],
        "state": state,
        "affects_ego": affects_ego,
        "trigger_volume_location": place,
        "trigger_volume_rotation": [0.0, 0.0, 0.0],
        "trigger_volume_extent": [1.0, 1.75, 1.0],
    }


def _sensors() -> dict[str, Any]:
    """Calibration of the six cameras, in CARLA's axes."""
    found = {}
    for name, mount in MOUNTS.items():
        pose = np.array([mount.x_m, -mount.y_m, -np.deg2rad(mount.yaw_deg)])
        whole = calibration(name)
        found[name] = {
            "cam2ego": np.linalg.inv(world2actor_of_pose(pose, mount.z_m)).tolist(),
            "intrinsic": whole.intrinsics.tolist(),
            "fov": mount.fov_deg,
            "image_size_x": whole.width,
            "image_size_y": whole.height,
        }
    return found


def hd_map(town: Town) -> dict[int, Any]:
    """Roads (roadblocks) with their lanes as the published maps have them."""
    roads: dict[int, Any] = {}
    origin = corner(town.location)
    number = {lane: -(place + 1) for block in town.roadblocks.values() for place, lane in enumerate(block.lane_ids)}
    for lane in town.lanes.values():
        following = [(int(town.lanes[name].roadblock_id), number[name]) for name in lane.successors]
        center = {
            "Points": _line(lane.centerline[:, XY] - origin, lane.centerline[:, HEADING], lane.is_connector),
            **{"Type": "Center", "Color": "White", "Topology": following},
            **{"TopologyType": "Junction" if lane.is_connector else "Normal", "Left": None, "Right": None},
        }
        borders = [
            {
                "Points": _line(side - origin, lane.centerline[:, HEADING]),
                "Type": "Solid",
                "Color": "White",
                "Topology": [],
            }
            for side in (lane.left_boundary, lane.right_boundary)
        ]
        roads.setdefault(int(lane.roadblock_id), {})[number[lane.lane_id]] = [center, *borders]
    return roads


def _line(points: FloatArray, headings: FloatArray, *flag: bool) -> list[tuple[Any, ...]]:
    places, yaws = other_hand(points).tolist(), np.rad2deg(-headings).tolist()
    return [((x, y, 0.0), (0.0, 0.0, yaw), *flag) for (x, y), yaw in zip(places, yaws)]


def write_hd_map(town: Town, folder: Path) -> Path:
    """Write ``TownNN_HD_map.npz`` where it is not there yet."""
    path = map_path(folder, town_name(town.location))
    if not is_there(path):
        stream, entry = io.BytesIO(), zipfile.ZipInfo(MAP_ENTRY)  # without the time of day, unlike numpy.savez
        write_array(stream, np.array(hd_map(town), dtype=object), allow_pickle=True)
        with whole_file(path) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
            archive.writestr(entry, stream.getvalue(), zipfile.ZIP_DEFLATED)
    return path
