"""Follow-up scenes of small drives, read back without a devkit."""

import re

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

pytest.importorskip("geopandas")

from navsim_agents.common.poses import XY
from navsim_agents.data.logs import SceneLoader
from navsim_agents.poses import poses_to_global
from navsim_agents.world.generate import generate_world
from navsim_agents.world.writers.split import write_split
from tests.world.small_town import SPEED_MPS, small_drive
from tests.world.two_stage import CAMERAS, PARTS, boxes_of, config_of, read_scene, records

NOW, PREVIOUS = 0, 1


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    output = tmp_path_factory.mktemp("two_stage")
    generate_world(config_of(output), PARTS)
    return output


@pytest.fixture(scope="module")
def split(root):
    return OmegaConf.to_container(OmegaConf.load(root / "devkit_config/train_test_split/world_two_stage.yaml"))


@pytest.fixture(scope="module")
def scene_filter(root):
    path = root / "devkit_config/train_test_split/scene_filter/world_two_stage.yaml"
    return OmegaConf.to_container(OmegaConf.load(path))


@pytest.fixture(scope="module")
def scenes(root):
    """Scene by token, in both orders of a pair."""
    folder = root / "navhard_two_stage" / "synthetic_scene_pickles"
    return {path.stem: read_scene(path) for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def pairs(root, scenes):
    """Step of the first stage's now, plan and both scenes of every follow-up."""
    return [
        (row["step"], plan, scenes[tokens[NOW]], scenes[tokens[PREVIOUS]])
        for row in records(root)
        for plan, tokens in row["follow_ups"].items()
    ]


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def current_pose(scene):
    return scene["frames"][-1]["ego_status"]["ego_pose"]


def drive_step(scene, drive):
    return round((scene["frames"][-1]["timestamp"] - drive.start_time_us) / 1e5)


def test_the_mapping_names_every_scene_once(root, split, scene_filter, scenes):
    mapping = split["reactive_all_mapping"]
    first = [token for now, previous, _ in mapping for token in (now, previous)]
    second = [token for _, _, pairs in mapping for pair in pairs for token in pair]
    assert len(mapping) == 2
    assert len(set(first)) == len(first) == 4
    assert sorted(second) == sorted(scenes)
    assert len(second) >= 2 * 2 * 3
    assert scene_filter["tokens"] == first
    assert scene_filter["synthetic_scene_tokens"] == scene_filter["reactive_synthetic_initial_tokens"] == second
    assert scene_filter["include_synthetic_scenes"] is True
    assert (scene_filter["num_history_frames"], scene_filter["num_future_frames"]) == (4, 8)
    assert split["data_split"] == "test"
    assert split["defaults"] == [{"scene_filter": "world_two_stage"}]
    originals = SceneLoader(root, "test", frame_interval=1, sensors=(), num_future_frames=8)
    assert set(first) <= set(originals.tokens)
    assert set(scene_filter["log_names"]) == {scene["scene_metadata"]["log_name"] for scene in scenes.values()}
    assert {scene["scene_metadata"]["log_name"] for scene in scenes.values()} <= set(originals.tokens_per_log())


def test_tokens_have_seventeen_digits_and_originals_sixteen(split, scenes):
    original, synthetic = re.compile("[0-9a-f]{16}"), re.compile("[0-9a-f]{17}")
    assert all(
        original.fullmatch(token) for now, previous, _ in split["reactive_all_mapping"] for token in (now, previous)
    )
    for name, scene in scenes.items():
        metadata = scene["scene_metadata"]
        assert metadata["initial_token"] == metadata["scene_token"] == scene["frames"][-1]["token"] == name
        assert all(synthetic.fullmatch(frame["token"]) for frame in scene["frames"])
        assert original.fullmatch(metadata["corresponding_original_scene"])


def test_a_token_that_looks_like_a_number_stays_text(tmp_path):
    write_split(tmp_path, "test", ["a"], [(("12345678901234e5", "0" * 16), [("1" * 17, "2" * 17)])])
    folder = tmp_path / "devkit_config" / "train_test_split"
    mapping = OmegaConf.load(folder / "world_two_stage.yaml").reactive_all_mapping
    assert mapping == [["12345678901234e5", "0" * 16, [["1" * 17, "2" * 17]]]]
    assert OmegaConf.load(folder / "scene_filter" / "world_two_stage.yaml").tokens == ["12345678901234e5", "0" * 16]


def test_pairs_are_half_a_second_apart_and_four_after_their_originals(root, split, scenes):
    originals = SceneLoader(root, "test", frame_interval=1, sensors=(), num_future_frames=8)
    for now, previous, pairs in split["reactive_all_mapping"]:
        start = [originals.get_scene(token).frames[3].timestamp for token in (now, previous)]
        final = [originals.get_scene(token).frames[-1].token for token in (now, previous)]
        assert start[NOW] - start[PREVIOUS] == 500_000
        for pair in pairs:
            for place, token in enumerate(pair):
                metadata, frames = scenes[token]["scene_metadata"], scenes[token]["frames"]
                assert frames[-1]["timestamp"] == start[place] + 4_000_000
                assert np.diff([frame["timestamp"] for frame in frames]).tolist() == [500_000] * 3
                assert metadata["corresponding_original_initial_token"] == (now, previous)[place]
                assert metadata["corresponding_original_scene"] == final[place]


def test_the_ego_stands_where_the_plan_ended(pairs):
    """Plans on a straight road at 5 m/s, by hand: where each is 3.5 s and 4 s after now."""
    ego = small_drive().ego
    seen = set()
    for now, plan, later, earlier in pairs:
        start = ego.poses[now]
        along, aside = (current_pose(later) - start)[XY]
        before = (current_pose(earlier) - start)[0]
        share = {"human": (1.0, 1.0), "slower": (0.5, 0.8), "faster": (1.15, 1.4), "left": (1.0, 1.0)}.get(plan)
        if share is not None:
            low, high = share
            assert low * SPEED_MPS * 4.0 - 1.0 < along < high * SPEED_MPS * 4.0 + 1.0
            assert low * SPEED_MPS * 0.5 - 0.5 < along - before < high * SPEED_MPS * 0.5 + 0.5
        if plan == "braking":  # v^2 / 2a
            assert SPEED_MPS**2 / 7.0 - 0.8 < along < SPEED_MPS**2 / 4.0 + 0.8
            assert abs(along - before) < 0.1
        assert (1.2 < aside < 2.8) if plan == "left" else abs(aside) < 0.05
        seen.add(plan)
    assert {"human", "slower", "faster", "left", "braking"} <= seen


def test_the_frames_of_a_pair_are_one_drive(pairs):
    for _, _, later, earlier in pairs:
        assert [frame["token"] for frame in later["frames"][:-1]] == [frame["token"] for frame in earlier["frames"][1:]]
        poses = [frame["ego_status"]["ego_pose"] for frame in [*earlier["frames"], later["frames"][-1]]]
        speeds = [frame["ego_status"]["ego_velocity"][0] for frame in [*earlier["frames"], later["frames"][-1]]]
        driven = np.hypot(*np.diff(np.array(poses)[:, XY], axis=0).T)
        np.testing.assert_allclose(driven, 0.5 * (np.array(speeds[1:]) + speeds[:-1]) / 2.0, atol=0.12)


def test_traffic_and_lights_go_on_as_in_the_log(pairs):
    """Boxes of history and of what stands for the future are where the log's tracks are at that time."""
    drive = small_drive()
    tracks = {track.track_token: track for track in drive.tracks}
    count = 0
    for pair in pairs:
        for scene in pair[2:]:
            step = drive_step(scene, drive)
            for back, frame in zip((15, 10, 5, 0), scene["frames"]):
                found = frame["annotations"]
                pose = frame["ego_status"]["ego_pose"]
                for box, token in zip(found["boxes"], found["track_tokens"]):
                    placed = poses_to_global(box[[0, 1, 6]], pose)
                    np.testing.assert_allclose(placed, tracks[token].poses[step - back], atol=1e-6)
                    count += 1
                assert frame["traffic_lights"][0] == (21, True)
            assert len(scene["extended_detections_tracks"]) == len(scene["extended_traffic_light_data"]) == 8
            for ahead, detections in enumerate(scene["extended_detections_tracks"], start=1):
                for token, (kind, placed, velocity) in boxes_of(detections).items():
                    track, at = tracks[token], step + 5 * ahead
                    assert track.valid[at]
                    np.testing.assert_allclose(placed, track.poses[at])
                    np.testing.assert_allclose(velocity, track.velocities[at])
                    assert kind == {"vehicle": 0, "pedestrian": 1}[track.agent_type.value]
            for ahead, statuses in enumerate(scene["extended_traffic_light_data"], start=1):
                left, right = (item.arguments for item in statuses.arguments[0])
                assert (left[0].arguments, left[1]) == ((2,), 21)
                assert (right[0].arguments, right[1]) == ((0,), 22)
                assert left[2] == drive.start_time_us + (step + 5 * ahead) * 100_000
    assert count > 50


def test_every_history_frame_has_its_pictures_from_the_new_pose(root, pairs):
    for now, plan, *both in pairs:
        for scene in both:
            assert len(scene["frames"]) == 4
            assert scene["scene_metadata"]["num_future_frames"] == 0
            for frame in scene["frames"]:
                assert frame["lidar_path"] is None
                assert len(frame["camera_dict"]) == 8
                for name in CAMERAS:
                    path = frame["camera_dict"][name]["data_path"]
                    shade = np.array(Image.open(root / "navhard_two_stage" / "sensor_blobs" / path))[0, 0].astype(int)
                    moved = frame["ego_status"]["ego_pose"] - small_drive().ego.poses[0]
                    assert abs(shade[0] - 10 * moved[0] % 256) < 4
        if plan in ("slower", "braking"):
            frame = both[0]["frames"][-1]
            original = small_drive().ego.poses[now + 40]
            assert np.hypot(*(frame["ego_status"]["ego_pose"] - original)[XY]) > 2.0


def test_same_seed_same_bytes_also_after_a_stop(root, tmp_path):
    generate_world(config_of(tmp_path, workers=2), PARTS)
    assert contents(tmp_path) == contents(root)
    folder = tmp_path / "navhard_two_stage"
    victims = [next(folder.rglob(ending)) for ending in ("*.pkl", "*.jpg", "*.json")]
    for victim in victims[:2]:
        victim.unlink()
    generate_world(config_of(tmp_path), PARTS)
    assert contents(tmp_path) == contents(root)
    victims[2].unlink()
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*g")}
    generate_world(config_of(tmp_path), PARTS)
    assert contents(tmp_path) == contents(root)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_another_seed_is_another_world(root, tmp_path):
    generate_world(config_of(tmp_path, seed=4, cameras=[]), PARTS)
    shares = [[(row["step"], sorted(row["follow_ups"])) for row in records(folder)] for folder in (root, tmp_path)]
    assert shares[0] != shares[1]


def test_without_the_setting_nothing_is_added(tmp_path, root):
    generate_world(config_of(tmp_path, two_stage=False), PARTS)
    own = {path for path in contents(root) if path.parts[0] not in ("navhard_two_stage", "devkit_config")}
    assert set(contents(tmp_path)) == own
    assert all((tmp_path / path).read_bytes() == (root / path).read_bytes() for path in own)
