"""Rigid poses in space, in float64: the wire's own are float32, and so are only rounded once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.data.scene import quaternion_yaw

Vector = Float64[np.ndarray, "3"]
Quaternion = Float64[np.ndarray, "4"]
"""(w, x, y, z), of length one."""
NEARLY_ALIKE = 1.0 - 1e-9
"""Cosine of half an angle, beyond which two turns are blended in a straight line."""


@dataclass(frozen=True)
class RigidPose:
    """Where a frame lies in another: turn, then shift [m]."""

    position: Vector
    quaternion: Quaternion

    @property
    def planar(self) -> Float64[np.ndarray, "3"]:
        """x, y [m] and heading [rad]."""
        return np.array([*self.position[XY], quaternion_yaw(self.quaternion)])

    def moved(self, pose: Float64[np.ndarray, "3"]) -> RigidPose:
        """The planar ``pose`` of this frame's ground, in the frame that this one lies in."""
        shift = np.array([pose[X], pose[Y], 0.0])
        half = 0.5 * pose[HEADING]
        turn = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
        return RigidPose(self.position + turned(shift, self.quaternion), product(self.quaternion, turn))


def unit_quaternion(values: Quaternion) -> Quaternion:
    """Of length one; all zeros, which a message without a turn holds, mean no turn."""
    length = float(np.linalg.norm(values))
    return values / length if length > 0.0 else np.array([1.0, 0.0, 0.0, 0.0])


def product(first: Quaternion, second: Quaternion) -> Quaternion:
    """The turn ``second``, then ``first``."""
    (w, x, y, z), (w_second, x_second, y_second, z_second) = first.tolist(), second.tolist()
    return np.array(
        [
            w * w_second - x * x_second - y * y_second - z * z_second,
            w * x_second + x * w_second + y * z_second - z * y_second,
            w * y_second - x * z_second + y * w_second + z * x_second,
            w * z_second + x * y_second - y * x_second + z * w_second,
        ]
    )


def turned(vector: Vector, turn: Quaternion) -> Vector:
    """``vector`` after ``turn``."""
    backward = turn * [1.0, -1.0, -1.0, -1.0]
    return product(product(turn, np.array([0.0, *vector])), backward)[1:]


def rotation_matrix(turn: Quaternion) -> Float64[np.ndarray, "3 3"]:
    """The same as a matrix; its columns are the turned frame's axes."""
    return np.stack([turned(axis, turn) for axis in np.eye(3)], axis=1)


def blended(first: RigidPose, second: RigidPose, share: float) -> RigidPose:
    """``share`` of the way from ``first`` to ``second``: straight, turning at an even rate."""
    position = first.position + share * (second.position - first.position)
    start, end = first.quaternion, second.quaternion
    cosine = float(start @ end)
    if cosine < 0.0:  # a quaternion and its negative are the same turn; the shorter way counts
        end, cosine = -end, -cosine
    if cosine > NEARLY_ALIKE:
        return RigidPose(position, unit_quaternion(start + share * (end - start)))
    angle = np.arccos(cosine)
    turn = (np.sin((1.0 - share) * angle) * start + np.sin(share * angle) * end) / np.sin(angle)
    return RigidPose(position, unit_quaternion(turn))


def from_planar(pose: Float64[np.ndarray, "3"]) -> RigidPose:
    """The pose x, y [m], heading [rad] on level ground."""
    return RigidPose(np.zeros(3), unit_quaternion(np.zeros(4))).moved(pose)


def from_matrix(rotation: Float64[np.ndarray, "3 3"]) -> Quaternion:
    """The quaternion of a rotation: of the four rows that are multiples of it, the one with the largest numbers."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    rows = np.array(
        [
            [1.0 + xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, 1.0 + xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, 1.0 - xx + yy - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, 1.0 - xx - yy + zz],
        ]
    )
    return unit_quaternion(rows[int(np.argmax(np.diag(rows)))])
