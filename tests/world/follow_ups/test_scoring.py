"""Scoring scenes of follow-ups, against the log."""

import numpy as np
import pytest
import torch

pytest.importorskip("geopandas")

from navsim_agents.poses import poses_to_global
from navsim_agents.scoring import score_scenes
from navsim_agents.scoring.scene_store import SceneStore
from navsim_agents.world.generate import generate_world
from tests.world.small_town import small_drive
from tests.world.two_stage import PARTS, config_of, records


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    output = tmp_path_factory.mktemp("two_stage")
    generate_world(config_of(output, cameras=[], scoring_scenes=True), PARTS)
    return output


@pytest.fixture(scope="module")
def store(root):
    return SceneStore(root / "scoring_scenes" / "navhard_two_stage")


def test_there_is_one_for_each_follow_up(root, store):
    tokens = [token for row in records(root) for both in row["follow_ups"].values() for token in both]
    assert list(store.tokens) == tokens
    for token in tokens:
        scene = store[token]
        assert (scene.token, scene.scene_type) == (token, "synthetic")
        assert torch.isnan(scene.human_trajectory).all()


def test_the_ego_is_at_the_plans_end_and_the_others_where_the_log_has_them(root, store):
    drive = small_drive()
    car = drive.tracks[0]
    for row in records(root):
        for plan, tokens in row["follow_ups"].items():
            for end, token in zip((40, 35), tokens):
                scene, step = store[token], row["step"] + end
                (place,) = [number for number, name in enumerate(scene.track_token) if name == car.track_token]
                poses = poses_to_global(scene.track_poses[place, :41].numpy(), scene.ego_pose.numpy())
                np.testing.assert_allclose(poses, car.poses[step : step + 41], atol=1e-6)
                assert scene.timestamp_us == drive.start_time_us + step * 100_000
                away = float(np.hypot(*(scene.ego_pose.numpy() - drive.ego.poses[step])[:2]))
                assert (away < 0.6) if plan == "human" else (away > 1.0)


def test_they_can_be_scored(store):
    scenes = [store[token] for token in store]
    plans = torch.zeros(len(scenes), 1, 8, 3, dtype=torch.float64)
    scores = score_scenes(scenes, plans, 0.5, "epdms")
    assert all(torch.isfinite(column).all() for column in scores.columns.values())


def test_a_store_that_is_missing_is_written_again(root):
    folder = root / "scoring_scenes" / "navhard_two_stage"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    generate_world(config_of(root, cameras=[], scoring_scenes=True), PARTS)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
