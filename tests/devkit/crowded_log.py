"""A log of the built-in world with more in it than the world puts there: crowds, what is seen once, what touches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING, XY, poses_to_global, poses_to_local, rotate
from navsim_agents.data.scene import LogFrame, global_ego_pose
from navsim_agents.world.types import Town

NEAR_M = 60.0
OTHERS = ("pedestrian", "bicycle", "traffic_cone", "barrier")


def crowded_frames(frames: Sequence[LogFrame], town: Town, count: int, seed: int) -> list[LogFrame]:
    """The frames with ``count`` more things on, beside and off the lanes; some are there for one frame alone.

    With every frame comes a pedestrian beneath the ego, and a barrier that only the next frame sees.
    """
    draw = np.random.default_rng(seed)
    origin = global_ego_pose(frames[len(frames) // 2])
    lanes = [lane.centerline for lane in town.lanes.values()]
    # Not at the ends of lanes: on the border of two, the last digits of the map's projection say who is in which.
    points = np.concatenate([lane[1:-1:4] for lane in lanes])
    points = points[np.hypot(*(points[:, XY] - origin[XY]).T) < NEAR_M]
    extra: list[list[dict[str, Any]]] = [[] for _ in frames]
    for number in range(count):
        thing = _thing(points[draw.integers(len(points))], draw, number)
        first = int(draw.integers(len(frames))) if draw.random() < 0.4 else 0
        last = first + 1 if draw.random() < 0.2 else len(frames)
        for index in range(first, last):
            extra[index].append(thing)
    for index, frame in enumerate(frames):
        here = global_ego_pose(frame)
        extra[index].append(_still("pedestrian", here, number=1000 + index))
        ahead = np.array([3.0, 0.5, 0.3])
        extra[max(index - 1, 0)].append(_still("barrier", poses_to_global(ahead, here), number=2000 + index))
    return [_with(frame, things) for frame, things in zip(frames, extra)]


def _thing(on_lane: Float64[np.ndarray, "3"], draw: np.random.Generator, number: int) -> dict[str, Any]:
    aside = draw.normal(0.0, 0.5) if draw.random() < 0.6 else draw.normal(0.0, 6.0)
    turned = draw.normal(0.0, 0.15) + (np.pi if draw.random() < 0.1 else 0.0)
    pose = poses_to_global(np.array([0.0, aside, turned]), on_lane)
    speed = draw.choice([0.0, 0.05, draw.uniform(0.0, 15.0)])
    name = "vehicle" if draw.random() < 0.8 else OTHERS[draw.integers(len(OTHERS))]
    size = (draw.uniform(3.5, 9.0), draw.uniform(1.6, 2.5), 1.6) if name == "vehicle" else (0.6, 0.6, 1.5)
    velocity = speed * np.array([np.cos(pose[HEADING]), np.sin(pose[HEADING])])
    return {"name": name, "pose": pose, "size": size, "velocity": velocity, "token": f"{number:016x}"}


def _still(name: str, pose: Float64[np.ndarray, "3"], number: int) -> dict[str, Any]:
    return {"name": name, "pose": pose, "size": (0.6, 0.6, 1.5), "velocity": np.zeros(2), "token": f"{number:016x}"}


def _with(frame: LogFrame, things: list[dict[str, Any]]) -> LogFrame:
    here, old = global_ego_pose(frame), frame["anns"]
    boxes = np.zeros((len(things), old["gt_boxes"].shape[1]))
    velocities = np.zeros((len(things), 3))
    for row, thing in enumerate(things):
        x, y, heading = poses_to_local(thing["pose"], here)
        boxes[row] = (x, y, 0.0, *thing["size"], heading)
        velocities[row, XY] = rotate(thing["velocity"], -here[HEADING])
    anns = {
        "gt_boxes": np.concatenate((boxes, old["gt_boxes"])),
        "gt_names": np.concatenate((np.array([thing["name"] for thing in things], dtype="<U16"), old["gt_names"])),
        "gt_velocity_3d": np.concatenate((velocities, old["gt_velocity_3d"])),
        "instance_tokens": [f"{thing['token']}{frame['token']}"[:16] for thing in things] + old["instance_tokens"],
        "track_tokens": [thing["token"] for thing in things] + old["track_tokens"],
    }
    return {**frame, "anns": anns}
