"""Synthetic scenes of NAVSIM v2's second stage without the devkit: a pickle a scene, as ``Scene.save_to_disk`` writes.

Such a scene has history frames and their pictures, but no future and no human. What stands for the future, nuPlan's
objects in two extended lists, is made into metric caches and scoring scenes elsewhere; here it is passed over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import MISSING
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Optional, Union

import numpy as np

from navsim_agents.common.conventions import FRONT_CAMERA, NUM_HISTORY_FRAMES
from navsim_agents.data.logs import Sensors, sensor_frames
from navsim_agents.data.restricted_pickle import RestrictedUnpickler, load_plain_file
from navsim_agents.data.scene import EGO_POSE, LogFrame, Scene
from navsim_agents.data.split_mapping import some
from navsim_agents.data.types import AgentInput, SceneMetadata, Trajectory
from navsim_agents.errors import InputError, WorldDataError

_ACTORS = "nuplan.common.actor_state"
_STATES = f"{_ACTORS}.state_representation"
_MAPS = "nuplan.common.maps.maps_datatypes"
# What the extended lists are made of; shapely's polygon is what nuPlan's box keeps once it was asked for it.
PASSED_OVER = (
    ("nuplan.planning.simulation.observation.observation_type", "DetectionsTracks"),
    (f"{_ACTORS}.tracked_objects", "TrackedObjects"),
    (f"{_ACTORS}.tracked_objects_types", "TrackedObjectType"),
    (f"{_ACTORS}.agent", "Agent"),
    (f"{_ACTORS}.agent_state", "AgentState"),
    (f"{_ACTORS}.static_object", "StaticObject"),
    (f"{_ACTORS}.scene_object", "SceneObject"),
    (f"{_ACTORS}.scene_object", "SceneObjectMetadata"),
    (f"{_ACTORS}.oriented_box", "OrientedBox"),
    (f"{_ACTORS}.oriented_box", "Dimension"),
    (_STATES, "StateSE2"),
    (_STATES, "StateVector2D"),
    (_STATES, "Point2D"),
    (_STATES, "TimePoint"),
    (_MAPS, "TrafficLightStatuses"),
    (_MAPS, "TrafficLightStatusData"),
    (_MAPS, "TrafficLightStatusType"),
    ("shapely.io", "from_wkb"),
    ("shapely.geometry.polygon", "Polygon"),
)
PATH_MODULES = ("pathlib", "pathlib._local")
PATH_NAMES = ("PosixPath", "PurePosixPath")

SCENE_KEYS = ("scene_metadata", "frames")
FRAME_KEYS = ("token", "timestamp", "roadblock_ids", "traffic_lights", "annotations", "ego_status", "camera_dict")
EGO_STATUS_KEYS = (EGO_POSE, "ego_velocity", "ego_acceleration", "driving_command")
ANNOTATION_KEYS = {  # of such a scene -> of a log
    "boxes": "gt_boxes",
    "names": "gt_names",
    "velocity_3d": "gt_velocity_3d",
    "instance_tokens": "instance_tokens",
    "track_tokens": "track_tokens",
}
METADATA_FIELDS = dataclasses.fields(SceneMetadata)


class PassedOver:
    """In the place of an object of another package: takes whatever it is made of, and keeps nothing."""

    def __new__(cls, *_: Any, **__: Any) -> PassedOver:
        """As pickles call a class, or its ``__new__``."""
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Nothing of it is read."""


def _path(*parts: str) -> PurePosixPath:
    return PurePosixPath(*parts)


class SyntheticSceneUnpickler(RestrictedUnpickler):
    """Plain data and paths, and nuPlan's objects passed over."""

    _allowed: ClassVar[dict[tuple[str, str], Any]] = {
        **RestrictedUnpickler._allowed,
        **dict.fromkeys(PASSED_OVER, PassedOver),
        **{(module, name): _path for module in PATH_MODULES for name in PATH_NAMES},
    }
    holds: ClassVar[str] = f"{RestrictedUnpickler.holds}, with nuPlan's tracks and traffic lights of later frames"


class SyntheticScene(Scene):
    """A :class:`Scene` without future."""

    def get_future_trajectory(self, num_trajectory_frames: Optional[int] = None) -> Trajectory:
        """There is none.

        :raises InputError: always.
        """
        raise InputError(
            f"scene {self.scene_metadata.initial_token} is synthetic: nobody drove on from there, so it has no human "
            "trajectory; ask the first-stage scenes, or leave out what needs a human"
        )


def read_synthetic_scene(path: Path, blobs: Path, sensors: Mapping[str, tuple[int, ...]]) -> SyntheticScene:
    """The scene of one pickle; its pictures are read from ``blobs`` when they are asked for.

    :raises WorldDataError: no such file, damaged, or it is no synthetic scene.
    """
    content = load_plain_file(path, SyntheticSceneUnpickler, "synthetic scene")
    _require(content, SCENE_KEYS, f"{path}")
    about, needed = content["scene_metadata"], [row.name for row in METADATA_FIELDS if row.default is MISSING]
    _require(about, needed, f"scene_metadata of {path}")
    metadata = SceneMetadata(**{row.name: about.get(row.name) for row in METADATA_FIELDS})
    frames = content["frames"]
    if not isinstance(frames, list) or len(frames) < metadata.num_history_frames:
        found = len(frames) if isinstance(frames, list) else type(frames).__name__
        raise WorldDataError(
            f"{path} has frames={found}, but num_history_frames={metadata.num_history_frames} of them make its "
            "history; fetch or write it again"
        )
    logged = [_as_logged(frame, metadata, f"frame {index} of {path}") for index, frame in enumerate(frames)]
    return SyntheticScene(metadata, logged, blobs, sensors)


def _require(content: Any, keys: Collection[str], where: str) -> None:
    """Raises WorldDataError unless ``content`` is a mapping with all ``keys``."""
    missing = [key for key in keys if key not in content] if isinstance(content, dict) else list(keys)
    if missing:
        raise WorldDataError(
            f"{where} lacks {missing}, which every synthetic scene of NAVSIM has; check that the file is one of "
            "synthetic_scene_pickles/, and fetch or write it again"
        )


def _as_logged(frame: Any, metadata: SceneMetadata, where: str) -> LogFrame:
    """The frame under the names that logs use."""
    _require(frame, FRAME_KEYS, where)
    ego, annotations, cameras = frame["ego_status"], frame["annotations"], frame["camera_dict"]
    _require(ego, EGO_STATUS_KEYS, f"ego_status of {where}")
    _require(cameras, (), f"camera_dict of {where}")
    if annotations is not None:
        _require(annotations, ANNOTATION_KEYS, f"annotations of {where}")
        annotations = {name: annotations[key] for key, name in ANNOTATION_KEYS.items()}
    return {
        **{key: frame[key] for key in ("token", "timestamp", "roadblock_ids", "traffic_lights")},
        "log_name": metadata.log_name,
        EGO_POSE: ego[EGO_POSE],
        "ego_dynamic_state": np.concatenate((ego["ego_velocity"], ego["ego_acceleration"])),
        "driving_command": ego["driving_command"],
        "cams": {name.upper(): entry for name, entry in cameras.items() if entry},
        "anns": annotations,
    }


class SyntheticSceneLoader:
    """Synthetic scenes by token, each read from disk when it is asked for.

    :param synthetic_scenes_path: Folder of pickles, the devkit's setting of that name.
    :param synthetic_sensor_path: Folder of their pictures, likewise.
    :param sensors: As of ``navsim_agents.data.logs.SceneLoader``.
    :raises WorldDataError: there is no such folder of pickles.
    :raises InputError: sensors break a rule.
    """

    def __init__(
        self,
        synthetic_scenes_path: Union[str, Path],
        synthetic_sensor_path: Union[str, Path],
        sensors: Sensors = (FRONT_CAMERA,),
    ) -> None:
        self._folder, self._blobs = Path(synthetic_scenes_path), Path(synthetic_sensor_path)
        self._sensors = sensor_frames(sensors, NUM_HISTORY_FRAMES)
        if not self._folder.is_dir():
            raise WorldDataError(
                f"synthetic_scenes_path={self._folder} is not a folder; it holds a pickle for each scene of the second "
                "stage: fetch navhard_two_stage/, or write a world with `drive-jepa world … two_stage=true`"
            )

    @cached_property
    def _by_name(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted(self._folder.glob("[!.]*.pkl"))}

    @cached_property
    def _by_content(self) -> dict[str, Path]:
        """Every scene by its initial token, as the devkit knows them; needed where files are called otherwise."""
        found: dict[str, Path] = {}
        for path in self._by_name.values():
            with suppress(WorldDataError):  # a damaged one is refused where its own scene is asked for
                found[self._read(path).scene_metadata.initial_token] = path
        return found

    def _read(self, path: Path) -> SyntheticScene:
        return read_synthetic_scene(path, self._blobs, self._sensors)

    def get_scene(self, token: str) -> SyntheticScene:
        """The scene whose current frame is ``token``; its images are read by ``get_agent_input``.

        :raises WorldDataError: there is none, or its pickle is damaged.
        """
        path = self._by_name.get(token)
        scene = self._read(path) if path is not None else None
        if scene is None or scene.scene_metadata.initial_token != token:
            if token not in self._by_content:
                raise WorldDataError(
                    f"scene {token} is none of the {len(self._by_name)} in {self._folder} "
                    f"({some(list(self._by_name))}); fetch it, or leave its group out of the split's mapping"
                )
            scene = self._read(self._by_content[token])
        return scene

    def get_agent_input(self, token: str) -> AgentInput:
        """History of the scene of ``token``, with its images; poses in float64, as the devkit's loader has them."""
        return self.get_scene(token).get_agent_input(np.float64)
