"""The other end: with it any loop asks a served driver for plans."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Optional, Union

import grpc
import numpy as np
from carla_driver_interface import protocol
from carla_driver_interface.contract import contract_metadata
from jaxtyping import Float64, Int64, UInt8
from PIL import Image

from navsim_agents.alpasim.faults import DriverFault
from navsim_agents.alpasim.messages import camera_message, pose_message, pose_of, trajectory_message
from navsim_agents.alpasim.pictures import DeclaredCamera
from navsim_agents.alpasim.rigid import from_planar
from navsim_agents.common.conventions import STEP_US

TIMEOUT_S = 60.0
JPEG_QUALITY = 95
Pair = Float64[np.ndarray, "2"]


class TimedPlan(NamedTuple):
    """A plan in the session's local frame; the first pose is the ego's own at the time that was asked at."""

    stamps_us: Int64[np.ndarray, " poses"]
    poses: Float64[np.ndarray, "poses 3"]  # m, m, rad


class DriverClient:
    """A connection to a served driver; may have several sessions at once."""

    def __init__(self, target: str, timeout_s: float = TIMEOUT_S) -> None:
        """Connect to ``target``, such as ``localhost:50051``; a call without an answer for ``timeout_s`` fails."""
        self.channel = grpc.insecure_channel(target, options=protocol.channel_options())
        self.stub = protocol.EgodriverServiceStub(self.channel)
        self.timeout_s = timeout_s

    def version(self) -> str:
        """What the server calls its driver.

        Raises:
            DriverFault: nobody answers.
        """
        with faults():
            return str(self.stub.get_version(protocol.Empty(), timeout=self.timeout_s).version_id)

    def start(self, cameras: Mapping[str, DeclaredCamera], name: Optional[str] = None, seed: int = 0) -> DrivenSession:
        """Begin a session with ``cameras`` by the names that its pictures will have; it has a name of its own.

        Raises:
            DriverFault: the server refuses it.
        """
        request = protocol.DriveSessionRequest(session_uuid=name or str(uuid.uuid4()), random_seed=seed)
        declared = [camera_message(camera, camera_name) for camera_name, camera in cameras.items()]
        request.rollout_spec.vehicle.available_cameras.extend(declared)
        with faults():
            self.stub.start_session(request, timeout=self.timeout_s, metadata=contract_metadata())
        return DrivenSession(self, request.session_uuid)

    def close(self) -> None:
        """Hang up; sessions that are open end at the server when they have been idle."""
        self.channel.close()

    def __enter__(self) -> DriverClient:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class DrivenSession:
    """One rollout. Send what is new, then ask for a plan; times are microseconds of the rollout's own clock.

    Every call raises ``DriverFault`` where the server refuses it; ``code`` is gRPC's.
    """

    def __init__(self, client: DriverClient, name: str) -> None:
        self._client, self.name = client, name

    def send_egomotion(
        self,
        stamp_us: int,
        pose: Float64[np.ndarray, "3"],
        velocity: Optional[Pair] = None,
        acceleration: Optional[Pair] = None,
        yaw_rate: Optional[float] = None,
    ) -> None:
        """Where the ego is (x, y, heading; local frame), and what is known of its motion (rig frame)."""
        state = protocol.DynamicState()
        if velocity is not None:
            state.linear_velocity.CopyFrom(_vector(*velocity))
        if acceleration is not None:
            state.linear_acceleration.CopyFrom(_vector(*acceleration))
        if yaw_rate is not None:
            state.angular_velocity.CopyFrom(protocol.Vec3(z=yaw_rate))
        request = protocol.RolloutEgoTrajectory(session_uuid=self.name, dynamic_states=[state])
        request.trajectory.CopyFrom(trajectory_message([stamp_us], [from_planar(pose)]))
        self._call("submit_egomotion_observation", request)

    def send_route(self, stamp_us: int, points: Float64[np.ndarray, "points 2"]) -> None:
        """Points [m] in the rig frame of ``stamp_us``; those that are not known are NaN."""
        route = protocol.Route(timestamp_us=stamp_us, waypoints=[_vector(*point) for point in points])
        self._call("submit_route", protocol.RouteRequest(session_uuid=self.name, route=route))

    def send_picture(self, camera: str, stamp_us: int, picture: Union[bytes, UInt8[np.ndarray, "H W 3"]]) -> None:
        """A picture whose exposure ended at ``stamp_us``: RGB, which goes as a JPEG, or a JPEG's or PNG's own bytes."""
        request = protocol.RolloutCameraImage(session_uuid=self.name)
        image = request.camera_image
        image.logical_id, image.frame_start_us, image.frame_end_us = camera, stamp_us, stamp_us
        image.image_bytes = picture if isinstance(picture, bytes) else jpeg(picture)
        self._call("submit_image_observation", request)

    def plan(self, now_us: int, query_us: Optional[int] = None) -> TimedPlan:
        """What the driver means to do from ``now_us`` on; by default it is asked what to do for 0.1 s."""
        query = now_us + STEP_US if query_us is None else query_us
        request = protocol.DriveRequest(session_uuid=self.name, time_now_us=now_us, time_query_us=query)
        poses = self._call("drive", request).trajectory.poses
        stamps = np.array([at.timestamp_us for at in poses], dtype=np.int64)
        return TimedPlan(stamps, np.stack([pose_of(at.pose).planar for at in poses]))

    def close(self) -> None:
        """End the session."""
        self._call("close_session", protocol.DriveSessionCloseRequest(session_uuid=self.name))

    def __enter__(self) -> DrivenSession:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _call(self, method: str, request: Any) -> Any:
        with faults():
            return getattr(self._client.stub, method)(request, timeout=self._client.timeout_s)


@contextmanager
def faults() -> Iterator[None]:
    """Inside, gRPC's errors become :class:`DriverFault`."""
    try:
        yield
    except grpc.RpcError as error:
        raise DriverFault(error.code().name, error.details() or "") from error


def _vector(x: float, y: float) -> Any:
    return protocol.Vec3(x=float(x), y=float(y))


def as_heard(pose: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3"]:
    """``pose`` (x, y, heading) as it is at the other end of the wire, which is float32."""
    return pose_of(pose_message(from_planar(pose))).planar


def jpeg(picture: UInt8[np.ndarray, "H W 3"], quality: int = JPEG_QUALITY) -> bytes:
    """A picture as cameras send it."""
    return _encoded(picture, format="JPEG", quality=quality)


def png(picture: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """A picture without loss."""
    return _encoded(picture, format="PNG", compress_level=1)


def _encoded(picture: UInt8[np.ndarray, "H W 3"], **how: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, **how)
    return stream.getvalue()
