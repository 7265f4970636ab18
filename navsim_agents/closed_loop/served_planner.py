"""A driver behind AlpaSim's contract at the wheel: each route is a session of its own, over gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Optional

import numpy as np
from jaxtyping import Float64

from navsim_agents.alpasim.client import TIMEOUT_S, DrivenSession, DriverClient, TimedPlan, as_heard, png
from navsim_agents.alpasim.faults import DriverFault
from navsim_agents.alpasim.pictures import DeclaredCamera
from navsim_agents.closed_loop.line import RouteLine
from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.planners import Plan, checked_plan
from navsim_agents.closed_loop.routes import Route
from navsim_agents.closed_loop.stage import Stage
from navsim_agents.common.conventions import (
    CAMERA_HEIGHT_PX,
    CAMERA_WIDTH_PX,
    EGO_WHEEL_BASE_M,
    FRONT_CAMERA,
    NUM_HISTORY_FRAMES,
    POSE_INTERVAL_S,
)
from navsim_agents.common.poses import POSE, XY, X, points_to_local, poses_to_local
from navsim_agents.errors import InputError
from navsim_agents.world.camera import default_cameras
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.simulation import Decision
from navsim_agents.world.types import Drive
from navsim_agents.world.writers.blobs import encode_jpeg
from navsim_agents.world.writers.logs import frame_steps, timestamp_us

ROUTE_REACH_M, ROUTE_POINTS = 80.0, 20
"""AlpaSim's nuPlan track: so many points, evenly spaced from the ego on, of which the nearer half is not told."""
LOOK_POINTS = 100  # of the route's line, a metre apart, among which the ego is looked for
POSE_US = round(POSE_INTERVAL_S * 1e6)


class ServedPlanner:
    """Asks a served driver; for one route, at whose end it is closed."""

    is_expert = False
    cameras: Mapping[str, tuple[int, ...]] = {FRONT_CAMERA: tuple(range(NUM_HISTORY_FRAMES))}

    def __init__(self, target: str, jpeg_quality: int, timeout_s: float = TIMEOUT_S) -> None:
        """Connect to ``target`` (host:port) when it is first asked.

        Args:
            target: of ``drive-jepa serve`` or of another driver.
            jpeg_quality: of the pictures that are sent; 0: as PNG, without loss.
            timeout_s: that a call may take.
        """
        self._target, self._jpeg_quality = target, jpeg_quality
        self._client = DriverClient(target, timeout_s)
        self._session: Optional[DrivenSession] = None
        self._told_us, self._shown = -1, set[int]()

    def check(self) -> None:
        """Raises InputError where nobody answers."""
        try:
            self._client.version()
        except DriverFault as fault:
            raise self._words(fault) from fault

    def plan(self, stage: Stage, witness: Witness, decision: Decision) -> Plan:
        """What the driver answers to all that is new since it was asked last.

        Raises:
            InputError: it refuses, is gone, or answers what is no plan.
        """
        drive = witness.drive()
        try:
            return checked_plan(self._asked(stage, witness, drive))
        except DriverFault as fault:
            raise self._words(fault) from fault

    def _asked(self, stage: Stage, witness: Witness, drive: Drive) -> Plan:
        now = len(drive.ego.poses) - 1
        if self._session is None:
            self._session = self._client.start({FRONT_CAMERA.upper(): front_camera()})
            self._origin, self._line = drive.ego.poses[now], line_ahead(stage.graph, stage.route)
        self._send_motion(self._session, drive)
        self._send_pictures(self._session, witness, drive)
        self._told_us = now_us = timestamp_us(drive, now)
        return in_rig(self._session.plan(now_us), now_us, as_heard(self._local(drive, now)))

    def _local(self, drive: Drive, step: int) -> Float64[np.ndarray, "3"]:
        """The ego in the session's local frame: where it was when it was first asked."""
        return poses_to_local(drive.ego.poses[step], self._origin)

    def _send_motion(self, session: DrivenSession, drive: Drive) -> None:
        """All poses since the last plan, and the route as it is seen from the frames among them."""
        ego, frames = drive.ego, frame_steps(drive)
        for step in range(len(ego.poses)):
            stamp_us = timestamp_us(drive, step)
            if stamp_us <= self._told_us:
                continue
            velocity = ego.velocities[step]
            yaw_rate = float(velocity[X] * np.tan(ego.steering[step]) / EGO_WHEEL_BASE_M)
            session.send_egomotion(stamp_us, self._local(drive, step), velocity, ego.accelerations[step], yaw_rate)
            if step in frames:
                self._line = from_nearest(self._line, ego.poses[step])
                session.send_route(stamp_us, told_route(self._line, ego.poses[step]))

    def _send_pictures(self, session: DrivenSession, witness: Witness, drive: Drive) -> None:
        """Those of the four history frames that it has not been shown."""
        for step in frame_steps(drive):
            stamp_us = timestamp_us(drive, step)
            if stamp_us not in self._shown:
                self._shown.add(stamp_us)
                picture = witness.render(drive, step, default_cameras()[FRONT_CAMERA])
                quality = self._jpeg_quality
                data = encode_jpeg(picture, quality) if quality else png(picture)
                session.send_picture(FRONT_CAMERA.upper(), stamp_us, data)

    def close(self) -> None:
        """End the session, if there is one and somebody who still knows of it, and hang up."""
        if self._session is not None:
            with suppress(DriverFault):
                self._session.close()
            self._session = None
        self._client.close()

    def __enter__(self) -> ServedPlanner:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _words(self, fault: DriverFault) -> InputError:
        return InputError(
            f"the driver at {self._target} answers {fault.code} ({fault}); see that it is served there and what it "
            "says, then run the same command again"
        )


def front_camera() -> DeclaredCamera:
    """The world's front camera, as a session declares it."""
    model = default_cameras()[FRONT_CAMERA]
    return DeclaredCamera(
        CAMERA_WIDTH_PX,
        CAMERA_HEIGHT_PX,
        model.intrinsics,
        model.sensor2lidar_rotation,
        model.sensor2lidar_translation,
        np.zeros(5),
    )


def line_ahead(graph: LaneGraph, route: Route) -> RouteLine:
    """The route's line, from where the warm-up begins to beyond its end, so that its end is no end to whoever plans."""
    length_m = route.length_m + ROUTE_REACH_M
    return RouteLine.along(graph, route.blocks, route.start_lane, route.start_m, length_m)


def from_nearest(line: RouteLine, pose: Float64[np.ndarray, "3"]) -> RouteLine:
    """The part of ``line`` that is left at ``pose``; it is looked for on the next 100 m alone, as lines may cross."""
    return line.beyond(pose[XY], LOOK_POINTS)


def told_route(line: RouteLine, pose: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "20 2"]:
    """What is told of the route [m, rig frame of ``pose``]: NaN in its first half, and past the line's end."""
    wanted = np.linspace(0.0, ROUTE_REACH_M, ROUTE_POINTS)
    wanted[: ROUTE_POINTS // 2] = np.nan
    points = [np.interp(wanted, line.travelled_m, column, right=np.nan) for column in line.points[:, XY].T]
    return points_to_local(np.stack(points, axis=1), pose)


def in_rig(plan: TimedPlan, now_us: int, pose: Float64[np.ndarray, "3"]) -> Plan:
    """The plan's poses at 0.5 s, 1.0 s, … after ``now_us`` in the frame of ``pose``; between its own straight."""
    since = (plan.stamps_us - now_us).astype(np.float64)
    times = np.arange(POSE_US, since[-1] + 1.0, POSE_US)
    x, y, headings = plan.poses[:, POSE].T
    columns = [np.interp(times, since, values) for values in (x, y, np.unwrap(headings))]
    return poses_to_local(np.stack(columns, axis=1), pose)
