"""A drive written as NAVSIM's files and read back without the devkit."""

import numpy as np
import pytest

from navsim_agents.data.logs import SceneLoader, read_log
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.world.camera.calibration import default_cameras
from tests.world.small_town import LOCATION, ORIGIN, SPEED_MPS, small_drive
from tests.world.small_world import SPLIT, write_small_world

# 151 steps of 0.1 s are 31 frames of 0.5 s; overlapping scenes of 4 + 10 frames start at frames 0 ... 17.
NUM_FRAMES, NUM_SCENES = 31, 18

# Written by OpenScene's process_data/create_openscene_metadata.py.
OPENSCENE_KEYS = (
    "token frame_idx timestamp log_name log_token scene_name scene_token map_location roadblock_ids vehicle_name "
    "can_bus lidar_path lidar2ego_translation lidar2ego_rotation ego2global_translation ego2global_rotation "
    "ego_dynamic_state traffic_lights driving_command cams sample_prev sample_next ego2global lidar2ego lidar2global "
    "anns"
)


@pytest.fixture(scope="module")
def loader(small_world):
    return SceneLoader(small_world, SPLIT, sensors={"cam_f0": (2, 3), "cam_l0": (3,)}, frame_interval=1)


def test_every_overlapping_scene_is_found(small_world, loader):
    assert len(loader) == len(set(loader.tokens)) == NUM_SCENES
    assert list(loader.tokens_per_log()) == [small_drive().log_name]
    assert len(SceneLoader(small_world, SPLIT)) == 2  # without overlap
    assert all(len(token) == 16 for token in loader.tokens)


def test_poses_and_motion_come_back(loader):
    agent_input = loader.get_agent_input(loader.tokens[0])
    poses = np.array([status.ego_pose for status in agent_input.ego_statuses])
    np.testing.assert_allclose(poses[:, 0], SPEED_MPS * np.array([-1.5, -1.0, -0.5, 0.0]), atol=1e-6)
    np.testing.assert_allclose(poses[:, 1:], 0.0, atol=1e-9)
    assert agent_input.ego_statuses[3].ego_velocity.tolist() == [SPEED_MPS, 0.0]
    assert agent_input.ego_statuses[3].ego_acceleration.tolist() == [0.25, -0.5]


def test_future_is_the_drive_itself(loader):
    trajectory = loader.get_scene(loader.tokens[0]).get_future_trajectory(8)
    np.testing.assert_allclose(trajectory.poses[:, 0], SPEED_MPS * 0.5 * np.arange(1, 9), atol=1e-9)
    assert trajectory.poses.shape == (8, 3)
    with pytest.raises(InputError, match=r"num_trajectory_frames=11, but scene .* has 10 future frames"):
        loader.get_scene(loader.tokens[0]).get_future_trajectory(11)


def test_global_pose_keeps_millimetres(loader):
    """Map coordinates are so large that float32 would be off by a quarter of a metre."""
    scene = loader.get_scene(loader.tokens[0])
    east, north = ORIGIN
    np.testing.assert_allclose(scene.current_pose, [east + 5.0 + 1.5 * SPEED_MPS, north, 0.0], atol=1e-6)


def test_commands_follow_the_drive(loader):
    statuses = [loader.get_scene(token).frames[3].ego_status for token in loader.tokens]
    assert [status.driving_command.tolist() for status in statuses[:9]] == [[0, 1, 0, 0]] * 9  # steps 15 ... 55
    assert [status.driving_command.tolist() for status in statuses[9:]] == [[0, 0, 1, 0]] * 9  # steps 60 ...


def test_boxes_are_in_the_ego_frame(loader):
    frame = loader.get_scene(loader.tokens[0]).frames[3]  # step 15: 1.5 s
    assert frame.annotations.names == ["vehicle"]
    expected = [25.0 + 4.0 * 1.5 - 5.0 - SPEED_MPS * 1.5, 3.5, 0.8, 4.5, 1.9, 1.6, 0.0]
    np.testing.assert_allclose(frame.annotations.boxes[0], expected, atol=1e-6)
    np.testing.assert_allclose(frame.annotations.velocity_3d[0], [4.0, 0.0, 0.0], atol=1e-9)


def test_tracks_appear_when_they_are_seen(loader):
    names = [frame.annotations.names for frame in loader.get_scene(loader.tokens[0]).frames]
    assert names == [["vehicle"]] * 8 + [["vehicle", "pedestrian"]] * 6  # valid from step 40, frame 8
    tokens = [frame.annotations.track_tokens[0] for frame in loader.get_scene(loader.tokens[0]).frames]
    assert set(tokens) == {"00000000000000aa"}


def test_a_turned_ego_turns_boxes_and_velocities():
    """Ego heading north sees what drives east pass from left to right: velocity (0, -v) in its frame."""
    from dataclasses import replace

    from navsim_agents.world.writers.logs import log_frames

    drive = small_drive()
    poses = drive.ego.poses.copy()
    poses[:, 2] = np.pi / 2
    frame = log_frames(replace(drive, ego=replace(drive.ego, poses=poses)), {})[0]
    np.testing.assert_allclose(frame["anns"]["gt_boxes"][0, [0, 1, 6]], [3.5, -20.0, -np.pi / 2], atol=1e-6)
    np.testing.assert_allclose(frame["anns"]["gt_velocity_3d"][0], [0.0, -4.0, 0.0], atol=1e-9)


def test_route_and_lights(loader):
    first, last = (loader.get_scene(loader.tokens[i]).frames[3] for i in (0, -1))
    assert (first.roadblock_ids, last.roadblock_ids) == (["10", "20", "30"], ["10", "20", "30"])
    assert first.traffic_lights == last.traffic_lights == [(21, True), (22, False)]  # yellow is not red
    assert loader.get_scene(loader.tokens[-1]).scene_metadata.map_name == LOCATION


def test_only_the_asked_images_are_read(loader):
    cameras = loader.get_agent_input(loader.tokens[0]).cameras
    shown = [[name for name in ("cam_f0", "cam_l0", "cam_r0") if getattr(c, name).image is not None] for c in cameras]
    assert shown == [[], [], ["cam_f0"], ["cam_f0", "cam_l0"]]
    image = cameras[3].cam_f0.image
    assert (image.shape, image.dtype) == ((33, 60, 3), np.uint8)
    assert abs(int(image[0, 0, 0]) - 15) <= 2  # the shade of step 15, but for JPEG's rounding


def test_calibration_is_that_of_the_camera(loader):
    camera, model = loader.get_agent_input(loader.tokens[0]).cameras[3].cam_f0, default_cameras()["cam_f0"]
    np.testing.assert_array_equal(camera.intrinsics, model.intrinsics)
    np.testing.assert_array_equal(camera.sensor2lidar_rotation, model.sensor2lidar_rotation)
    np.testing.assert_array_equal(camera.sensor2lidar_translation, model.sensor2lidar_translation)


def test_missing_and_cut_images_are_named(tmp_path):
    root = write_small_world(tmp_path)
    loader = SceneLoader(root, SPLIT, frame_interval=1)
    frame = loader.get_scene(loader.tokens[0]).log_frames[3]
    image = root / "sensor_blobs" / SPLIT / frame["cams"]["CAM_F0"]["data_path"]
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(WorldDataError, match=rf"{frame['token']}.jpg is not a complete image"):
        loader.get_agent_input(loader.tokens[0])
    image.unlink()
    with pytest.raises(WorldDataError, match=rf"{frame['token']}.jpg is missing, although the log names it; render"):
        loader.get_agent_input(loader.tokens[0])
    SceneLoader(root, SPLIT, sensors=(), frame_interval=1).get_agent_input(loader.tokens[0])


def test_same_drive_same_bytes(small_world, tmp_path):
    files = sorted(path.relative_to(small_world) for path in small_world.rglob("*.*") if path.is_file())
    again = write_small_world(tmp_path)
    assert len(files) == 1 + 2 * NUM_FRAMES
    assert all((again / file).read_bytes() == (small_world / file).read_bytes() for file in files)


def test_frames_have_every_key_of_openscene(small_world):
    frames = read_log(small_world / "navsim_logs" / SPLIT / f"{small_drive().log_name}.pkl")
    assert len(frames) == NUM_FRAMES
    assert set(OPENSCENE_KEYS.split()) == set(frames[0])
    assert [frame["timestamp"] - frames[0]["timestamp"] for frame in frames[:3]] == [0, 500_000, 1_000_000]
    assert frames[1]["sample_prev"] == frames[0]["token"]
    assert frames[0]["can_bus"].shape == (18,)
    assert set(frames[0]["cams"]) == {name.upper() for name in default_cameras()}
    corner = frames[0]["ego2global"] @ [1.0, 2.0, 0.0, 1.0]
    np.testing.assert_allclose(corner[:2], ORIGIN + np.array([6.0, 2.0]), atol=1e-6)
