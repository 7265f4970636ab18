"""CARLA's frames and Bench2Drive's cameras, by worked values that the benchmark's code and CARLA's types gave too."""

from __future__ import annotations

from typing import Optional

import numpy as np
import pytest

from navsim_agents.bench2drive import frames
from navsim_agents.bench2drive.inputs import Bench2DriveInput, command_index
from navsim_agents.common.poses import FloatArray, poses_to_local
from navsim_agents.errors import InputError

EGO = np.array([100.0, -50.0, -np.pi / 6])  # CARLA (100, 50), yaw 30 degrees: its origin


@pytest.mark.parametrize(
    ("yaw_deg", "compass", "heading"),
    [(30.0, 2.094395, -0.523599), (-90.0, 0.0, 1.570796), (180.0, 4.712389, -3.141593)],
)
def test_compass_and_yaw_give_one_heading(yaw_deg: float, compass: float, heading: float) -> None:
    for found in (frames.heading_of_compass(compass), frames.heading_of_yaw(yaw_deg)):
        turn = float(found) - heading
        assert np.hypot(np.cos(turn) - 1.0, np.sin(turn)) < 2e-6
        assert -np.pi <= found < np.pi


def test_a_compass_without_a_value_has_no_heading() -> None:
    assert np.isnan(frames.heading_of_compass(float("nan")))


def test_target_point_in_the_frame_of_the_origin_and_of_the_rear_axle() -> None:
    target = np.array([120.0, 70.0])
    np.testing.assert_allclose(frames.target_in_ego(target, EGO), (27.3205, -7.3205), atol=1e-4)
    rear_axle = frames.rear_axle_of_origin(EGO)
    np.testing.assert_allclose(frames.target_in_ego(target, rear_axle), (28.7205, -7.3205), atol=1e-4)


@pytest.mark.parametrize(
    ("camera", "point", "u", "v", "depth"),  # ahead, left, up of CARLA's origin
    [
        (frames.FRONT, (10.0, 0.0, 0.0), 800.000, 648.699, 9.200),
        (frames.FRONT, (10.0, -2.0, 0.0), 1048.374, 648.699, 9.200),
        (frames.FRONT, (10.0, 3.0, 1.0), 427.440, 524.512, 9.200),
        (frames.FRONT_LEFT, (5.0, 5.0, 0.0), 1037.583, 737.505, 6.358),
        (frames.BACK, (-12.0, -1.0, 0.0), 743.983, 539.627, 10.000),
    ],
)
def test_cameras_show_points_where_the_benchmark_does(
    camera: str, point: tuple[float, float, float], u: float, v: float, depth: float
) -> None:
    in_ego = np.add(point, (frames.REAR_AXLE_M, 0.0, 0.0))
    np.testing.assert_allclose(frames.calibration(camera).project(in_ego), (u, v, depth), atol=6e-4)
    half = frames.calibration(camera, 800, 450).project(in_ego)
    np.testing.assert_allclose(half, (u / 2, v / 2, depth), atol=6e-4)


def test_focal_lengths() -> None:
    found = [frames.calibration(name).intrinsics[0, 0] for name in (frames.FRONT, frames.BACK)]
    np.testing.assert_allclose(found, (1142.5184, 560.1660), atol=1e-4)


def test_corners_come_of_half_extents() -> None:
    corners = frames.box_corners_of_extent(np.array([10.0, 20.0]), 90.0, np.array([2.4508, 1.0642]))
    left_handed = {(8.9358, 22.4508), (11.0642, 22.4508), (8.9358, 17.5492), (11.0642, 17.5492)}
    assert {(round(x, 4), round(-y, 4)) for x, y in corners.tolist()} == left_handed


def carla_matrix(x: float, y: float, yaw_deg: float) -> FloatArray:
    """As ``carla.Transform.get_matrix`` has it: the columns are ahead, right and up."""
    cos, sin = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    return np.array([[cos, -sin, 0.0, x], [sin, cos, 0.0, y], [0.0, 0.0, 1.0, 0.3], [0.0, 0.0, 0.0, 1.0]])


def test_pose_comes_of_the_matrix_and_goes_back() -> None:
    world2ego = np.linalg.inv(carla_matrix(100.0, 50.0, 30.0))
    np.testing.assert_allclose(frames.pose_of_world2actor(world2ego), EGO, atol=1e-9)
    np.testing.assert_allclose(frames.world2actor_of_pose(EGO, 0.3), world2ego, atol=1e-9)


def test_a_plan_of_the_rear_axle_is_one_of_the_origin() -> None:
    now, later = np.array([3.0, 4.0, 0.7]), np.array([9.0, 5.0, 1.1])
    plan = poses_to_local(frames.rear_axle_of_origin(later), frames.rear_axle_of_origin(now))
    np.testing.assert_allclose(frames.plan_of_origin(plan), poses_to_local(later, now), atol=1e-12)


@pytest.mark.parametrize(("given", "index"), [(1, 0), (3, 2), (6, 5), (-1, 3), (None, 3)])
def test_commands_by_number(given: Optional[int], index: int) -> None:
    assert command_index(given) == index


def test_other_commands_and_cameras_are_refused() -> None:
    with pytest.raises(InputError, match="command is 7"):
        command_index(7)
    with pytest.raises(InputError, match="CAM_TOP"):
        frames.calibration("CAM_TOP")


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("pictures", {"CAM_TOP": np.zeros((1, 2, 3, 3), np.uint8)}, "CAM_TOP"),
        ("pictures", {frames.FRONT: np.zeros((2, 3, 4), np.uint8)}, "BGRA"),
        ("target_point", np.array([np.nan, 0.0]), "target_point"),
        ("speed_mps", float("nan"), "speed_mps"),
        ("command", 6, "command"),
    ],
)
def test_what_no_planner_can_use_is_refused(field: str, value: object, word: str) -> None:
    good = {
        "pictures": {frames.FRONT: np.zeros((1, 2, 4, 3), np.uint8)},
        "speed_mps": 3.0,
        "acceleration": np.zeros(2),
        "target_point": np.array([20.0, 1.0]),
        "command": 3,
    }
    Bench2DriveInput(**good)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=word):
        Bench2DriveInput(**{**good, field: value})  # type: ignore[arg-type]
