"""Messages of the contract as what the rest of this room works with, and back: float64 here, float32 on the wire."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
from carla_driver_interface.protocol import (
    AvailableCamera,
    CameraSpec,
    OpenCVPinholeCameraParam,
    Pose,
    PoseAtTime,
    Quat,
    Trajectory,
    Vec3,
)
from jaxtyping import Float64

from navsim_agents.alpasim.ego import EgoSample
from navsim_agents.alpasim.faults import INVALID_ARGUMENT, DriverFault
from navsim_agents.alpasim.pictures import DeclaredCamera, refuse_size
from navsim_agents.alpasim.plans import LocalPlan
from navsim_agents.alpasim.rigid import RigidPose, from_matrix, rotation_matrix, unit_quaternion
from navsim_agents.common.poses import XY

PINHOLE = "opencv_pinhole_param"


def pose_of(message: Any) -> RigidPose:
    """A pose from the wire; without a turn it has none.

    Raises:
        DriverFault: a number is not finite.
    """
    shift, turn = message.vec, message.quat
    position = np.array([shift.x, shift.y, shift.z], dtype=np.float64)
    quaternion = np.array([turn.w, turn.x, turn.y, turn.z], dtype=np.float64)
    if not np.isfinite(position).all() or not np.isfinite(quaternion).all():
        raise DriverFault(
            INVALID_ARGUMENT,
            f"a pose is {position.tolist()} m, {quaternion.tolist()}, but must be finite; leave it out",
        )
    return RigidPose(position, unit_quaternion(quaternion))


def pose_message(pose: RigidPose) -> Any:
    """A pose for the wire."""
    x, y, z = pose.position.tolist()
    w, x_turn, y_turn, z_turn = pose.quaternion.tolist()
    return Pose(vec=Vec3(x=x, y=y, z=z), quat=Quat(w=w, x=x_turn, y=y_turn, z=z_turn))


def trajectory_message(stamps_us: list[int], poses: list[RigidPose]) -> Any:
    """Poses by time, for the wire."""
    stamped = [PoseAtTime(pose=pose_message(pose), timestamp_us=stamp) for stamp, pose in zip(stamps_us, poses)]
    return Trajectory(poses=stamped)


def plan_message(plan: LocalPlan) -> Any:
    """A plan for the wire."""
    return trajectory_message(plan.stamps_us, plan.poses)


def sample_of(pose: RigidPose, state: Optional[Any]) -> EgoSample:
    """A report of the ego; what the message leaves out of the motion, or has as no number, is None."""
    if state is None:
        return EgoSample(pose)
    velocity, acceleration, turning = (
        vector_of(state, name) for name in ("linear_velocity", "linear_acceleration", "angular_velocity")
    )
    return EgoSample(
        pose,
        None if velocity is None else velocity[XY],
        None if acceleration is None else acceleration[XY],
        None if turning is None else float(turning[-1]),
    )


def vector_of(message: Any, name: str) -> Optional[Float64[np.ndarray, "3"]]:
    """A vector of a message, None where it is left out or not finite."""
    if not message.HasField(name):
        return None
    value = getattr(message, name)
    vector = np.array([value.x, value.y, value.z], dtype=np.float64)
    return vector if np.isfinite(vector).all() else None


def camera_of(message: Any) -> DeclaredCamera:
    """A camera as a session declares it, in the contract's second revision: the pose of its optical frame in the rig.

    Raises:
        DriverFault: it is no pinhole camera, its pictures have another form, or a number is not finite.
    """
    spec, name = message.intrinsics, message.logical_id
    kind = spec.WhichOneof("camera_param")
    if kind != PINHOLE:
        raise DriverFault(
            INVALID_ARGUMENT, f"camera {name} is {kind or 'of no kind'}, but the agent knows {PINHOLE} alone"
        )
    refuse_size(name, spec.resolution_w, spec.resolution_h)
    lens, pose = spec.opencv_pinhole_param, pose_of(message.rig_to_camera)
    intrinsics = np.array(
        [
            [lens.focal_length_x, 0.0, lens.principal_point_x],
            [0.0, lens.focal_length_y, lens.principal_point_y],
            [0.0, 0.0, 1.0],
        ]
    )
    if not np.isfinite(intrinsics).all() or intrinsics[0, 0] <= 0.0 or intrinsics[1, 1] <= 0.0:
        raise DriverFault(INVALID_ARGUMENT, f"camera {name} has intrinsics {intrinsics.tolist()}; correct them")
    radial, tangential = ([*values, 0.0, 0.0, 0.0] for values in (lens.radial_coeffs, lens.tangential_coeffs))
    distortion = np.array([*radial[:2], *tangential[:2], radial[2]])
    rotation = rotation_matrix(pose.quaternion)
    return DeclaredCamera(spec.resolution_w, spec.resolution_h, intrinsics, rotation, pose.position, distortion)


def camera_message(camera: DeclaredCamera, name: str) -> Any:
    """The reverse of :func:`camera_of`."""
    (focal_x, _, centre_x), (_, focal_y, centre_y), _ = camera.intrinsics.tolist()
    k1, k2, p1, p2, k3 = camera.distortion.tolist()
    lens = OpenCVPinholeCameraParam(
        focal_length_x=focal_x,
        focal_length_y=focal_y,
        principal_point_x=centre_x,
        principal_point_y=centre_y,
        radial_coeffs=[k1, k2, k3],
        tangential_coeffs=[p1, p2],
    )
    spec = CameraSpec(opencv_pinhole_param=lens, logical_id=name, resolution_w=camera.width, resolution_h=camera.height)
    mount = RigidPose(camera.translation, from_matrix(camera.rotation))
    return AvailableCamera(intrinsics=spec, rig_to_camera=pose_message(mount), logical_id=name)


def route_of(message: Any) -> Float64[np.ndarray, "points 2"]:
    """A route's points [m] in the rig frame; those that are not known are NaN."""
    return np.array([(point.x, point.y) for point in message.waypoints], dtype=np.float64).reshape(-1, 2)
