"""Features of the full planner: what they make, and what they refuse."""

from __future__ import annotations

import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from navsim_agents.data.types import AgentInput, Camera, Cameras
from navsim_agents.drive_jepa.cameras import camera_from_ego
from navsim_agents.drive_jepa.config import ImageConfig
from navsim_agents.drive_jepa.proposal_features import (
    EgoBuilder,
    ProjectionBuilder,
    SurroundPicturesBuilder,
    previous_input,
)
from navsim_agents.errors import InputError
from navsim_agents.models.four_cameras import CAMERAS
from navsim_agents.poses import poses_to_global
from tests.drive_jepa.planner_scenes import Drive, calibrated, picture, with_status


def project(matrix: np.ndarray, *point: float) -> tuple[float, float, float]:
    u, v, depth, one = matrix @ np.array([*point, 1.0])
    assert one == 1.0
    return u / depth, v / depth, depth


def test_points_ahead_appear_where_the_lens_says() -> None:
    """cam_f0: 1.66 m ahead, 1.55 m up, focal length 1545 px, centre (960, 560)."""
    matrix = camera_from_ego(calibrated("cam_f0", None), "cam_f0")
    assert project(matrix, 11.66, 0.0, 1.55) == pytest.approx((960.0, 560.0, 10.0))
    assert project(matrix, 11.66, 2.0, 0.55) == pytest.approx((960.0 - 309.0, 560.0 + 154.5, 10.0))
    assert project(matrix, -8.34, 0.0, 1.55)[2] == pytest.approx(-10.0)


def test_projection_equals_opencv() -> None:
    camera, points = calibrated("cam_l0", None), np.random.default_rng(2).uniform((2, 3, -1), (9, 20, 3), (7, 3))
    rotation = np.linalg.inv(camera.sensor2lidar_rotation)
    wanted, _ = cv2.projectPoints(
        points, rotation, -rotation @ camera.sensor2lidar_translation, camera.intrinsics, np.zeros(5)
    )
    matrix = camera_from_ego(camera, "cam_l0")
    found = [project(matrix, *point)[:2] for point in points]
    np.testing.assert_allclose(found, wanted[:, 0], rtol=1e-9)


def test_every_camera_has_its_matrix_in_order() -> None:
    agent_input = Drive(cameras=CAMERAS).agent_input(4)
    found = ProjectionBuilder(CAMERAS).compute_features(agent_input)["projection"]
    assert found.dtype == torch.float32
    assert found.shape == (4, 4, 4)
    for matrix, name in zip(found, CAMERAS):
        np.testing.assert_allclose(matrix, camera_from_ego(calibrated(name, None), name), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("intrinsics", None, r"cam_f0 has intrinsics None, but it must be \[3, 3\] finite numbers; load the sensors"),
        ("sensor2lidar_translation", np.array([1.0, np.nan, 0.0]), r"sensor2lidar_translation \[1.0, nan, 0.0\]"),
        ("sensor2lidar_rotation", np.eye(2), r"sensor2lidar_rotation .* it must be \[3, 3\]"),
    ],
)
def test_a_camera_without_calibration_is_refused(field: str, value: object, message: str) -> None:
    camera = replace(calibrated("cam_f0", picture(1)), **{field: value})
    with pytest.raises(InputError, match=message):
        camera_from_ego(camera, "cam_f0")


def test_ego_vector_is_pose_velocity_acceleration_command() -> None:
    agent_input = with_status(
        Drive().agent_input(5),
        ego_pose=np.array([-0.0, 0.0, 0.0]),
        ego_velocity=np.array([7.0, 0.5]),
        ego_acceleration=np.array([-1.0, 0.25]),
        driving_command=np.array([0, 0, 1, 0]),
    )
    found = EgoBuilder().compute_features(agent_input)["ego"]
    assert found.tolist() == [0.0, 0.0, 0.0, 7.0, 0.5, -1.0, 0.25, 0.0, 0.0, 1.0, 0.0]
    assert not torch.signbit(found[:3]).any()


def test_ego_vector_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match=r"ego_pose is \[nan, 0.0, 0.0\], but must be 3 finite numbers"):
        EgoBuilder().compute_features(with_status(Drive().agent_input(5), ego_pose=np.array([np.nan, 0, 0])))


def test_surround_pictures_are_whole_and_in_order() -> None:
    agent_input = Drive(cameras=CAMERAS).agent_input(4)
    cameras = {name: calibrated(name, picture(index)) for index, name in enumerate(CAMERAS)}
    agent_input = AgentInput(agent_input.ego_statuses, [*agent_input.cameras[:-1], Cameras(**cameras)])
    builder = SurroundPicturesBuilder(ImageConfig(width=96, height=54), CAMERAS)
    found = builder.compute_features(agent_input)["surround_pictures"]
    assert (found.shape, found.dtype) == ((4, 3, 54, 96), torch.uint8)
    for index in range(4):
        wanted = cv2.resize(picture(index), (96, 54)).transpose(2, 0, 1)
        assert np.abs(found[index].numpy().astype(int) - wanted).max() <= 1


def test_a_camera_that_was_not_loaded_is_refused() -> None:
    agent_input = Drive(cameras=("cam_f0",)).agent_input(4)
    with pytest.raises(InputError, match="cam_b0 of the current frame has no image"):
        SurroundPicturesBuilder(ImageConfig(96, 54), CAMERAS).compute_features(agent_input)


def test_names_change_with_what_decides_the_content() -> None:
    names = [
        SurroundPicturesBuilder(ImageConfig(96, 54), CAMERAS).get_unique_name(),
        SurroundPicturesBuilder(ImageConfig(96, 48), CAMERAS).get_unique_name(),
        SurroundPicturesBuilder(ImageConfig(96, 54), CAMERAS[:2]).get_unique_name(),
        ProjectionBuilder(CAMERAS).get_unique_name(),
        ProjectionBuilder(CAMERAS[:1]).get_unique_name(),
        EgoBuilder().get_unique_name(),
    ]
    assert len(set(names)) == len(names)
    assert pickle.loads(pickle.dumps(ProjectionBuilder(CAMERAS))).get_unique_name() == names[3]


def test_previous_input_is_what_was_seen_half_a_second_ago() -> None:
    """The history of frames 1 to 4, seen from frame 5, equals what frame 4 was given, less its oldest frame."""
    drive = Drive()
    earlier, wanted = previous_input(drive.agent_input(5)), drive.agent_input(4)
    assert len(earlier.ego_statuses) == len(earlier.cameras) == 3
    for found, own in zip(earlier.ego_statuses, wanted.ego_statuses[1:]):
        np.testing.assert_allclose(found.ego_pose, own.ego_pose, atol=1e-9)
        np.testing.assert_array_equal(found.ego_velocity, own.ego_velocity)
        np.testing.assert_array_equal(found.driving_command, own.driving_command)
    np.testing.assert_array_equal(earlier.cameras[-1].cam_f0.image, wanted.cameras[-1].cam_f0.image)
    ego = [EgoBuilder().compute_features(given)["ego"] for given in (earlier, wanted)]
    assert torch.equal(*ego)


def test_previous_poses_are_moved_by_hand() -> None:
    """A quarter turn: what lies 2 m behind in the present frame lies 2 m to the left of one turned left before."""
    statuses = Drive().agent_input(5).ego_statuses
    poses = [np.array([-3.0, 0.0, np.pi / 2]), np.array([-1.0, 0.0, np.pi / 2]), np.zeros(3)]
    moved = [replace(status, ego_pose=pose) for status, pose in zip(statuses[1:], poses)]
    earlier = previous_input(AgentInput(moved, [Cameras(cam_f0=Camera())] * 3))
    np.testing.assert_allclose(earlier.ego_statuses[0].ego_pose, [0.0, 2.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(poses_to_global(earlier.ego_statuses[0].ego_pose[None], poses[1])[0], poses[0])
