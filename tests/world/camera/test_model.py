from __future__ import annotations

import cv2
import numpy as np
import pytest

from navsim_agents.common.conventions import CAMERA_NAMES
from navsim_agents.errors import InputError
from navsim_agents.world.camera import CameraModel, camera_rotation, default_cameras


def test_a_point_straight_ahead_lands_on_the_principal_point():
    for camera in default_cameras().values():
        ahead = camera.sensor2lidar_translation + 7.0 * camera.sensor2lidar_rotation[:, 2]
        pixel, depth = camera.project(ahead)
        np.testing.assert_allclose(pixel, [960.0, 560.0], atol=1e-9)
        assert depth == pytest.approx(7.0)


def test_projection_worked_by_hand():
    camera = default_cameras()["cam_f0"]  # at (1.66, 0, 1.55), f = 1545 px
    pixel, depth = camera.project([11.66, 2.0, 0.55])  # 10 m ahead, 2 m left, 1 m below
    assert depth == pytest.approx(10.0)
    np.testing.assert_allclose(pixel, [960.0 - 309.0, 560.0 + 154.5])


def test_points_behind_have_no_pixel():
    pixels, depth = default_cameras()["cam_f0"].project([[-5.0, 0.0, 1.0], [1.66, 3.0, 1.0], [9.0, 0.0, 1.0]])
    np.testing.assert_array_equal(np.isnan(pixels).any(axis=1), [True, True, False])
    assert depth[0] < 0.0
    assert depth[1] == 0.0


@pytest.mark.parametrize("name", CAMERA_NAMES)
def test_projection_agrees_with_opencv(name: str):
    camera = default_cameras()[name]
    rng = np.random.default_rng(3)
    in_camera = rng.uniform([-4.0, -2.0, 1.0], [4.0, 2.0, 30.0], (11, 3))
    points = in_camera @ camera.sensor2lidar_rotation.T + camera.sensor2lidar_translation
    inverse = camera.sensor2lidar_rotation.T
    rotation, _ = cv2.Rodrigues(inverse)
    shift = -inverse @ camera.sensor2lidar_translation
    expected, _ = cv2.projectPoints(points, rotation, shift, camera.intrinsics, np.zeros(5))
    pixels, depth = camera.project(points)
    np.testing.assert_allclose(pixels, expected[:, 0], atol=1e-6)
    np.testing.assert_allclose(depth, in_camera[:, 2])


def test_default_calibrations():
    cameras = default_cameras()
    assert set(cameras) == set(CAMERA_NAMES)
    for name, camera in cameras.items():
        assert camera.name == name
        np.testing.assert_allclose(camera.sensor2lidar_rotation.T @ camera.sensor2lidar_rotation, np.eye(3), atol=1e-12)
        assert np.linalg.det(camera.sensor2lidar_rotation) == pytest.approx(1.0)
        assert 1.4 < camera.sensor2lidar_translation[2] < 1.7
    looks = {name: camera.sensor2lidar_rotation[:, 2] for name, camera in cameras.items()}
    np.testing.assert_allclose(looks["cam_f0"], [1.0, 0.0, 0.0], atol=1e-12)
    assert looks["cam_b0"][0] < -0.99
    assert looks["cam_l0"][1] == pytest.approx(np.sin(np.deg2rad(55.0)))
    assert looks["cam_r0"][1] == pytest.approx(-np.sin(np.deg2rad(55.0)))


def test_left_is_left_and_up_is_up_in_every_camera():
    for camera in default_cameras().values():
        right, _, ahead = camera.sensor2lidar_rotation.T
        centre = camera.sensor2lidar_translation + 10.0 * ahead
        (left, above), _ = camera.project(np.stack((centre - right, centre + np.array([0.0, 0.0, 1.0]))))
        assert left[0] < 960.0
        assert above[1] < 560.0


def test_positive_pitch_looks_down():
    assert camera_rotation(30.0, 2.0)[2, 2] == pytest.approx(-np.sin(np.deg2rad(2.0)))


def test_ground_points_come_back_from_their_pixels():
    camera = default_cameras()["cam_l0"]
    ground = np.array([[[4.0, 6.0, 0.0], [9.0, 8.0, 0.0]]])
    pixels, _ = camera.project(ground)
    np.testing.assert_allclose(camera.pixels_to_ground(pixels), ground, atol=1e-9)
    raised = ground + np.array([0.0, 0.0, 0.4])
    np.testing.assert_allclose(camera.pixels_to_ground(camera.project(raised)[0], ground_z=0.4), raised, atol=1e-9)


def test_sky_pixels_have_no_ground():
    assert np.isnan(default_cameras()["cam_f0"].pixels_to_ground([960.0, 100.0])).all()


def test_scaling_keeps_pixel_centres():
    camera = default_cameras()["cam_r0"]
    small = camera.scaled(480, 360)  # a quarter across, a third down
    points = camera.sensor2lidar_translation + camera.rays([[0.0, 0.0], [1919.0, 1079.0], [700.0, 400.0]]) * 5.0
    large_px, small_px = camera.project(points)[0], small.project(points)[0]
    np.testing.assert_allclose((small_px + 0.5) * [4.0, 3.0] - 0.5, large_px, atol=1e-9)
    np.testing.assert_allclose(small.scaled(1920, 1080).intrinsics, camera.intrinsics)


@pytest.mark.parametrize(
    ("rotation", "message"),
    [
        (np.diag([1.0, 1.0, -1.0]), "no rotation.*determinant -1"),
        (1.1 * np.eye(3), "no rotation"),
        (np.eye(4), r"shape \(4, 4\), but must be \(3, 3\)"),
    ],
)
def test_bad_rotations_are_refused(rotation: np.ndarray, message: str):
    with pytest.raises(InputError, match=message):
        CameraModel("cam_x", np.eye(3), rotation, np.zeros(3))


def test_scaling_to_nothing_is_refused():
    with pytest.raises(InputError, match="0x5; both sides must be at least 1 pixel"):
        default_cameras()["cam_f0"].scaled(0, 5)
