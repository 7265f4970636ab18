"""Selection of scenes and refusals of the log reader, on logs made by hand."""

import numpy as np
import pytest

from navsim_agents.data.logs import REQUIRED_KEYS, SceneLoader, read_log, sensor_frames
from navsim_agents.data.scene import quaternion_yaw
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.world.writers.pickles import dump_portable


def make_frame(log_name, index, roadblock_ids=("7",)):
    half = 0.05 * index
    frame = dict.fromkeys(REQUIRED_KEYS)
    return {
        **frame,
        "token": f"{log_name}{index:04d}",
        "timestamp": 500_000 * index,
        "log_name": log_name,
        "roadblock_ids": list(roadblock_ids),
        "ego2global_translation": np.array([2.0 * index, 1.0, 0.0]),
        "ego2global_rotation": np.array([np.cos(half), 0.0, 0.0, np.sin(half)]),
        "ego_dynamic_state": [4.0, 0.0, 0.5, 0.25],
        "traffic_lights": [],
        "driving_command": np.array([1, 0, 0, 0]),
        "cams": {},
    }


def write_logs(root, lengths, **kwargs):
    folder = root / "navsim_logs" / "mini"
    folder.mkdir(parents=True)
    for name, length in lengths.items():
        frames = [make_frame(name, index, **kwargs) for index in range(length)]
        (folder / f"{name}.pkl").write_bytes(dump_portable(frames))
    return root


def test_windows_are_complete_and_named_by_their_current_frame(tmp_path):
    root = write_logs(tmp_path, {"b": 7, "a": 5})
    options = {"sensors": (), "num_history_frames": 2, "num_future_frames": 3}
    assert SceneLoader(root, "mini", **options).tokens == ["a0001", "b0001"]
    assert SceneLoader(root, "mini", frame_interval=1, **options).tokens == ["a0001", "b0001", "b0002", "b0003"]
    assert SceneLoader(root, "mini", frame_interval=2, log_names=["b"], **options).tokens == ["b0001", "b0003"]
    assert SceneLoader(root, "mini", frame_interval=1, tokens=["b0002"], **options).tokens == ["b0002"]


def test_scenes_without_route_are_left_out_unless_wanted(tmp_path):
    root = write_logs(tmp_path, {"a": 14}, roadblock_ids=())
    assert len(SceneLoader(root, "mini", sensors=())) == 0
    assert len(SceneLoader(root, "mini", sensors=(), has_route=False)) == 1


def test_scenes_without_annotations_are_read(tmp_path):
    loader = SceneLoader(write_logs(tmp_path, {"a": 14}), "mini", sensors=())
    assert loader.get_scene(loader.tokens[0]).frames[0].annotations is None


def test_future_turns_with_the_current_pose(tmp_path):
    loader = SceneLoader(write_logs(tmp_path, {"a": 14}), "mini", sensors=())
    first = loader.get_scene(loader.tokens[0]).get_future_trajectory(1).poses[0]
    # 2 m along x, seen by an ego turned by 0.3 rad; the next frame is turned by 0.4 rad.
    np.testing.assert_allclose(first, [2.0 * np.cos(0.3), -2.0 * np.sin(0.3), 0.1], atol=1e-9)


def test_yaw_agrees_with_scipy_on_flat_ground():
    rotation = pytest.importorskip("scipy.spatial.transform").Rotation
    for yaw in (-3.1, -0.5, 0.0, 2.0):
        x, y, z, w = rotation.from_euler("z", yaw).as_quat()
        assert quaternion_yaw(3.0 * np.array([w, x, y, z])) == pytest.approx(yaw)  # of any length


def test_sensor_choice():
    assert sensor_frames(("cam_f0",), 3) == {"cam_f0": (0, 1, 2)}
    assert sensor_frames({"cam_f0": [2], "cam_b0": ()}, 3) == {"cam_f0": (2,), "cam_b0": ()}
    with pytest.raises(InputError, match=r"sensor 'cam_f1' is not a camera that can be read; cameras: cam_f0, cam_l0"):
        sensor_frames(["cam_f1"], 3)
    with pytest.raises(InputError, match=r"cam_f0 is asked for in frames \[3\], but history frames are \[0, 1, 2\]"):
        sensor_frames({"cam_f0": [3]}, 3)


def test_refusals_name_what_is_missing(tmp_path):
    root = write_logs(tmp_path, {"a": 14})
    with pytest.raises(WorldDataError, match=r"navsim_logs/test is not a folder; logs lie in <root>/navsim"):
        SceneLoader(root, "test")
    with pytest.raises(WorldDataError, match="lacks 1 of 2 logs, z first; check log_names"):
        SceneLoader(root, "mini", log_names=["a", "z"])
    with pytest.raises(InputError, match=r"frame_interval=0 must be at least 1, 0 and 1"):
        SceneLoader(root, "mini", frame_interval=0)
    loader = SceneLoader(root, "mini", sensors=("cam_f0",))
    with pytest.raises(WorldDataError, match="token 'nil' is none of the 1 scenes loaded"):
        loader.get_scene("nil")
    with pytest.raises(WorldDataError, match=r"frame a0000 of a has no CAM_F0, but only \[\]"):
        loader.get_agent_input(loader.tokens[0])


def test_damaged_logs_are_named(tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(dump_portable({"not": "a list"}))
    with pytest.raises(WorldDataError, match=r"x\.pkl holds no list of frames"):
        read_log(path)
    frame = make_frame("a", 0)
    del frame["cams"]
    path.write_bytes(dump_portable([make_frame("a", 1), frame]))
    with pytest.raises(WorldDataError, match=r"frame 1 of .*x\.pkl lacks \['cams'\]"):
        read_log(path)
