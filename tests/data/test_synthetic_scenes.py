"""Scenes of the second stage: what an agent is given, what is passed over, and refusals."""

from __future__ import annotations

import os
import pickle
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from navsim_agents.data.synthetic_scenes import PASSED_OVER, SyntheticSceneLoader, read_synthetic_scene
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.world.writers.pickles import dump_portable
from tests.data.foreign import called_as, with_values
from tests.data.synthetic import (
    LAST_OF_ORIGINAL,
    LOG,
    ORIGINAL,
    TOKEN,
    content,
    frame,
    write,
)


@pytest.fixture
def loader(tmp_path: Path) -> SyntheticSceneLoader:
    return SyntheticSceneLoader(*write(tmp_path, content()), sensors={"cam_f0": (0, 3)})


def test_an_agent_sees_what_stands_in_the_pickle(loader: SyntheticSceneLoader) -> None:
    scene = loader.get_scene(TOKEN)
    agent_input = loader.get_agent_input(TOKEN)
    # 2 m a frame along x, seen by an ego turned by 0.3 rad.
    for index, status in enumerate(agent_input.ego_statuses):
        back = 2.0 * (index - 3)
        expected = [back * np.cos(0.3), -back * np.sin(0.3), 0.1 * (index - 3)]
        np.testing.assert_allclose(status.ego_pose, expected, atol=1e-12)
        assert status.ego_pose.dtype == np.float64
        np.testing.assert_array_equal(status.ego_velocity, np.array([4.0, 0.1 * index], dtype=np.float32))
        np.testing.assert_array_equal(status.ego_acceleration, np.array([0.5, 0.25], dtype=np.float32))
        assert status.driving_command.tolist() == [0, 1, 0, 0]
    shades = [None if cameras.cam_f0.image is None else cameras.cam_f0.image.mean() for cameras in agent_input.cameras]
    assert shades == [0.0, None, None, 120.0]
    assert agent_input.cameras[3].cam_f0.intrinsics.tolist() == np.diag([700.0, 701.0, 1.0]).tolist()
    metadata = scene.scene_metadata
    assert (metadata.log_name, metadata.initial_token, metadata.num_future_frames) == (LOG, TOKEN, 0)
    assert metadata.corresponding_original_initial_token == ORIGINAL
    assert metadata.corresponding_original_scene == LAST_OF_ORIGINAL
    np.testing.assert_array_equal(scene.current_pose, [106.0, 50.0, 0.1 * 3])
    now = scene.frames[3]
    assert (now.token, now.roadblock_ids, now.traffic_lights) == (TOKEN, ["7"], [(12, True)])
    assert now.annotations is not None
    assert now.annotations.instance_tokens == ["instance3"]


def test_nobody_drove_on(loader: SyntheticSceneLoader) -> None:
    with pytest.raises(InputError, match=rf"scene {TOKEN} is synthetic: nobody drove on from there.*; ask the first-"):
        loader.get_scene(TOKEN).get_future_trajectory(8)


def test_nuplans_objects_are_passed_over_and_nothing_of_them_is_imported(tmp_path: Path) -> None:
    """Written as Python writes objects (with slots, enums, a set geometry) and as the world writes them (calls)."""
    names = [pair for pair in PASSED_OVER if pair[0].startswith("nuplan")]
    pickles, pictures = write(tmp_path)
    with called_as(names) as nuplan:
        kind, status = nuplan["TrackedObjectType"](0), nuplan["TrafficLightStatusType"](2)
        center = with_values(nuplan["StateSE2"], x=1.0, y=2.0, heading=0.5)
        box = with_values(nuplan["OrientedBox"], _center=center, _length=4.0)
        velocity = with_values(nuplan["StateVector2D"], _x=1.0, _y=0.0, _array=np.array([1.0, 0.0]))
        time = with_values(nuplan["TimePoint"], time_us=3)
        agent = with_values(nuplan["Agent"], _box=box, _velocity=velocity, _time=time, _tracked_object_type=kind)
        tracked = with_values(nuplan["TrackedObjects"], tracked_objects=[agent], _ranges_per_type={kind: (0, 1)})
        tracks = with_values(nuplan["DetectionsTracks"], tracked_objects=tracked)
        light = with_values(nuplan["TrafficLightStatusData"], status=status, lane_connector_id=12)
        lights = with_values(nuplan["TrafficLightStatuses"], traffic_lights=[light])
        raw = pickle.dumps(content(extended_traffic_light_data=[lights], extended_detections_tracks=[tracks]), 5)
    assert all(name in raw for name in (b"Agent", b"TimePoint", b"TrackedObjectType", b"TrafficLightStatusType"))
    (pickles / f"{TOKEN}.pkl").write_bytes(raw)
    scene = SyntheticSceneLoader(pickles, pictures).get_scene(TOKEN)
    assert scene.get_agent_input().ego_statuses[3].ego_velocity[0] == 4.0


def test_pictures_may_be_named_by_paths(tmp_path: Path) -> None:
    made = content()
    for index, row in enumerate(made["frames"]):
        row["camera_dict"]["cam_f0"]["data_path"] = Path(LOG) / "CAM_F0" / f"{index}.jpg"
    pickles, pictures = write(tmp_path)
    (pickles / f"{TOKEN}.pkl").write_bytes(pickle.dumps(made))
    camera = SyntheticSceneLoader(pickles, pictures).get_agent_input(TOKEN).cameras[2].cam_f0
    assert camera.image is not None
    assert camera.image.mean() == 80.0
    assert camera.camera_path == PurePosixPath(LOG) / "CAM_F0" / "2.jpg"


def test_a_scene_is_known_by_its_initial_token_whatever_its_file_is_called(tmp_path: Path) -> None:
    other = "f" * 17
    pickles, pictures = write(tmp_path, content(), content(other))
    (pickles / f"{TOKEN}.pkl").rename(pickles / "renamed.pkl")
    (pickles / f"{other}.pkl").rename(pickles / f"{TOKEN}.pkl")
    (pickles / "damaged.pkl").write_bytes(b"")
    loader = SyntheticSceneLoader(pickles, pictures)
    assert [loader.get_scene(token).scene_metadata.initial_token for token in (TOKEN, other)] == [TOKEN, other]
    with pytest.raises(WorldDataError, match=rf"scene {'a' * 17} is none of the 3 in .*pickles \(0123.*\); fetch it"):
        loader.get_scene("a" * 17)


class Payload:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("payload", [Payload(os.system, "touch refused"), Payload(eval, "1 + 1")])
def test_no_other_name_is_taken_and_nothing_is_run(
    payload: Payload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content(extended_detections_tracks=[payload])))
    with pytest.raises(WorldDataError, match=r"x\.pkl is not a readable synthetic scene: it asks for .*not data"):
        read_synthetic_scene(tmp_path / "x.pkl", tmp_path, {})
    assert not (tmp_path / "refused").exists()


def test_other_names_of_nuplans_are_refused_too(tmp_path: Path) -> None:
    names = [("nuplan.common.utils.s3_utils", "get_async_s3_session")]
    with called_as(names) as nuplan:
        raw = pickle.dumps(content(extended_detections_tracks=[with_values(nuplan[names[0][1]])]))
    (tmp_path / "x.pkl").write_bytes(raw)
    with pytest.raises(WorldDataError, match=r"it asks for nuplan.common.utils.s3_utils.get_async_s3_session, which"):
        read_synthetic_scene(tmp_path / "x.pkl", tmp_path, {})


def without(mapping: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


DAMAGED: list[tuple[Any, str]] = [
    ([1], r"x\.pkl lacks \['scene_metadata', 'frames'\], which every synthetic scene of NAVSIM has; check that"),
    (content(frames=[]), r"x\.pkl has frames=0, but num_history_frames=4 of them make its history"),
    (content(frames=7), r"x\.pkl has frames=int, but num_history_frames=4"),
    (content(scene_metadata={}), r"scene_metadata of .*x\.pkl lacks \['log_name', 'scene_token', 'map_name', 'init"),
    (
        content(frames=[frame(0), frame(1), without(frame(2), "ego_status"), frame(3)]),
        r"^frame 2 of .*x\.pkl lacks \['ego_status'\]",
    ),
    (
        content(frames=[{**frame(0), "ego_status": without(frame(0)["ego_status"], "ego_pose")}] * 4),
        r"^ego_status of frame 0 of .* lacks \['ego_pose'\]",
    ),
    (
        content(frames=[{**frame(0), "annotations": {}}] * 4),
        r"^annotations of frame 0 of .* lacks \['boxes', ",
    ),
]


@pytest.mark.parametrize(("damaged", "words"), DAMAGED)
def test_what_a_pickle_lacks_is_named(damaged: Any, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(dump_portable(damaged))
    with pytest.raises(WorldDataError, match=words):
        read_synthetic_scene(tmp_path / "x.pkl", tmp_path, {})


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(WorldDataError, match=r"synthetic_scenes_path=.*nowhere is not a folder; it holds a pickle for"):
        SyntheticSceneLoader(tmp_path / "nowhere", tmp_path)
    torn = content()
    torn["frames"][1]["ego_status"]["ego_pose"] = np.array([np.nan, 0.0, 0.0])
    pickles, pictures = write(tmp_path, torn)
    with pytest.raises(WorldDataError, match=r"frame 1123.* has an ego pose, velocity or acceleration that is not a f"):
        SyntheticSceneLoader(pickles, pictures).get_scene(TOKEN)
    write(tmp_path, content())
    with pytest.raises(WorldDataError, match=r"has no CAM_B0, but only \['CAM_F0'\]; ask for other sensors"):
        SyntheticSceneLoader(pickles, pictures, sensors=["cam_b0"]).get_agent_input(TOKEN)
    (pictures / LOG / "CAM_F0" / "0.jpg").unlink()
    with pytest.raises(WorldDataError, match=r"CAM_F0/0\.jpg is missing, although the log names it"):
        SyntheticSceneLoader(pickles, pictures).get_agent_input(TOKEN)
