"""The unmodified two-stage scripts of v2.2 on follow-up scenes that the world wrote."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from navsim_agents.common.conventions import NUM_STATES
from navsim_agents.data.synthetic_scenes import SyntheticSceneLoader
from navsim_agents.devkit.variant import Host, Variant
from navsim_agents.scoring.scene_store import SceneStore
from navsim_agents.world.writers.follow_ups import FOLDER
from tests.devkit.scripts import SEQUENTIAL, Devkit

CAMERAS = ("cam_f0", "cam_b0")
OVER_TIME = ("track_poses", "track_valid", "ignored_track_poses", "ignored_track_valid", "red_light_active")


@pytest.fixture(scope="module")
def two_stage(host: Host, devkit: Devkit, tmp_path_factory: pytest.TempPathFactory) -> Devkit:
    """One test log of 10.5 s with follow-ups of one pair of scenes."""
    if host.variant is not Variant.V2_2:
        pytest.skip("v1.1 has one stage")
    output = tmp_path_factory.mktemp("two_stage_world")
    settings = ["logs=1", "seed=7", "duration_s=10.5", "splits.train=0", "splits.val=0", "two_stage_pairs=1"]
    settings += [f"cameras=[{','.join(CAMERAS)}]", "two_stage=true"]
    subprocess.run([sys.executable, "-m", "navsim_agents.world", f"output={output}", *settings], check=True, cwd=output)
    return replace(devkit, world=output, experiments=tmp_path_factory.mktemp("two_stage_exp"))


@pytest.fixture(scope="module")
def split(two_stage: Devkit) -> tuple[str, ...]:
    """Overrides that the world's command prints."""
    return (f"--config-dir={two_stage.world}/devkit_config", "train_test_split=world_two_stage", SEQUENTIAL)


@pytest.fixture(scope="module")
def tokens(two_stage: Devkit) -> tuple[list[str], list[str]]:
    """Of both stages."""
    folder = two_stage.world / "devkit_config" / "train_test_split" / "scene_filter"
    content = OmegaConf.load(folder / "world_two_stage.yaml")
    return list(content.tokens), list(content.reactive_synthetic_initial_tokens)


@pytest.fixture(scope="module")
def loader(two_stage: Devkit, tokens: tuple[list[str], list[str]]) -> Iterator[Any]:
    from navsim.common import dataclasses
    from navsim.common.dataclasses import SceneFilter, SensorConfig
    from navsim.common.dataloader import SceneLoader

    sensors = SensorConfig.build_no_sensors()
    for name in CAMERAS:
        setattr(sensors, name, True)
    first, second = tokens
    data = two_stage.world / "navhard_two_stage"
    with pytest.MonkeyPatch.context() as patch:  # the devkit reads the variable once, when it is imported
        patch.setattr(dataclasses, "NUPLAN_MAPS_ROOT", str(two_stage.world / "maps"))
        yield SceneLoader(
            data_path=two_stage.world / "navsim_logs" / "test",
            original_sensor_path=two_stage.world / "sensor_blobs" / "test",
            synthetic_sensor_path=data / "sensor_blobs",
            synthetic_scenes_path=data / "synthetic_scene_pickles",
            scene_filter=SceneFilter(
                num_future_frames=8,
                frame_interval=1,
                tokens=first,
                include_synthetic_scenes=True,
                reactive_synthetic_initial_tokens=second,
            ),
            sensor_config=sensors,
        )


def test_every_follow_up_is_loaded_with_all_its_pictures(loader: Any, tokens: tuple[list[str], list[str]]) -> None:
    """Without ``synthetic_scene_tokens`` too: the scenes say which first-stage scene they belong to."""
    assert set(loader.tokens_stage_one) == set(tokens[0])
    assert set(loader.reactive_tokens_stage_two) == set(tokens[1])
    for token in tokens[1]:
        agent_input = loader.get_agent_input_from_token(token)
        assert len(agent_input.ego_statuses) == len(agent_input.cameras) == 4
        np.testing.assert_allclose(agent_input.ego_statuses[-1].ego_pose, 0.0, atol=1e-9)
        for cameras in agent_input.cameras:
            assert cameras.cam_f0.image.shape == cameras.cam_b0.image.shape == (1080, 1920, 3)
            assert cameras.cam_l0.image is None


def test_our_reader_gives_agents_what_the_devkits_loader_gives(
    two_stage: Devkit, loader: Any, tokens: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    """Of the world's own pickles, and of those that the devkit writes: plain objects, once their geometry was used."""
    data = two_stage.world / "navhard_two_stage"
    for token in tokens[1]:
        scene = loader.get_scene_from_token(token)
        for detections in scene.extended_detections_tracks:
            assert all(item.box.geometry.is_valid for item in detections.tracked_objects)
            assert len(detections.tracked_objects.get_agents()) <= len(detections.tracked_objects)
        scene.save_to_disk(tmp_path)
        assert b"from_wkb" in (tmp_path / f"{token}.pkl").read_bytes()
    for folder in (data / "synthetic_scene_pickles", tmp_path):
        ours = SyntheticSceneLoader(folder, data / "sensor_blobs", CAMERAS)
        for token in tokens[1]:
            _assert_same(ours.get_agent_input(token), loader.get_agent_input_from_token(token))
            theirs = loader.get_scene_from_token(token)
            assert vars(ours.get_scene(token).scene_metadata) == vars(theirs.scene_metadata)
            _assert_same(ours.get_scene(token).frames[-1].ego_status, theirs.frames[-1].ego_status)


def _assert_same(ours: Any, theirs: Any) -> None:
    """Every field that ours has, types of arrays included: float64 to rounding, everything else bit by bit."""
    if dataclasses.is_dataclass(ours):
        for field in dataclasses.fields(ours):
            _assert_same(getattr(ours, field.name), getattr(theirs, field.name))
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs):
            _assert_same(one, other)
    elif isinstance(ours, np.ndarray):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=0.0, atol=1e-13 if ours.dtype == np.float64 else 0.0)
    else:
        assert str(ours) == str(theirs)


def test_what_stands_for_the_future_is_nuplans_own(loader: Any, tokens: tuple[list[str], list[str]]) -> None:
    """The scene's objects at the later scene's time are those of the log's frame at that time, on the map."""
    from navsim.planning.scenario_builder.navsim_scenario import NavSimScenario

    def scenario_of(token: str) -> NavSimScenario:
        return NavSimScenario(loader.get_scene_from_token(token), map_root="", map_version="")

    for token in tokens[1]:
        scene = loader.get_scene_from_token(token)
        original = scenario_of(scene.scene_metadata.corresponding_original_initial_token)
        scenario = NavSimScenario(scene, map_root="", map_version="")
        expected = _by_track(original.get_tracked_objects_at_iteration(8))
        found = _by_track(scenario.get_tracked_objects_at_iteration(0))
        assert len(found) > 3
        for name in found.keys() & expected.keys():
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
        for iteration in range(1, 9):
            tracked = scenario.get_tracked_objects_at_iteration(iteration)
            assert len(_by_track(tracked)) == len(tracked.tracked_objects.tracked_objects)
            assert scenario.get_traffic_light_status_at_iteration(iteration)
        with pytest.raises(AssertionError, match="out of scenario"):
            scenario.get_tracked_objects_at_iteration(9)


def _by_track(detections: Any) -> dict[str, list[float]]:
    """Track token → pose, size, velocity."""
    return {
        item.track_token: [
            *(item.center.x, item.center.y, item.center.heading, item.box.length, item.box.width, item.box.height),
            *(item.velocity.x, item.velocity.y),
        ]
        for item in detections.tracked_objects
    }


@pytest.fixture(scope="module")
def metric_cache(two_stage: Devkit, split: tuple[str, ...]) -> Path:
    two_stage.run("run_metric_caching", *split)
    return two_stage.experiments / "metric_cache"


def test_our_scoring_scenes_of_follow_ups_are_the_devkits(
    two_stage: Devkit, metric_cache: Path, tokens: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    exported = (f"scenes={metric_cache}", f"output={tmp_path / 'store'}", "traffic=true")
    two_stage.run_module("cache_tools.export_scenes", *exported)
    ours, theirs = SceneStore(two_stage.world / "scoring_scenes" / FOLDER), SceneStore(tmp_path / "store")
    assert list(ours.tokens) == tokens[1]
    for token in tokens[1]:
        for name, value in vars(ours[token]).items():
            other = getattr(theirs[token], name)
            if name in OVER_TIME:  # 4 s are v2.2's
                value, other = value[:, :NUM_STATES], other[:, :NUM_STATES]
            if name == "track_poses":
                seen = theirs[token].track_valid[:, :NUM_STATES]
                value, other = value[seen], other[seen]
            if name in ("pdm_trajectory", "reference_driver"):  # another driver
                continue
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(value, other, rtol=0.0, atol=1e-6, equal_nan=True, msg=f"{token} {name}")
            else:
                assert value == other, f"{token} {name}"


def test_both_scripts_take_every_scene_of_both_stages(
    two_stage: Devkit, split: tuple[str, ...], tokens: tuple[list[str], list[str]], metric_cache: Path
) -> None:
    assert {path.parent.name for path in metric_cache.rglob("metric_cache.pkl")} == {*tokens[0], *tokens[1]}
    two_stage.run("run_pdm_score", *split, "agent=constant_velocity_agent", "experiment_name=two_stage")
    (path,) = two_stage.outputs("two_stage", "*.csv")
    rows = pd.read_csv(path, index_col=0, dtype={"token": str}).set_index("token")
    assert rows["valid"].all()
    averages = ["extended_pdm_score_stage_one", "extended_pdm_score_stage_two", "extended_pdm_score_combined"]
    assert set(rows.index) == {*tokens[0], *tokens[1], *averages}
    assert np.isfinite(rows["score"]).all()
    assert rows.loc[tokens[1], "two_frame_extended_comfort_stage_two"].notna().all()


def test_the_record_names_what_the_split_holds(two_stage: Devkit, tokens: tuple[list[str], list[str]]) -> None:
    (path,) = (two_stage.world / "navhard_two_stage" / "pairs").glob("*.json")
    (pair,) = json.loads(Path(path).read_text(encoding="utf-8"))["pairs"]
    assert pair["tokens"] == tokens[0]
    assert [token for both in pair["follow_ups"].values() for token in both] == tokens[1]
