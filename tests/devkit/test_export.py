"""Scoring scenes from the devkit's metric caches."""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from navsim_agents.data.logs import SceneLoader
from navsim_agents.devkit.cache_files import list_metric_cache
from navsim_agents.devkit.cache_pickle import read_metric_cache
from navsim_agents.devkit.export import export_metric_cache
from navsim_agents.devkit.metric_cache import scoring_scene_of
from navsim_agents.devkit.variant import Variant
from navsim_agents.errors import DevkitError, InputError, SceneError
from navsim_agents.poses import points_to_global, poses_to_global
from navsim_agents.scenes import open_scenes
from navsim_agents.scoring import SceneStore, ScoringScene, score_scenes
from tests.devkit.scripts import RAY, Devkit


@pytest.fixture(scope="module")
def loader(devkit: Devkit) -> SceneLoader:
    return SceneLoader(devkit.world, "test", frame_interval=1)


@pytest.fixture(scope="module")
def a_cache(metric_cache: Path) -> Any:
    return read_metric_cache(list_metric_cache(metric_cache).entries[2].path)


@pytest.fixture
def worker() -> Any:
    from nuplan.planning.utils.multithreading.worker_sequential import Sequential

    return Sequential()


def test_ray_exports_every_scene(devkit: Devkit, metric_cache: Path, loader: SceneLoader, tmp_path: Path) -> None:
    logs = devkit.world / "navsim_logs" / "test"
    paths = (f"scenes={metric_cache}", f"output={tmp_path}", f"navsim_log_path={logs}")
    devkit.run_module("cache_tools.export_scenes", *paths, RAY, "worker.threads_per_node=2", "scenes_per_wave=3")
    store = SceneStore(tmp_path)
    assert set(store.tokens) == set(loader.tokens)
    assert json.loads((tmp_path / "export_report.json").read_text())["failures"] == []
    for token in store.tokens:
        scene, logged = store[token], loader.get_scene(token)
        assert scene.devkit == devkit.variant.value
        assert scene.log_name == logged.scene_metadata.log_name
        assert scene.map_name == logged.scene_metadata.map_name
        human = logged.get_future_trajectory(8).poses
        np.testing.assert_allclose(scene.human_trajectory, human, atol=1e-4)
        np.testing.assert_allclose(scene.ego_pose, logged.current_pose, atol=1e-6)


def test_moved_cache_with_a_bad_scene(metric_cache: Path, worker: Any, tmp_path: Path) -> None:
    """Two lists with paths of another machine; one file truncated, one gone; the second run mends only these."""
    cache, output = tmp_path / "moved", tmp_path / "store"
    shutil.copytree(metric_cache, cache)
    (whole,) = (cache / "metadata").glob("*.csv")
    lines = whole.read_text().splitlines()[1:]
    assert len(lines) >= 5
    elsewhere = [line.replace(str(metric_cache), "/elsewhere/metric_cache") for line in lines]
    whole.write_text("\n".join(["file_name", *elsewhere[:3]]))
    (cache / "metadata" / "another_node.csv").write_text("\n".join(["file_name", *elsewhere[2:]]))
    files = [Path(line.replace(str(metric_cache), str(cache))) for line in lines]
    files[0].write_bytes(files[0].read_bytes()[:1000])
    files[1].unlink()

    report = export_metric_cache(cache, output, worker, "npz", scenes_per_wave=2, show_progress=False)
    assert (report.num_lists, report.num_moved) == (2, len(lines))
    errors = {failure.token: failure.error for failure in report.failures}
    assert set(errors) == {files[0].parent.name, files[1].parent.name}
    assert "is not a readable metric cache" in errors[files[0].parent.name]
    assert "its file is neither below the cache" in errors[files[1].parent.name]
    assert len(SceneStore(output)) == report.num_exported == len(lines) - 2

    for bad in files[:2]:
        shutil.copy(metric_cache / bad.relative_to(cache), bad)
    again = export_metric_cache(cache, output, worker, "npz", show_progress=False)
    assert (again.num_known, again.num_exported, again.failures) == (len(lines) - 2, 2, [])
    store = SceneStore(output)
    for token in store.tokens:
        saved = ScoringScene.load(output / "npz" / f"{token}.npz").to_arrays()
        for name, value in store[token].to_arrays().items():
            np.testing.assert_array_equal(saved[name], value)
    assert sorted(path.name for path in output.iterdir()) == [
        "export_report.json",
        "index.npy",
        "npz",
        "scenes.bin",
        "store.json",
    ]


def test_polygons_and_tracks_lie_where_the_devkit_has_them(a_cache: Any) -> None:
    scene = scoring_scene_of(a_cache)
    origin = scene.ego_pose.numpy()
    drivable = a_cache.drivable_area_map
    assert list(scene.polygon_token) == drivable.tokens
    for index, shape in enumerate(drivable._geometries):
        ring = int(np.flatnonzero(scene.ring_polygon.numpy() == index)[0])
        start, end = scene.ring_offsets[ring : ring + 2].tolist()
        vertices = points_to_global(scene.ring_xy[start:end].numpy(), origin)
        assert shapely.Polygon(vertices).symmetric_difference(shapely.Polygon(shape.exterior)).area < 1e-6
        on_route = drivable.tokens[index] in a_cache.route_lane_ids
        assert bool(scene.polygon_on_route[index]) == (on_route and "lane" in scene.polygon_layer[index])
    poses = poses_to_global(np.nan_to_num(scene.track_poses.numpy()), origin)
    for column in (0, 7, poses.shape[1] - 1):
        occupancy = a_cache.observation[column]
        seen = {token for token, valid in zip(scene.track_token, scene.track_valid[:, column]) if valid}
        boxes = [token for token in occupancy.tokens if "red_light" not in token]
        assert seen <= set(boxes)
        for row, token in enumerate(scene.track_token):
            if token in seen:
                center = occupancy[token].centroid
                np.testing.assert_allclose(poses[row, column, :2], (center.x, center.y), atol=1e-6)
                ahead = poses[row, column, :2] + 0.2 * np.array(
                    [np.cos(poses[row, column, 2]), np.sin(poses[row, column, 2])]
                )
                assert occupancy[token].exterior.distance(shapely.Point(ahead)) < scene.track_size[row, 0] / 2


def test_times_are_the_devkits(a_cache: Any) -> None:
    from nuplan.planning.simulation.planner.ml_planner.transform_utils import _get_fixed_timesteps

    scene = scoring_scene_of(a_cache)
    seconds = _get_fixed_timesteps(a_cache.ego_state, 4.0, 0.5)
    knots = [int(second * 1e6) - scene.timestamp_us for second in seconds]
    assert scene.model_knots_us is not None
    assert scene.model_knots_us.tolist() == [0, *knots]
    assert scene.timestamp_us == a_cache.ego_state.time_point.time_us


def test_history_and_human(devkit: Devkit, a_cache: Any) -> None:
    scene = scoring_scene_of(a_cache)
    if devkit.variant is Variant.V2_2:
        assert len(scene.history_states) in (14, 15)
        assert (scene.history_states[:, 0] <= 1e-6).all()
        np.testing.assert_allclose(scene.human_trajectory, a_cache.human_trajectory.poses)
        return
    assert scene.history_states.shape == (0, 11)
    assert scene.human_trajectory.isnan().all()
    plan = scene.human_trajectory.nan_to_num()[None, None]
    with pytest.raises(SceneError, match=r"is of devkit v1\.1, whose metric caches hold neither red lights nor"):
        score_scenes([scene], plan, metric="epdms", human_penalty_filter=True)


def test_refusals(metric_cache: Path, tmp_path: Path) -> None:
    scenes = open_scenes(str(metric_cache))
    assert {scenes.scene(token).token for token in scenes.tokens[:2]} == set(scenes.tokens[:2])
    with pytest.raises(InputError, match=r"scene nowhere is not among the \d+ of scenes="):
        scenes.scene("nowhere")
    foreign = tmp_path / "metric_cache.pkl"
    foreign.write_bytes(lzma.compress(b"cposix\nsystem\n(S'true'\ntR."))
    with pytest.raises(DevkitError, match=r"it asks for posix\.system, which no metric cache needs"):
        read_metric_cache(foreign)


def test_the_doctor_finds_everything_in_place(devkit: Devkit, metric_cache: Path, loader: SceneLoader) -> None:
    data = ("--data-root", str(devkit.world), "--split", "test", "--camera", "cam_f0")
    out = devkit.run_module("navsim_agents.devkit", *data, "--metric-cache", str(metric_cache))
    assert f"NAVSIM {devkit.variant.value} at {devkit.location}" in out
    assert f"{len(loader.tokens)} of {len(loader.tokens)} scenes in 1 logs have all pictures of cam_f0" in out
    assert f"{metric_cache} holds {len(loader.tokens)} scenes" in out
    assert "WRONG" not in out
