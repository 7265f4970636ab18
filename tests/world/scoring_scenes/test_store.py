"""Stores of a written world: complete, joined in order, resumed where they stopped."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial

import pytest
import torch

from navsim_agents.data.logs import SceneLoader
from navsim_agents.scoring import SceneStore
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.generate import generate_world
from navsim_agents.world.parts import WorldParts
from navsim_agents.world.scoring_scenes.store import log_scenes
from tests.world.small_town import small_drive, small_town


def drive_through(town, index, seed, config):
    return small_drive(f"2021.05.25.14.16.10_veh-{seed:02d}_{index:05d}_00015")


def stand_still(scenes, speed_limits):
    """The reference driver takes most of the time and no part in what most of these tests show."""
    return torch.zeros(len(scenes), 41, 11)


WITH_DRIVER = WorldParts(
    build_town=lambda location, seed: small_town(),
    simulate_drive=drive_through,
    write_maps=lambda town_of, maps_root: None,
)
PARTS = replace(WITH_DRIVER, score_log=partial(log_scenes, driver=stand_still))


class Scored:
    """Scores logs and counts them; ends like Ctrl-C when asked for more than ``most``."""

    def __init__(self, most=99):
        self.most, self.count = most, 0

    def __call__(self, town_map, frames):
        if self.count == self.most:
            raise KeyboardInterrupt
        self.count += 1
        return PARTS.score_log(town_map, frames)


def config_of(root, logs=4):
    return WorldConfig(output=str(root), logs=logs, seed=3, cameras=[])


def test_every_scene_of_the_loader_is_in_the_store(tmp_path):
    generate_world(config_of(tmp_path), WITH_DRIVER)
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


def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path):
    generate_world(config_of(tmp_path / "whole"), PARTS)
    with pytest.raises(KeyboardInterrupt):
        generate_world(config_of(tmp_path / "stopped"), replace(PARTS, score_log=Scored(most=2)))
    assert not (tmp_path / "stopped" / "scoring_scenes" / "trainval").exists()
    again = Scored()
    generate_world(config_of(tmp_path / "stopped"), replace(PARTS, score_log=again))
    assert again.count == 2
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_finished_scenes_are_not_made_again_and_lost_ones_are(tmp_path):
    generate_world(config_of(tmp_path), PARTS)
    before, scored = contents(tmp_path), Scored()
    parts = replace(PARTS, score_log=scored)
    generate_world(config_of(tmp_path), parts)
    assert scored.count == 0
    shutil.rmtree(tmp_path / "scoring_scenes" / "trainval")
    generate_world(config_of(tmp_path), parts)
    assert scored.count == 3
    assert contents(tmp_path) == before


def test_a_world_that_grows_adds_to_its_stores(tmp_path):
    generate_world(config_of(tmp_path / "grown"), PARTS)
    generate_world(config_of(tmp_path / "grown", logs=6), PARTS)
    generate_world(config_of(tmp_path / "at_once", logs=6), PARTS)
    assert contents(tmp_path / "grown") == contents(tmp_path / "at_once")


def test_scenes_can_be_left_out(tmp_path):
    config = WorldConfig(output=str(tmp_path), logs=1, seed=3, cameras=[], scoring_scenes=False)
    generate_world(config, PARTS)
    assert not (tmp_path / "scoring_scenes").exists()
