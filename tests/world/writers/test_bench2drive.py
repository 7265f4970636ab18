"""The world as clips of Bench2Drive: what was driven is what is read, through every oddity of the format."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("shapely")

import torch

from navsim_agents.bench2drive.clip_scenes import build_scene, scene_indices
from navsim_agents.bench2drive.clips import Clip, ClipName, read_clip
from navsim_agents.bench2drive.frames import BACK_LEFT, FRONT, calibration, folder_of
from navsim_agents.bench2drive.maps import HdMap, read_map
from navsim_agents.common.poses import XY
from navsim_agents.scoring import score_trajectories
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.types import Drive
from navsim_agents.world.writers.bench2drive import ClipWriter, clip_camera, clip_name, corner, write_hd_map
from tests.world.driven import Driven
from tests.world.small_town import LOCATION, small_drive, small_town
from tests.world.small_world import plain_picture

LEFT_HANDED = np.array([1.0, -1.0])


@pytest.fixture(scope="module")
def drive() -> Drive:
    return small_drive()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, drive: Drive) -> Path:
    folder = tmp_path_factory.mktemp("clips") / clip_name(LOCATION, 4)
    writer = ClipWriter(drive, TownMap(small_town()), folder)
    writer.write_annotations()
    writer.write_pictures(plain_picture, [clip_camera(name, 320, 180) for name in (FRONT, BACK_LEFT)], 50, 20)
    return folder


@pytest.fixture(scope="module")
def clip(folder: Path) -> Clip:
    return read_clip(folder)


def test_the_drive_is_read_as_it_was(clip: Clip, drive: Drive) -> None:
    assert clip.faults == {}
    assert ClipName.parse(clip.name).town == "Town91"
    driven = drive.ego.poses - np.array([*corner(LOCATION), 0.0])
    np.testing.assert_allclose(clip.rear_axles, driven, atol=1e-6)
    assert clip.speed_mps(3) == pytest.approx(5.0)
    np.testing.assert_allclose(clip.acceleration(3), drive.ego.accelerations[3])
    np.testing.assert_allclose(clip.frame(0).ego_size, (5.176, 2.297))
    assert clip.frame(0).rear_axle_to_center_m == pytest.approx(1.461)


def test_so_is_everybody_else(clip: Clip, drive: Drive) -> None:
    assert [track.kind for track in clip.tracks] == ["vehicle", "pedestrian"]
    for read, driven in zip(clip.tracks, drive.tracks):
        wanted = driven.poses[driven.valid] - np.array([*corner(LOCATION), 0.0])
        assert read.valid.tolist() == driven.valid.tolist()
        np.testing.assert_allclose(read.poses[read.valid], wanted, atol=1e-6)
        np.testing.assert_allclose(read.velocities[read.valid], driven.velocities[driven.valid], atol=1e-4)
        np.testing.assert_allclose(read.size, driven.size[:2])


def test_walkers_say_that_they_stand_and_gnss_is_noisy(folder: Path, drive: Drive) -> None:
    content = json.loads(gzip.decompress((folder / "anno" / "00050.json.gz").read_bytes()))
    speeds = {box["class"]: box["speed"] for box in content["bounding_boxes"] if "speed" in box}
    assert speeds == {"ego_vehicle": 5.0, "vehicle": 4.0, "walker": 0.0}
    place = (drive.ego.poses[50, XY] - corner(LOCATION)) * LEFT_HANDED
    error = np.hypot(*(place - (content["x"], content["y"])))
    assert 0.01 < error < 3.0
    assert content["theta"] == pytest.approx(np.pi / 2)  # to the east


def test_lights_and_commands(clip: Clip) -> None:
    lights = {light.name: light for light in clip.frame(0).lights}
    assert {name: (light.state, light.affects_ego) for name, light in lights.items()} == {
        "21": ("red", False),
        "22": ("green", True),
    }
    straight, follow = 2, 3
    assert clip.frame(0).command == follow  # its 50 m come first
    assert clip.frame(115).command == straight


def test_targets_lie_ahead_on_the_route(clip: Clip) -> None:
    """The car starts 5 m into the lane of 60 m: the first point is at its 50 m."""
    np.testing.assert_allclose(clip.target(0), (45.0, 0.0), atol=0.3)
    np.testing.assert_allclose(clip.target(90), (10.0, 0.0), atol=0.3)  # 50 m on; the junction begins at 60


def test_pictures_are_there_at_the_interval(folder: Path) -> None:
    for name in (FRONT, BACK_LEFT):
        files = sorted(path.name for path in (folder / "camera" / folder_of(name)).iterdir())
        assert files == [f"{step:05}.jpg" for step in (0, 50, 100, 150)]


def test_the_renderers_camera_sees_where_the_planners_does() -> None:
    """Pixels are counted from their middles there, from the picture's edge here."""
    points = np.array([[12.0, 3.0, 0.5], [30.0, -4.0, 1.0]])
    pixels, depth = clip_camera(FRONT, 800, 450).project(points)
    wanted = calibration(FRONT, 800, 450).project(points)
    np.testing.assert_allclose(np.column_stack((pixels + 0.5, depth)), wanted)


def test_the_sensors_of_a_file_are_those_cameras(folder: Path) -> None:
    content = json.loads(gzip.decompress((folder / "anno" / "00000.json.gz").read_bytes()))
    entry = content["sensors"][BACK_LEFT]
    matrix = np.array(entry["cam2ego"])
    np.testing.assert_allclose(matrix[:3, 3], (-0.32, -0.55, 1.60))
    yaw = np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0]))
    assert yaw == pytest.approx(-110.0)
    assert entry["intrinsic"][0][0] == pytest.approx(1142.5184)


@pytest.fixture(scope="module")
def hd_map(tmp_path_factory: pytest.TempPathFactory) -> HdMap:
    return read_map(write_hd_map(small_town(), tmp_path_factory.mktemp("maps")))


def test_lanes_are_read_as_they_are(hd_map: HdMap) -> None:
    town = small_town()
    read = {(lane.road, lane.lane): lane for lane in hd_map.lanes}
    assert set(read) == {(10, -1), (10, -2), (20, -1), (20, -2), (30, -1), (30, -2)}
    lane = read[20, -2]
    assert lane.is_junction
    assert not read[10, -1].is_junction
    wanted = town.lanes["22"].centerline[[0, -1], :2] - corner(LOCATION)
    np.testing.assert_allclose(lane.line[[0, -1], :2], wanted, atol=1e-6)
    np.testing.assert_allclose(lane.width_m, 3.5, atol=1e-6)


def test_the_same_town_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_hd_map(small_town(), tmp_path / name).read_bytes() for name in ("a", "b"))
    assert one == other


def test_a_real_drive_scores_well_in_its_own_scenes(driven: Driven, tmp_path: Path) -> None:
    folder = tmp_path / clip_name(driven.town.location, 0)
    ClipWriter(driven.drive, driven.town_map, folder).write_annotations()
    clip, hd_map = read_clip(folder), read_map(write_hd_map(driven.town, tmp_path))
    scores = []
    for index in scene_indices(clip)[::3]:
        scene = build_scene(clip, index, hd_map)
        found = score_trajectories(scene, torch.from_numpy(clip.future(index, 8))[None], metric="pdms")
        scores.append(float(found["score"]))
        assert len(scene.track_token) > 5
    assert min(scores) > 0.95, scores
