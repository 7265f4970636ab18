"""Clips: every trap of the files, one by one, and what a planner is shown."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from navsim_agents.bench2drive.clip_tracks import vanished
from navsim_agents.bench2drive.clips import Clip, ClipName, find_clips, read_clip
from navsim_agents.bench2drive.frames import BACK, FRONT, folder_of
from navsim_agents.common.poses import HEADING
from navsim_agents.errors import WorldDataError
from tests.bench2drive.made_clips import AHEAD, NAME, RIGHT, START, YAW_DEG, annotation, write_clip

HEADING_RAD = -np.deg2rad(YAW_DEG)


def spoiled(tmp_path: Path, change: Any, frames: int = 8) -> Clip:
    return read_clip(write_clip(tmp_path, frames=frames, change=change, cameras=(FRONT,)))


def test_the_ego_is_where_its_matrix_says_and_not_where_gnss_does(clip: Clip) -> None:
    for step in (0, 7):
        x, y = START + (0.5 * step - 1.4) * AHEAD
        np.testing.assert_allclose(clip.rear_axles[step], (x, -y, HEADING_RAD), atol=1e-9)
        gnss = annotation(step)
        assert np.hypot(gnss["x"] - x, gnss["y"] - y) > 0.1


@pytest.mark.parametrize("theta", [None, float("nan"), 0.0, math.pi])
def test_the_compass_is_not_believed(tmp_path: Path, theta: Optional[float]) -> None:
    clip = spoiled(tmp_path, lambda step, content: content.update(theta=theta), frames=3)
    assert clip.faults == {}
    np.testing.assert_allclose(clip.rear_axles[:, HEADING], HEADING_RAD, atol=1e-9)


def test_boxes_are_twice_their_extents_and_right_handed(clip: Clip) -> None:
    car = next(track for track in clip.tracks if track.name == "11")
    np.testing.assert_allclose(car.size, (4.6, 2.0))
    x, y = START + 24.0 * AHEAD
    np.testing.assert_allclose(car.poses[10], (x, -y, HEADING_RAD), atol=1e-9)
    np.testing.assert_allclose(car.velocities[10], 4.0 * AHEAD * (1, -1), atol=1e-6)


def test_a_parked_cars_own_pose_is_not_believed(clip: Clip) -> None:
    parked = next(track for track in clip.tracks if track.name == "13")
    x, y = START + 15.0 * AHEAD + 5.0 * RIGHT
    np.testing.assert_allclose(parked.poses[4], (x, -y, -np.deg2rad(YAW_DEG + 90.0)), atol=1e-9)
    np.testing.assert_allclose(parked.velocities, 0.0, atol=1e-9)


def test_walkers_move_though_their_speed_says_they_stand(clip: Clip) -> None:
    walker = next(track for track in clip.tracks if track.name == "12")
    np.testing.assert_allclose(walker.velocities, np.tile(-1.2 * RIGHT * (1, -1), (len(clip), 1)), atol=1e-6)
    assert walker.kind == "pedestrian"


def test_cones_stand_in_the_way_and_signs_do_not(clip: Clip) -> None:
    kinds = {track.name: track.kind for track in clip.tracks}
    assert kinds == {"11": "vehicle", "12": "pedestrian", "13": "vehicle", "14": "traffic_cone"}


def test_lights_are_numbers_in_the_files(clip: Clip) -> None:
    lights = [clip.frame(step).lights[0] for step in (0, 25, 45, 61)]
    assert [light.state for light in lights] == ["red", "yellow", "green", "off"]
    assert [light.affects_ego for light in lights] == [False, True, True, True]
    x, y = START + 50.0 * AHEAD
    np.testing.assert_allclose(lights[0].stop_line, (x, -y))


def test_commands_by_number_and_minus_one_is_follow(clip: Clip) -> None:
    assert (clip.frame(0).command, clip.frame(40).command) == (2, 3)


def test_targets_are_in_the_ego_frame(clip: Clip) -> None:
    np.testing.assert_allclose(clip.target(10), (40.0 - 5.0 + 1.4, -1.0), atol=1e-9)


def test_a_missing_target_is_that_of_a_frame_near_by_or_of_the_path(tmp_path: Path) -> None:
    def at_the_edges(step: int, content: dict[str, Any]) -> None:
        if step < 3:
            content.update(x_command_near=None, y_command_near=float("nan"))

    clip = spoiled(tmp_path / "edges", at_the_edges)
    np.testing.assert_allclose(clip.target(0), (40.0 + 1.4, -1.0), atol=1e-9)
    nowhere = spoiled(tmp_path / "nowhere", lambda step, content: content.pop("x_command_near"))
    np.testing.assert_allclose(nowhere.target(2), (0.5 * 5, 0.0), atol=1e-9)  # as far as the clip goes


def test_motion_comes_of_positions_where_it_is_not_logged(tmp_path: Path) -> None:
    def unlogged(step: int, content: dict[str, Any]) -> None:
        content.update(speed=None if step % 2 else float("nan"), acceleration=None)

    clip = spoiled(tmp_path, unlogged)
    for step in (0, 3, 7):
        assert clip.speed_mps(step) == pytest.approx(5.0)
        np.testing.assert_allclose(clip.acceleration(step), 0.0, atol=1e-6)


def test_the_imu_is_right_handed(clip: Clip) -> None:
    np.testing.assert_allclose(clip.acceleration(3), (0.5, -0.25))


def test_futures_are_half_a_second_apart(clip: Clip) -> None:
    wanted = np.column_stack((2.5 * np.arange(1, 7), np.zeros(6), np.zeros(6)))
    np.testing.assert_allclose(clip.future(31), wanted, atol=1e-9)
    with pytest.raises(WorldDataError, match="frames 0 to 61, but 62"):
        clip.future(32)


def test_cars_that_vanish_near_the_ego_are_named(tmp_path: Path) -> None:
    def gone(step: int, content: dict[str, Any]) -> None:
        if step > 5:
            content["bounding_boxes"] = [box for box in content["bounding_boxes"] if box["id"] != "11"]
        if step == 3:
            content["bounding_boxes"] = [box for box in content["bounding_boxes"] if box["id"] != "12"]

    clip = spoiled(tmp_path, gone)
    assert vanished(clip.tracks, clip.rear_axles) == {"11": 5}
    car, walker = (next(track for track in clip.tracks if track.name == name) for name in ("11", "12"))
    assert car.valid.tolist() == [True] * 6 + [False] * 2
    assert walker.valid.all()  # missing once only
    np.testing.assert_allclose(walker.velocities[3], -1.2 * RIGHT * (1, -1), atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "not a readable annotation"),
        (lambda path: path.write_bytes(b"no gzip"), "not a readable annotation"),
        (lambda path: path.unlink(), "missing"),
    ],
)
def test_unreadable_frames_are_named_and_cost_only_themselves(tmp_path: Path, spoil: Any, word: str) -> None:
    folder = write_clip(tmp_path, frames=8, cameras=(FRONT,))
    spoil(folder / "anno" / "00003.json.gz")
    clip = read_clip(folder)
    assert list(clip.faults) == [3]
    assert word in clip.faults[3]
    assert "00003.json.gz" in clip.faults[3]
    assert clip.tracks[0].valid.all()
    with pytest.raises(WorldDataError, match=word):
        clip.frame(3)
    assert clip.future(0, 1).shape == (1, 3)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda step, content: content["bounding_boxes"][0].pop("world2ego"),
        lambda step, content: content["bounding_boxes"][0].update(world2ego=[[float("nan")] * 4] * 4),
        lambda step, content: content.update(command_near=9),
        lambda step, content: content.update(bounding_boxes=[]),
    ],
)
def test_a_clip_without_one_readable_frame_is_refused(tmp_path: Path, spoil: Any) -> None:
    with pytest.raises(WorldDataError, match="none of its 2 frames"):
        spoiled(tmp_path, spoil, frames=2)


def test_a_planner_sees_two_frames_half_a_second_apart(clip: Clip) -> None:
    seen = clip.input(20, (FRONT, BACK), 2)
    assert {name: frames.shape for name, frames in seen.pictures.items()} == dict.fromkeys(
        (FRONT, BACK), (2, 36, 64, 3)
    )
    shades = [frames[..., 0].mean() for frames in seen.pictures[FRONT]]
    np.testing.assert_allclose(shades, (15, 20), atol=3.0)
    assert (seen.speed_mps, seen.command) == (5.0, 2)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    folder = write_clip(tmp_path, frames=8, cameras=(FRONT, BACK))
    path = folder / "camera" / folder_of(BACK) / "00002.jpg"
    path.unlink()
    clip = read_clip(folder)
    clip.input(7, (FRONT,), 2)
    with pytest.raises(WorldDataError, match=r"rgb_back.00002\.jpg is missing"):
        clip.input(7, (BACK,), 2)
    with pytest.raises(WorldDataError, match="begins 4 frames before"):
        clip.input(4, (FRONT,), 2)


def test_clips_are_found_by_their_names(tmp_path: Path) -> None:
    write_clip(tmp_path, frames=1, cameras=())
    write_clip(tmp_path / "Accident", "Accident_Town12_Route1_Weather0", frames=1, cameras=())
    assert [folder.name for folder in find_clips(tmp_path)] == ["Accident_Town12_Route1_Weather0", NAME]
    assert ClipName.parse(NAME) == ClipName("ParkingExit", "Town03", 7, 3)
    assert ClipName.parse("Two_Words_Town10HD_Route12_Weather21").town == "Town10HD"
    with pytest.raises(WorldDataError, match="no name of a clip"):
        ClipName.parse("anything")
    write_clip(tmp_path / "again", frames=1, cameras=())
    with pytest.raises(WorldDataError, match="have one name"):
        find_clips(tmp_path)
    with pytest.raises(WorldDataError, match="holds no clip"):
        find_clips(tmp_path / "nowhere")


def test_the_egos_box_is_of_numbers(tmp_path: Path) -> None:
    def spoil(step: int, content: dict[str, Any]) -> None:
        ego = content["bounding_boxes"][0]
        if step in (2, 3):
            ego["extent" if step == 2 else "bbx_loc"] = [float("nan"), 1.0, 0.7]

    clip = spoiled(tmp_path, spoil)
    assert list(clip.faults) == [2, 3]
    assert "the ego's box" in clip.faults[2]


def test_copies_beside_the_annotations_are_passed_over(tmp_path: Path) -> None:
    folder = write_clip(tmp_path, frames=3, cameras=())
    (folder / "anno" / "00001 (1).json.gz").write_bytes(b"")
    assert len(read_clip(folder)) == 3
