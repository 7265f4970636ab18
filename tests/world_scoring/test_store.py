"""Stores of a written world: complete, joined in order, resumed where they stopped."""

from __future__ import annotations

import shutil

import pytest
import torch

from navsim_agents.data.logs import SceneLoader
from navsim_agents.scoring import SceneStore
from navsim_agents.world import generate
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.generate import generate_world
from navsim_agents.world.scoring_scenes import store
from tests.world_formats.small_town import small_drive, small_town


@pytest.fixture(autouse=True)
def _small_worlds(monkeypatch):
    def drive_of(location, index, seed, duration_s):
        return small_drive(f"2021.05.25.14.16.10_veh-{seed:02d}_{index:05d}_00015")

    monkeypatch.setattr(generate, "drive_of", drive_of)
    monkeypatch.setattr(generate, "town_of", lambda location, seed: small_town())
    monkeypatch.setattr(generate, "write_maps", lambda config: None)
    generate._map_of.cache_clear()
    yield
    generate._map_of.cache_clear()


@pytest.fixture
def _no_driver(monkeypatch):
    """The reference driver takes most of the time and no part in what these tests show."""
    monkeypatch.setattr(store, "reference_trajectories", lambda scenes, limits: torch.zeros(len(scenes), 41, 11))


def config_of(root, logs=4):
    return WorldConfig(output=str(root), logs=logs, seed=3, cameras=[])


def test_every_scene_of_the_loader_is_in_the_store(tmp_path):
    generate_world(config_of(tmp_path))
    for folder in ("trainval", "test"):
        loader = SceneLoader(tmp_path, folder, sensors=(), frame_interval=1)
        found = SceneStore(tmp_path / "scoring_scenes" / folder)
        assert set(found.tokens) == set(loader.tokens)
        scene = found[loader.tokens[-1]]
        assert scene.log_name == loader.get_scene(loader.tokens[-1]).scene_metadata.log_name
        assert scene.map_name == loader.get_scene(loader.tokens[-1]).scene_metadata.map_name
        assert scene.pdm_trajectory[-1, 0] > 5.0
    assert sorted(path.name for path in (tmp_path / "scoring_scenes").iterdir()) == ["test", "trainval"]


def contents(root):
    return {path.name: path.read_bytes() for path in sorted((root / "scoring_scenes" / "trainval").iterdir())}


@pytest.mark.usefixtures("_no_driver")
def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path, monkeypatch):
    generate_world(config_of(tmp_path / "whole"))
    write, written = store.write_part, []

    def stop_at_third(output, folder, town_map, frames):
        if len(written) == 2:
            raise KeyboardInterrupt
        write(output, folder, town_map, frames)
        written.append(folder)

    monkeypatch.setattr(generate, "write_part", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        generate_world(config_of(tmp_path / "stopped"))
    assert not (tmp_path / "stopped" / "scoring_scenes" / "trainval").exists()
    again = []
    monkeypatch.setattr(generate, "write_part", lambda *given: again.append(write(*given)))
    generate_world(config_of(tmp_path / "stopped"))
    assert len(again) == 2
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("_no_driver")
def test_finished_scenes_are_not_made_again_and_lost_ones_are(tmp_path, monkeypatch):
    generate_world(config_of(tmp_path))
    before, write, made = contents(tmp_path), store.write_part, []
    monkeypatch.setattr(generate, "write_part", lambda *given: made.append(write(*given)))
    generate_world(config_of(tmp_path))
    assert made == []
    shutil.rmtree(tmp_path / "scoring_scenes" / "trainval")
    generate_world(config_of(tmp_path))
    assert len(made) == 3
    assert contents(tmp_path) == before


@pytest.mark.usefixtures("_no_driver")
def test_a_world_that_grows_adds_to_its_stores(tmp_path):
    generate_world(config_of(tmp_path / "grown"))
    generate_world(config_of(tmp_path / "grown", logs=6))
    generate_world(config_of(tmp_path / "at_once", logs=6))
    assert contents(tmp_path / "grown") == contents(tmp_path / "at_once")


@pytest.mark.usefixtures("_no_driver")
def test_scenes_can_be_left_out(tmp_path):
    config = WorldConfig(output=str(tmp_path), logs=1, seed=3, cameras=[], scoring_scenes=False)
    generate_world(config)
    assert not (tmp_path / "scoring_scenes").exists()
