"""Poses in space, beside scipy's rotations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from navsim_agents.alpasim.rigid import (
    RigidPose,
    blended,
    from_matrix,
    from_planar,
    product,
    rotation_matrix,
    turned,
    unit_quaternion,
)

DRAW = np.random.default_rng(3)
RANDOM = Rotation.random(20, random_state=3)
TURNS = [*RANDOM, *(Rotation.from_euler("xyz", turn, degrees=True) for turn in ([180, 0, 0], [0, 180, 0], [0, 0, 180]))]


def wxyz(rotation: Rotation) -> np.ndarray:
    x, y, z, w = rotation.as_quat()
    return np.array([w, x, y, z])


@pytest.mark.parametrize("rotation", TURNS)
def test_turns(rotation: Rotation) -> None:
    vector, other = DRAW.normal(size=3), Rotation.from_euler("xyz", [0.3, -0.8, 2.0])
    quaternion = wxyz(rotation)
    np.testing.assert_allclose(turned(vector, quaternion), rotation.apply(vector), atol=1e-12)
    np.testing.assert_allclose(rotation_matrix(quaternion), rotation.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(
        rotation_matrix(product(quaternion, wxyz(other))), (rotation * other).as_matrix(), atol=1e-12
    )
    np.testing.assert_allclose(rotation_matrix(from_matrix(rotation.as_matrix())), rotation.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("angle", [1e-7, 0.2, 2.5])
def test_blends_turn_at_an_even_rate(share: float, sign: float, angle: float) -> None:
    ends = Rotation.concatenate([RANDOM[0], RANDOM[0] * Rotation.from_rotvec([0.0, 0.6 * angle, 0.8 * angle])])
    first = RigidPose(np.array([1.0, 2.0, 3.0]), wxyz(ends[0]))
    second = RigidPose(np.array([5.0, 0.0, 3.0]), sign * wxyz(ends[1]))
    found = blended(first, second, share)
    np.testing.assert_allclose(found.position, [1 + 4 * share, 2 - 2 * share, 3])
    expected = Slerp([0.0, 1.0], ends)(share).as_matrix()
    np.testing.assert_allclose(rotation_matrix(found.quaternion), expected, atol=1e-9)


def test_a_planar_move_by_hand() -> None:
    """Case 13: rig pose (2.5, 0.1), anchor (100, 50) turned by 90 degrees."""
    found = from_planar(np.array([100.0, 50.0, np.pi / 2])).moved(np.array([2.5, 0.1, 0.25]))
    np.testing.assert_allclose(found.planar, [99.9, 52.5, np.pi / 2 + 0.25])


def test_a_move_on_a_slope_goes_up() -> None:
    """5 degrees up: 10 m ahead lie 9.9619 m ahead and 0.8716 m higher."""
    slope = RigidPose(np.zeros(3), wxyz(Rotation.from_euler("y", -5.0, degrees=True)))
    np.testing.assert_allclose(slope.moved(np.array([10.0, 0.0, 0.0])).position, [9.961947, 0.0, 0.871557], atol=1e-6)


def test_no_turn_at_all_is_no_turn() -> None:
    np.testing.assert_array_equal(unit_quaternion(np.zeros(4)), [1.0, 0.0, 0.0, 0.0])
