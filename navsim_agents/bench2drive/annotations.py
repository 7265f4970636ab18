"""One frame's annotation of a clip (``anno/00000.json.gz``) in right-handed frames, free of what the files say wrongly.

What is *not* believed, and what is taken in its place:

* ``theta``, the compass, is None or NaN or made 0 by some: the heading is that of ``world2ego``.
* ``x``, ``y`` are the GNSS sensor's, with 0.56 m of noise, 1.4 m behind the origin: the place is that of ``world2ego``.
* ``extent`` is half of a box.
* ``location`` and ``rotation`` of a static vehicle are wrong: boxes are ``center``, ``extent`` and the heading of
  ``world2vehicle`` (``world2ped``, ``world2sign``), of everybody alike.
* ``speed`` of a walker is always 0: nobody's is read; velocities come of positions (``clip_tracks``).
* ``command`` -1 is to follow the lane; target points may be missing; lights' states are numbers.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.bench2drive.frames import REAR_AXLE_M, heading_of_yaw, pose_of_world2actor, rear_axle_of_origin
from navsim_agents.bench2drive.inputs import command_index
from navsim_agents.common.poses import HEADING, XY, Y, are_poses
from navsim_agents.errors import InputError, WorldDataError

EGO_CLASS, VEHICLE, WALKER, LIGHT, SIGN = "ego_vehicle", "vehicle", "walker", "traffic_light", "traffic_sign"
MATRICES = {VEHICLE: "world2vehicle", WALKER: "world2ped", SIGN: "world2sign"}
LIGHT_STATES = ("red", "yellow", "green", "off", "unknown")
"""By CARLA's number."""
OBSTACLE_WORDS = {"cone": "traffic_cone", "warning": "barrier", "barrier": "barrier", "dirtdebris": "generic_object"}
"""What a ``traffic_sign`` that stands in the way is called, by a word of its type; real signs stand beside the road."""
BICYCLE_TYPES = ("bicycle", "bike")
MIN_SIDE_M = 0.05
WAY_OUT = "unpack the clip again, or leave the frame out"
YAW = 2
"""Place of the yaw in ``rotation``: pitch, roll, yaw."""


@dataclass(frozen=True)
class Thing:
    """What may be run into; global right-handed frame."""

    name: str  # the actor's number
    kind: str  # vehicle, pedestrian, bicycle, traffic_cone, barrier or generic_object
    is_static: bool  # says the file
    pose: Float64[np.ndarray, "3"]  # middle of the box
    size: Float64[np.ndarray, "3"]  # whole length, width, height [m]


@dataclass(frozen=True)
class LightState:
    """A traffic light."""

    name: str
    state: str  # of LIGHT_STATES
    affects_ego: bool
    stop_line: Float64[np.ndarray, "2"]  # middle of its trigger volume, global


@dataclass(frozen=True)
class ClipFrame:
    """One moment of a clip; poses and places in the global right-handed frame."""

    rear_axle: Float64[np.ndarray, "3"]
    ego_size: Float64[np.ndarray, "2"]  # whole length, width [m]
    rear_axle_to_center_m: float
    logged_speed_mps: Optional[float]
    acceleration: Optional[Float64[np.ndarray, "2"]]  # m/s^2, ego frame
    command: int  # index into COMMANDS, of the nearer waypoint
    target: Optional[Float64[np.ndarray, "2"]]  # that waypoint
    things: tuple[Thing, ...]
    lights: tuple[LightState, ...]


def read_annotation(path: Path) -> ClipFrame:
    """The frame in one file.

    Raises:
        WorldDataError: there is no such file, it is cut off, or it lacks the ego's pose.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            content = json.load(stream)
        return parse_annotation(content)
    except FileNotFoundError as error:
        raise WorldDataError(f"{path} is missing; {WAY_OUT}") from error
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, IndexError, np.linalg.LinAlgError) as error:
        words = f"no {error}" if isinstance(error, KeyError) else error
        raise WorldDataError(f"{path} is not a readable annotation ({words}); {WAY_OUT}") from error


def parse_annotation(content: Mapping[str, Any]) -> ClipFrame:
    """The frame of an annotation's JSON.

    Raises:
        KeyError, TypeError, ValueError: it is none, or the ego has no pose.
    """
    boxes = content["bounding_boxes"]
    ego = next((box for box in boxes if box["class"] == EGO_CLASS), boxes[0])
    origin = pose_of_world2actor(_matrix(ego["world2ego"]))
    if not are_poses(origin):
        raise ValueError(f"world2ego gives the pose {origin.tolist()}")
    extent = np.asarray(ego["extent"], dtype=np.float64)
    middle = float(ego.get("bbx_loc", (0.0,))[0])
    if not np.isfinite((*extent, middle)).all():
        raise ValueError(f"the ego's box has the extent {extent.tolist()} and lies {middle} m ahead")
    return ClipFrame(
        rear_axle=rear_axle_of_origin(origin),
        ego_size=2.0 * extent[XY],
        rear_axle_to_center_m=REAR_AXLE_M + middle,
        logged_speed_mps=_number(content.get("speed")),
        acceleration=_acceleration(content.get("acceleration")),
        command=_command(content.get("command_near")),
        target=_place(content, "x_command_near", "y_command_near"),
        things=tuple(thing for thing in map(_thing, boxes) if thing is not None),
        lights=tuple(_light(box) for box in boxes if box["class"] == LIGHT),
    )


def _matrix(values: Any) -> Float64[np.ndarray, "4 4"]:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise ValueError(f"a matrix of world to actor has shape {list(matrix.shape)} or holds no numbers")
    return matrix


def _number(value: Any) -> Optional[float]:
    """A finite number, or None."""
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else None


def _acceleration(values: Any) -> Optional[Float64[np.ndarray, "2"]]:
    """The IMU's along and to the left; None where it says nothing."""
    numbers = [_number(value) for value in (values or ())[:2]]
    if len(numbers) < 2 or None in numbers:
        return None
    return np.array([numbers[0], -numbers[1]])  # type: ignore[operator]


def _command(value: Any) -> int:
    try:
        return command_index(value)
    except InputError as error:
        raise ValueError(str(error)) from error


def _place(content: Mapping[str, Any], x: str, y: str) -> Optional[Float64[np.ndarray, "2"]]:
    """A place of CARLA's world, right-handed."""
    numbers = _number(content.get(x)), _number(content.get(y))
    if numbers[0] is None or numbers[1] is None:
        return None
    return np.array([numbers[0], -numbers[1]])


def _thing(box: Mapping[str, Any]) -> Optional[Thing]:
    """What a box says of an obstacle; None of the ego, of lights and of real signs, and of boxes without a place."""
    kind = _kind(box)
    if kind is None or box.get("center") is None or box.get("extent") is None:
        return None
    center = np.asarray(box["center"], dtype=np.float64)
    size = 2.0 * np.asarray(box["extent"], dtype=np.float64)
    pose = np.array([center[0], -center[Y], _heading(box)])
    if not np.isfinite(pose).all() or not np.isfinite(size).all():
        return None
    is_static = box.get("state") == "static" or box["class"] == SIGN
    return Thing(str(box["id"]), kind, is_static, pose, np.maximum(size, MIN_SIDE_M))


def _kind(box: Mapping[str, Any]) -> Optional[str]:
    type_id = str(box.get("type_id", "")).lower()
    if box["class"] == WALKER:
        return "pedestrian"
    if box["class"] == SIGN:
        return next((kind for word, kind in OBSTACLE_WORDS.items() if word in type_id), None)
    if box["class"] != VEHICLE or "world2ego" in box:
        return None
    is_bicycle = str(box.get("base_type", "")).lower() in BICYCLE_TYPES
    return "bicycle" if is_bicycle else "vehicle"


def _heading(box: Mapping[str, Any]) -> float:
    """Of the matrix where there is one; else of ``rotation``."""
    matrix = box.get(MATRICES[box["class"]])
    if matrix is not None:
        return float(pose_of_world2actor(_matrix(matrix))[HEADING])
    return float(heading_of_yaw(float(box["rotation"][YAW])))


def _light(box: Mapping[str, Any]) -> LightState:
    """States are numbers in the files, as JSON has no enumeration; words are taken as they are."""
    state = box["state"]
    known = LIGHT_STATES[state] if isinstance(state, int) and 0 <= state < len(LIGHT_STATES) else str(state).lower()
    where = box.get("trigger_volume_location") or box["location"]
    return LightState(
        name=str(box["id"]),
        state=known if known in LIGHT_STATES else "unknown",
        affects_ego=bool(box.get("affects_ego")),
        stop_line=np.array([float(where[0]), -float(where[1])]),
    )
