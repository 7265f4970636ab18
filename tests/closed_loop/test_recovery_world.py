"""A written world of recoveries: read like any, built again from its index, and mixed with no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from navsim_agents.closed_loop.recovery_config import RecoveriesConfig
from navsim_agents.closed_loop.recovery_world import load_any_world, write_recoveries
from navsim_agents.common.conventions import NUM_HISTORY_FRAMES
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.poses import poses_to_local
from navsim_agents.scoring.scene_store import SceneStore
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.generate import generate_world
from navsim_agents.world.load import load_world
from navsim_agents.world.writers.logs import STEPS_PER_FRAME


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RecoveriesConfig:
    output = str(tmp_path_factory.mktemp("recoveries") / "world")
    config = RecoveriesConfig(output, logs=1, duration_s=7.0, vehicles=6, cameras=[], splits={"train": 1}, share=1.0)
    write_recoveries(config)
    return config


def test_its_first_scene_begins_where_the_expert_takes_over(config: RecoveriesConfig) -> None:
    world = load_any_world(config.output)
    (name,) = world.splits["train"]
    drive = world.drive(name)
    store = SceneStore(Path(config.output) / "scoring_scenes" / "trainval")
    scene = store[store.tokens[0]]
    now = STEPS_PER_FRAME * (NUM_HISTORY_FRAMES - 1)
    np.testing.assert_allclose(scene.ego_pose.numpy(), drive.ego.poses[now], atol=1e-9)
    future = drive.ego.poses[now + STEPS_PER_FRAME :: STEPS_PER_FRAME][:8]
    np.testing.assert_allclose(scene.human_trajectory.numpy(), poses_to_local(future, drive.ego.poses[now]), atol=1e-6)


def test_nobody_takes_it_for_a_plain_world_or_mixes_it_with_another(config: RecoveriesConfig) -> None:
    with pytest.raises(WorldDataError, match=r"holds recoveries \({.*load_any_world"):
        load_world(config.output)
    plain = WorldConfig(config.output, logs=1, duration_s=7.0, vehicles=6, cameras=[], splits={"train": 1})
    with pytest.raises(WorldDataError, match=r"recoveries={'share': 1.0}, but recoveries=None is asked for"):
        generate_world(plain)
    other = RecoveriesConfig(config.output, logs=1, duration_s=7.0, vehicles=6, cameras=[], splits={"train": 1})
    with pytest.raises(WorldDataError, match=r"{'share': 1.0}, but recoveries={'share': 0.6} is asked for"):
        write_recoveries(other)


def test_a_plain_world_is_opened_as_before(tmp_path: Path) -> None:
    plain = WorldConfig(str(tmp_path), logs=1, duration_s=1.0, vehicles=2, cameras=[], scoring_scenes=False)
    generate_world(plain)
    with pytest.raises(WorldDataError, match=r"holds a world of recoveries=None, but recoveries={'share': 0\.6}"):
        write_recoveries(RecoveriesConfig(str(tmp_path), logs=1, duration_s=1.0, vehicles=2))
    (name,) = load_any_world(tmp_path).splits["train"]
    assert np.array_equal(load_any_world(tmp_path).drive(name).ego.poses, load_world(tmp_path).drive(name).ego.poses)


def test_two_stages_are_not_for_them() -> None:
    with pytest.raises(InputError, match="two_stage=True, but recoveries are there to learn from"):
        RecoveriesConfig("x", two_stage=True)
