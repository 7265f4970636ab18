"""What is refused before anything is written, what a failed log costs, and what the command says."""

import dataclasses
import re
from pathlib import Path

import pytest

pytest.importorskip("geopandas")

from navsim_agents.data.split_mapping import read_two_stage_mapping
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.world.generate import generate_world
from navsim_agents.world.summary import summary
from tests.world.two_stage import PARTS, config_of, drive_through, records


def test_settings_without_any_follow_up_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"two_stage=true with logs=1 .* there is none; give more logs"):
        generate_world(config_of(tmp_path, logs=1), PARTS)
    with pytest.raises(InputError, match=r"duration_s=9\.9, but .* lasts 10\.0 s; make logs at least as long"):
        generate_world(config_of(tmp_path, duration_s=9.9), PARTS)
    assert not list(tmp_path.iterdir())


def test_another_number_of_pairs_is_refused(tmp_path):
    generate_world(config_of(tmp_path, cameras=[]), PARTS)
    with pytest.raises(WorldDataError, match=r"is of two_stage_pairs=2, but two_stage_pairs=1 is asked for; .*delete"):
        generate_world(config_of(tmp_path, cameras=[], two_stage_pairs=1), PARTS)


def test_plans_that_are_left_out_are_named(tmp_path):
    config = config_of(tmp_path, cameras=[])
    index = generate_world(config, PARTS)
    lines = summary(config, index).splitlines()
    rows = records(tmp_path)
    assert len(rows) == 2
    told = [line for line in lines if "left out" in line]
    assert len(told) == sum(len(row["left_out"]) for row in rows) >= 1
    assert any(re.search(r"left out [0-9a-f]{16}, right: it leaves the road", line) for line in told)
    count = sum(len(row["follow_ups"]) for row in rows)
    assert f"  navhard_two_stage: {count} follow-up pairs of 2 pairs of scenes" in lines
    tokens = Path(config.output) / "devkit_config" / "train_test_split" / "world_two_stage.yaml"
    wanted = f"For drive-jepa evaluate: protocol=two_stage data_root={config.output} tokens={tokens}"
    assert wanted not in lines
    assert wanted in summary(dataclasses.replace(config, scoring_scenes=True), index).splitlines()
    assert len(read_two_stage_mapping(tokens).groups) == 2
    assert all(set(row["follow_ups"]) | set(row["left_out"]) >= {"human", "left", "right"} for row in rows)
    assert any(f"--config-dir {tmp_path}/devkit_config train_test_split=world_two_stage" in line for line in lines)


def test_a_log_that_fails_costs_its_follow_ups_alone(tmp_path):
    config = config_of(tmp_path, cameras=[], splits={"test": 1}, logs=3)
    index = generate_world(dataclasses.replace(config, two_stage=False), PARTS)

    def drive_of(town, number, seed, settings):
        if number == 1:
            raise ValueError("no road")
        return drive_through(town, number, seed, settings)

    bad = dataclasses.replace(PARTS, simulate_drive=drive_of)
    with pytest.raises(WorldDataError, match=rf"1 of 3 logs failed, those of {index.logs[1].name} with ValueError"):
        generate_world(config, bad)
    assert {row["log_name"] for row in records(tmp_path)} == {index.logs[0].name, index.logs[2].name}
    generate_world(config, PARTS)
    assert len({row["log_name"] for row in records(tmp_path)}) == 3
