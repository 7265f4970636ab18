"""What reactive traffic needs: made by the world without a devkit, and exported from the devkit's metric caches."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from navsim_agents.common.conventions import NUM_STATES
from navsim_agents.data.logs import read_log
from navsim_agents.devkit.cache_files import list_metric_cache
from navsim_agents.devkit.metric_cache import read_metric_scene
from navsim_agents.devkit.variant import Host, Variant
from navsim_agents.scoring import SceneStore, ScoringScene
from navsim_agents.scoring.traffic.checks import NEEDED
from navsim_agents.scoring.traffic.roles import Role
from navsim_agents.world.scoring_scenes.store import log_scenes
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.towns import build_town
from navsim_agents.world.writers.follow_ups import FOLDER
from navsim_agents.world.writers.pickles import dump_portable
from tests.devkit.crowded_log import crowded_frames
from tests.devkit.scripts import SEQUENTIAL, TEST_SPLIT, Devkit

SEED, NUM_ADDED = 7, 90
COMPARED = (*NEEDED, *(f"track_{name}" for name in ("token", "type", "is_agent", "size", "speed", "poses", "valid")))


@pytest.fixture(scope="module")
def two_stage(host: Host, devkit: Devkit, tmp_path_factory: pytest.TempPathFactory) -> Devkit:
    """One test log of 10.5 s with follow-ups of one pair of scenes."""
    if host.variant is not Variant.V2_2:
        pytest.skip("v1.1 has no reactive traffic")
    output = tmp_path_factory.mktemp("two_stage_world")
    settings = ["logs=1", f"seed={SEED}", "duration_s=10.5", "splits.train=0", "splits.val=0", "two_stage_pairs=1"]
    settings += ["cameras=[]", "two_stage=true"]
    subprocess.run([sys.executable, "-m", "navsim_agents.world", f"output={output}", *settings], check=True, cwd=output)
    return replace(devkit, world=output, experiments=tmp_path_factory.mktemp("two_stage_exp"))


@pytest.fixture(scope="module")
def of_both_stages(two_stage: Devkit) -> dict[str, ScoringScene]:
    """Scenes that the devkit's metric caches hold, by token."""
    split = (f"--config-dir={two_stage.world}/devkit_config", "train_test_split=world_two_stage", SEQUENTIAL)
    two_stage.run("run_metric_caching", *split)
    return exported(two_stage)


@pytest.fixture(scope="module")
def crowded(two_stage: Devkit, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[ScoringScene], Devkit]:
    """Our scenes of a log with crowds, and the world that it lies in."""
    world = tmp_path_factory.mktemp("crowded_world")
    (world / "maps").symlink_to(two_stage.world / "maps")
    (world / "sensor_blobs" / "test").mkdir(parents=True)
    (path,) = (two_stage.world / "navsim_logs" / "test").glob("*.pkl")
    frames = read_log(path)
    town = build_town(frames[0]["map_location"], SEED)
    frames = crowded_frames(frames, town, NUM_ADDED, seed=0)
    (world / "navsim_logs" / "test").mkdir(parents=True)
    (world / "navsim_logs" / "test" / path.name).write_bytes(dump_portable(frames))
    there = replace(two_stage, world=world, experiments=tmp_path_factory.mktemp("crowded_exp"))
    return log_scenes(TownMap(town), frames), there


def exported(devkit: Devkit) -> dict[str, ScoringScene]:
    entries = list_metric_cache(devkit.experiments / "metric_cache").entries
    return {entry.token: read_metric_scene(entry.path, with_traffic=True) for entry in entries}


def within_4_s(scene: ScoringScene) -> dict[str, Any]:
    """Fields without what v2.2 does not look at: columns beyond 4 s, and tracks that come only then."""
    known = scene.track_valid[:, :NUM_STATES].any(dim=1)
    fields = {name: getattr(scene, name) for name in COMPARED}
    for name, value in fields.items():
        if name.startswith("track_") or name == "traffic_early_track":
            is_text = isinstance(value, tuple)
            fields[name] = tuple(np.array(value)[known.numpy()].tolist()) if is_text else value[known]
    for name in ("track", "ignored_track"):
        valid = fields[f"{name}_valid"] = fields[f"{name}_valid"][:, :NUM_STATES]
        fields[f"{name}_poses"] = torch.where(valid[..., None], fields[f"{name}_poses"][:, :NUM_STATES], 0.0)
    return fields


def assert_same(ours: ScoringScene, theirs: ScoringScene) -> None:
    wanted = within_4_s(theirs)
    for name, value in within_4_s(ours).items():
        where = f"{ours.token} {name}"
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            assert np.array_equal(value, wanted[name]), where
        else:
            torch.testing.assert_close(value, wanted[name], rtol=0.0, atol=1e-6, msg=where)


def test_scenes_of_both_stages(two_stage: Devkit, of_both_stages: dict[str, ScoringScene]) -> None:
    stores = [SceneStore(two_stage.world / "scoring_scenes" / folder) for folder in ("test", FOLDER)]
    tokens = [[token for token in store.tokens if token in of_both_stages] for store in stores]
    assert len(tokens[0]) == 2
    assert len(tokens[1]) == len(stores[1].tokens) >= 4
    for store, compared in zip(stores, tokens):
        for token in compared:
            assert (store[token].traffic_role == Role.REACTS).any()
            assert_same(store[token], of_both_stages[token])


@pytest.mark.slow
def test_scenes_of_a_crowded_log(crowded: tuple[list[ScoringScene], Devkit]) -> None:
    """Vehicles in each other's way, parked, turned around, seen once; a pedestrian beneath the ego."""
    scenes, devkit = crowded
    devkit.run("run_metric_caching", *TEST_SPLIT, SEQUENTIAL)
    theirs = exported(devkit)
    assert len(scenes) == len(theirs) >= 5
    for scene in scenes:
        assert (np.bincount(scene.traffic_role, minlength=len(Role)) >= 5).all()
        assert "pedestrian" in scene.ignored_track_type
        assert_same(scene, theirs[scene.token])
    assert any(scene.traffic_early_track.any() for scene in scenes)
    late = [scene for scene in scenes if not scene.ignored_track_valid[:, 0].all()]
    assert late  # a track of the ignored that is not there at t0
