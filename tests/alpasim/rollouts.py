"""Drivers served over real gRPC, and what a client sends them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Optional

import numpy as np
import pytest

from navsim_agents.alpasim.client import DrivenSession, DriverClient
from navsim_agents.alpasim.client import png as lossless
from navsim_agents.alpasim.driver import Driver
from navsim_agents.alpasim.faults import DriverFault
from navsim_agents.alpasim.pictures import DeclaredCamera
from navsim_agents.alpasim.server import Limits, serving
from navsim_agents.alpasim.service import EgodriverService
from navsim_agents.common.conventions import CAMERA_NAMES
from navsim_agents.data.types import AgentInput, Trajectory
from navsim_agents.poses import poses_to_local
from navsim_agents.world.camera.calibration import default_cameras
from tests.drive_jepa.planner_scenes import Drive, picture

FRAME = 500_000  # us
TIMEOUT_S = 20.0


class Told:
    """An agent whose plan says what it was shown: shades of two pictures, speed and command.

    Pose k (1 to 8) is at (speed · 0.5 k, shade now / 100) and its heading is the shade of the frame before / 1000.
    """

    def __init__(self) -> None:
        self.inputs: list[AgentInput] = []

    def get_sensor_config(self) -> SimpleNamespace:
        return SimpleNamespace(**{**dict.fromkeys(CAMERA_NAMES, False), "cam_f0": [2, 3]})

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        self.inputs.append(agent_input)
        before, now = (float(cameras.cam_f0.image.mean()) for cameras in agent_input.cameras[-2:])
        times = 0.5 * np.arange(1, 9)
        ahead = float(agent_input.ego_statuses[-1].ego_velocity[0]) * times
        return Trajectory(np.stack((ahead, np.full(8, now / 100), np.full(8, before / 1000)), axis=1))


@contextmanager
def served(
    agent: Any, limits: Optional[Limits] = None, **settings: Any
) -> Iterator[tuple[DriverClient, EgodriverService]]:
    """A client of ``agent`` behind a port of the system's choice."""
    driver = Driver(agent, "told", **settings)
    with serving(driver, limits or Limits()) as (port, service), DriverClient(f"localhost:{port}", TIMEOUT_S) as client:
        yield client, service


def declared(*names: str) -> dict[str, DeclaredCamera]:
    """Cameras of the built-in world, as AlpaSim's nuPlan track calls them."""
    models = default_cameras()
    return {
        name.upper(): DeclaredCamera(
            1920,
            1080,
            models[name].intrinsics,
            models[name].sensor2lidar_rotation,
            models[name].sensor2lidar_translation,
            np.zeros(5),
        )
        for name in names or ("cam_f0",)
    }


@lru_cache(maxsize=64)
def png(seed: int) -> bytes:
    """The picture that a ``Drive`` shows in the frame of this number."""
    return lossless(picture(seed))


@lru_cache(maxsize=64)
def plain(shade: int, width: int = 1920) -> bytes:
    """One grey all over."""
    return lossless(np.full((width * 9 // 16, width, 3), shade, np.uint8))


ROUTES = np.array([[[10.0, 4.0]], [[10.0, 0.0]], [[10.0, -4.0]]])
"""To the left, straight on, to the right."""


def send_frame(session: DrivenSession, drive: Drive, frame: int) -> None:
    """What the client sees in one frame of ``drive``; the local frame is that of its frame 0."""
    stamp = frame * FRAME
    for name in drive.cameras:
        session.send_picture(name.upper(), stamp, png(1000 * drive.seed + frame))
    status = drive.status(frame, frame)
    session.send_egomotion(
        stamp,
        poses_to_local(drive.poses[frame], drive.poses[0]),
        status.ego_velocity.astype(float),
        status.ego_acceleration.astype(float),
    )
    session.send_route(stamp, ROUTES[frame % 3])


def here(x: float = 0.0, y: float = 0.0, heading: float = 0.0) -> np.ndarray:
    return np.array([x, y, heading])


def shades(plan: Any) -> tuple[int, int]:
    """Of the pictures before and now that a plan of ``Told`` was made from, when the ego is at the origin."""
    return round(1000 * plan.poses[-1, 2]), round(100 * plan.poses[-1, 1])


def refusal(call: Callable[[], object], code: str, words: str) -> None:
    """The server refuses what is sent, with this status code and these words."""
    with pytest.raises(DriverFault, match=words) as caught:
        call()
    assert caught.value.code == code


def show(session: DrivenSession, shade: int, stamp: int, camera: str = "CAM_F0") -> None:
    session.send_picture(camera, stamp, plain(shade))
