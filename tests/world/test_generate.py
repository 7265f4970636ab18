"""The command's run: what it writes, what it keeps, what it says of a log that fails; on small towns and drives."""

import dataclasses
import json
import pickle
import shutil

import numpy as np
import pytest

pytest.importorskip("geopandas")

from navsim_agents.data.logs import SceneLoader
from navsim_agents.errors import WorldDataError
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.generate import generate_world
from navsim_agents.world.load import load_world
from navsim_agents.world.parts import WorldParts
from tests.world.small_town import small_drive, small_town
from tests.world.small_world import plain_picture

NUM_LOGS = 4


class PlainPainter:
    def __init__(self, town):
        pass

    render = staticmethod(plain_picture)


def town_of(location, seed):
    return dataclasses.replace(small_town(), location=location)


def drive_through(town, index, seed, config):
    drive = small_drive(f"2021.05.25.14.16.10_veh-{seed:02d}_{index:05d}_00015")
    return dataclasses.replace(drive, location=town.location)


def no_maps(town_of, maps_root):
    """Maps take most of the time and no part in what most of these tests show."""


WITH_MAPS = WorldParts(build_town=town_of, simulate_drive=drive_through, build_painter=PlainPainter)
PARTS = dataclasses.replace(WITH_MAPS, write_maps=no_maps)


def config_of(root, **changes):
    return WorldConfig(
        **{"output": str(root), "logs": NUM_LOGS, "seed": 3, "cameras": ["cam_f0"], "scoring_scenes": False, **changes}
    )


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_files_lie_where_the_devkits_look(tmp_path):
    index = generate_world(config_of(tmp_path), WITH_MAPS)
    assert len(list((tmp_path / "maps").glob("*/*/map.gpkg"))) == 4
    assert len(list((tmp_path / "navsim_logs" / "trainval").glob("*.pkl"))) == 3
    assert [path.stem for path in (tmp_path / "navsim_logs" / "test").glob("*.pkl")] == index.splits["test"]
    assert {split: len(names) for split, names in index.splits.items()} == {"train": 2, "val": 1, "test": 1, "mini": 0}
    for split, folder in (("train", "trainval"), ("val", "trainval"), ("test", "test")):
        loader = SceneLoader(tmp_path, folder, log_names=index.splits[split], frame_interval=1)
        assert len(loader) == sum(entry.num_scenes() for entry in index.logs if entry.split == split)
        assert loader.get_agent_input(loader.tokens[0]).cameras[0].cam_f0.image is not None


def test_same_seed_same_bytes_and_finished_logs_stay(tmp_path):
    generate_world(config_of(tmp_path / "a"), WITH_MAPS)
    written = contents(tmp_path / "a")
    times = {
        path: (tmp_path / "a" / path).stat().st_mtime_ns for path in written if path.suffix in (".pkl", ".jpg", ".gpkg")
    }
    generate_world(config_of(tmp_path / "a", logs=NUM_LOGS + 1), WITH_MAPS)
    assert all((tmp_path / "a" / path).stat().st_mtime_ns == time for path, time in times.items())
    generate_world(config_of(tmp_path / "b", logs=NUM_LOGS + 1), WITH_MAPS)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_stopped_run_goes_on(tmp_path):
    index = generate_world(config_of(tmp_path), PARTS)
    before = contents(tmp_path)
    log = index.logs[1]
    (tmp_path / "navsim_logs" / log.folder / f"{log.name}.pkl").unlink()
    shutil.rmtree(tmp_path / "sensor_blobs" / "test")
    generate_world(config_of(tmp_path), PARTS)
    assert contents(tmp_path) == before


def test_frames_that_no_scene_shows_can_be_left_out(tmp_path):
    index = generate_world(config_of(tmp_path, logs=1, skip_unseen_frames=True), PARTS)
    images = list((tmp_path / "sensor_blobs").rglob("*.jpg"))
    assert len(images) == index.logs[0].num_frames - 10
    loader = SceneLoader(tmp_path, "trainval", frame_interval=1)
    assert all(loader.get_agent_input(token).cameras[3].cam_f0.image is not None for token in loader.tokens)


def test_another_seed_is_refused(tmp_path):
    generate_world(config_of(tmp_path, logs=1), PARTS)
    with pytest.raises(WorldDataError, match="holds a world of seed=3, but seed=4 is asked for"):
        generate_world(config_of(tmp_path, logs=1, seed=4), PARTS)


def test_one_bad_log_costs_one_log(tmp_path):
    def drive_of(town, index, seed, config):
        if index == 2:
            raise ValueError("no road")
        return drive_through(town, index, seed, config)

    bad = dataclasses.replace(PARTS, simulate_drive=drive_of)
    with pytest.raises(WorldDataError, match=r"1 of 4 logs failed, log 2 of seed 3 with ValueError\('no road'\)"):
        generate_world(config_of(tmp_path, cameras=[]), bad)
    assert len(list((tmp_path / "navsim_logs").rglob("*.pkl"))) == 3
    assert len(generate_world(config_of(tmp_path, cameras=[]), PARTS).logs) == 4


def test_written_world_gives_towns_and_drives_back(tmp_path):
    index = generate_world(config_of(tmp_path, cameras=[]), PARTS)
    world, name = load_world(tmp_path, PARTS), index.splits["test"][0]
    drive = world.drive(name)
    assert (drive.log_name, world.town(drive.location).location) == (name, world.entry(name).location)
    scene = SceneLoader(tmp_path, "test", sensors=(), frame_interval=1)
    pose = scene.get_scene(scene.tokens[0]).current_pose
    np.testing.assert_allclose(drive.ego.poses[15], pose, atol=1e-9)
    with pytest.raises(WorldDataError, match=r"has no log 'x', but 4 others; see World\.splits"):
        world.drive("x")


def test_settings_reach_the_drives_now_and_again(tmp_path):
    seen = []

    def drive_of(town, index, seed, config):
        seen.append((seed, config.duration_s, config.traffic.num_vehicles))
        return drive_through(town, index, seed, config)

    parts = dataclasses.replace(PARTS, simulate_drive=drive_of)
    index = generate_world(config_of(tmp_path, logs=1, cameras=[], vehicles=5, duration_s=15.0), parts)
    load_world(tmp_path, parts).drive(index.logs[0].name)
    assert seen == [(3, 15.0, 5), (3, 15.0, 5)]


def test_a_world_of_another_version_is_not_driven_again(tmp_path):
    generate_world(config_of(tmp_path, logs=1, cameras=[]), PARTS)
    path = tmp_path / "world.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "package_version": "0.0.1"}))
    with pytest.raises(WorldDataError, match=r"was written by version 0\.0\.1, this is"):
        load_world(tmp_path)
    with pytest.raises(WorldDataError, match=r"nothing has no world\.json; write a world with"):
        load_world(tmp_path / "nothing")


def test_textured_worlds_have_their_own_painter_and_the_same_drives(tmp_path):
    class Dark(PlainPainter):
        def render(self, drive, step, camera):
            return plain_picture(drive, step, camera) // 2

    parts = dataclasses.replace(PARTS, build_textured_painter=Dark)
    generate_world(config_of(tmp_path / "plain", logs=1), parts)
    generate_world(config_of(tmp_path / "textured", logs=1, textures=True), parts)
    plain, textured = (contents(tmp_path / name) for name in ("plain", "textured"))
    assert plain.keys() == textured.keys()
    differ = {path.suffix for path in plain if plain[path] != textured[path]}
    assert differ == {".jpg", ".json"}


def test_parts_reach_other_processes_and_are_built_once(tmp_path):
    """Towns, maps and painters are kept by their parts, so two worlds of one process do not meet."""
    real = WorldParts()
    assert pickle.loads(pickle.dumps(real)) == real
    assert hash(pickle.loads(pickle.dumps(real))) == hash(real)
    seen = []
    counted = dataclasses.replace(PARTS, build_town=lambda *given: seen.append(given) or town_of(*given))
    generate_world(config_of(tmp_path), counted)
    assert len(seen) == len(set(seen)) == 3  # four logs, dealt to three of the four towns
    assert PARTS.town("us-nv-las-vegas-strip", 3) is not counted.town("us-nv-las-vegas-strip", 3)
