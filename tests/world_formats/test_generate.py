"""The command's run: what it writes, what it keeps, what it says of a log that fails; on small towns and drives."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

pytest.importorskip("geopandas")

from navsim_agents.data.logs import SceneLoader
from navsim_agents.errors import WorldDataError
from navsim_agents.world import generate, load
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.generate import generate_world
from tests.world_formats.conftest import plain_picture
from tests.world_formats.small_town import small_drive, small_town

NUM_LOGS = 4


class PlainRenderer:
    render = staticmethod(plain_picture)


@pytest.fixture(autouse=True)
def _small_worlds(monkeypatch):
    def drive_of(location, index, seed, duration_s):
        drive = small_drive(f"2021.05.25.14.16.10_veh-{seed:02d}_{index:05d}_00015")
        return dataclasses.replace(drive, location=location)

    for module in (generate, load):
        monkeypatch.setattr(module, "drive_of", drive_of)
        monkeypatch.setattr(
            module, "town_of", lambda location, seed: dataclasses.replace(small_town(), location=location)
        )
    monkeypatch.setattr(generate, "_renderer_of", lambda location, seed: PlainRenderer())


@pytest.fixture
def _no_maps(monkeypatch):
    """Maps take most of the time and no part in what these tests show."""
    monkeypatch.setattr(generate, "write_maps", lambda config: None)


def config_of(root, **changes):
    return WorldConfig(
        **{"output": str(root), "logs": NUM_LOGS, "seed": 3, "cameras": ["cam_f0"], "scoring_scenes": False, **changes}
    )


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_files_lie_where_the_devkits_look(tmp_path):
    index = generate_world(config_of(tmp_path))
    assert len(list((tmp_path / "maps").glob("*/*/map.gpkg"))) == 4
    assert len(list((tmp_path / "navsim_logs" / "trainval").glob("*.pkl"))) == 3
    assert [path.stem for path in (tmp_path / "navsim_logs" / "test").glob("*.pkl")] == index.splits["test"]
    assert {split: len(names) for split, names in index.splits.items()} == {"train": 2, "val": 1, "test": 1, "mini": 0}
    for split, folder in (("train", "trainval"), ("val", "trainval"), ("test", "test")):
        loader = SceneLoader(tmp_path, folder, log_names=index.splits[split], frame_interval=1)
        assert len(loader) == sum(entry.num_scenes() for entry in index.logs if entry.split == split)
        assert loader.get_agent_input(loader.tokens[0]).cameras[0].cam_f0.image is not None


def test_same_seed_same_bytes_and_finished_logs_stay(tmp_path):
    generate_world(config_of(tmp_path / "a"))
    written = contents(tmp_path / "a")
    times = {
        path: (tmp_path / "a" / path).stat().st_mtime_ns for path in written if path.suffix in (".pkl", ".jpg", ".gpkg")
    }
    generate_world(config_of(tmp_path / "a", logs=NUM_LOGS + 1))
    assert all((tmp_path / "a" / path).stat().st_mtime_ns == time for path, time in times.items())
    generate_world(config_of(tmp_path / "b", logs=NUM_LOGS + 1))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.usefixtures("_no_maps")
def test_a_stopped_run_goes_on(tmp_path):
    index = generate_world(config_of(tmp_path))
    before = contents(tmp_path)
    log = index.logs[1]
    (tmp_path / "navsim_logs" / log.folder / f"{log.name}.pkl").unlink()
    shutil.rmtree(tmp_path / "sensor_blobs" / "test")
    generate_world(config_of(tmp_path))
    assert contents(tmp_path) == before


@pytest.mark.usefixtures("_no_maps")
def test_frames_that_no_scene_shows_can_be_left_out(tmp_path):
    index = generate_world(config_of(tmp_path, logs=1, skip_unseen_frames=True))
    images = list((tmp_path / "sensor_blobs").rglob("*.jpg"))
    assert len(images) == index.logs[0].num_frames - 10
    loader = SceneLoader(tmp_path, "trainval", frame_interval=1)
    assert all(loader.get_agent_input(token).cameras[3].cam_f0.image is not None for token in loader.tokens)


@pytest.mark.usefixtures("_no_maps")
def test_another_seed_is_refused(tmp_path):
    generate_world(config_of(tmp_path, logs=1))
    with pytest.raises(WorldDataError, match="holds a world of seed=3, but seed=4 is asked for"):
        generate_world(config_of(tmp_path, logs=1, seed=4))


@pytest.mark.usefixtures("_no_maps")
def test_one_bad_log_costs_one_log(tmp_path, monkeypatch):
    good = generate.drive_of

    def drive_of(location, index, seed, duration_s):
        if index == 2:
            raise ValueError("no road")
        return good(location, index, seed, duration_s)

    monkeypatch.setattr(generate, "drive_of", drive_of)
    with pytest.raises(WorldDataError, match=r"1 of 4 logs failed, log 2 of seed 3 with ValueError\('no road'\)"):
        generate_world(config_of(tmp_path, cameras=[]))
    assert len(list((tmp_path / "navsim_logs").rglob("*.pkl"))) == 3
    monkeypatch.setattr(generate, "drive_of", good)
    assert len(generate_world(config_of(tmp_path, cameras=[])).logs) == 4


@pytest.mark.usefixtures("_no_maps")
def test_written_world_gives_towns_and_drives_back(tmp_path):
    index = generate_world(config_of(tmp_path, cameras=[]))
    world, name = load.load_world(tmp_path), index.splits["test"][0]
    drive = world.drive(name)
    assert (drive.log_name, world.town(drive.location).location) == (name, world.entry(name).location)
    scene = SceneLoader(tmp_path, "test", sensors=(), frame_interval=1)
    pose = scene.get_scene(scene.tokens[0]).current_pose
    np.testing.assert_allclose(drive.ego.poses[15], pose, atol=1e-9)
    with pytest.raises(WorldDataError, match=r"has no log 'x', but 4 others; see World\.splits"):
        world.drive("x")


@pytest.mark.usefixtures("_no_maps")
def test_a_world_of_another_version_is_not_driven_again(tmp_path):
    generate_world(config_of(tmp_path, logs=1, cameras=[]))
    path = tmp_path / "world.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "package_version": "0.0.1"}))
    with pytest.raises(WorldDataError, match=r"was written by version 0\.0\.1, this is"):
        load.load_world(tmp_path)
    with pytest.raises(WorldDataError, match=r"nothing has no world\.json; write a world with"):
        load.load_world(tmp_path / "nothing")
