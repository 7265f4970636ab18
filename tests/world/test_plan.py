"""Logs dealt to splits and towns, the settings, the index file and the file for the shell."""

import json
import subprocess
from dataclasses import asdict
from importlib.resources import files

import pytest

from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.plan import LogEntry, WorldIndex, check_same_world, plan_logs, read_index, write_index
from navsim_agents.world.writers.shell import write_shell_variables
from tests.world.small_world import run_command

SPLITS = {"train": 4, "val": 1, "test": 1}


def splits_of(logs, splits=None):
    return [plan.split for plan in plan_logs(WorldConfig(output="x", logs=logs, splits=splits or SPLITS))]


def test_shares_are_kept_and_a_world_can_grow():
    dealt = splits_of(24)
    assert [dealt.count(split) for split in SPLITS] == [16, 4, 4]
    assert splits_of(7) == dealt[:7]
    assert set(splits_of(4)) == set(SPLITS)  # the least world that has all three
    assert splits_of(3, {"mini": 1, "test": 0}) == ["mini"] * 3


def test_every_split_visits_all_four_towns():
    plans = plan_logs(WorldConfig(output="x", logs=24, splits=SPLITS))
    assert [plan.index for plan in plans] == list(range(24))
    for split in SPLITS:
        assert len({plan.location for plan in plans if plan.split == split}) == 4
    assert {plan.folder for plan in plans} == {"trainval", "test"}


def test_settings_are_checked():
    with pytest.raises(InputError, match=r"splits=\{'navtest': 1\}, but splits are shares of train, val, test, mini"):
        WorldConfig(output="x", splits={"navtest": 1})
    with pytest.raises(InputError, match="whole numbers, not all 0"):
        WorldConfig(output="x", splits={"train": 0})
    with pytest.raises(InputError, match=r"cameras has \['front'\]; cameras are cam_f0"):
        WorldConfig(output="x", cameras=["front"])
    with pytest.raises(InputError, match=r"logs=0, workers=1 and duration_s=20.0 must each be at least 1"):
        WorldConfig(output="x", logs=0)


def entry(index, num_frames=41):
    return LogEntry(
        index, f"2021.05.25.14.16.10_veh-35_0000{index}_00020", "train", "trainval", "us-ma-boston", num_frames
    )


def test_number_of_scenes_is_that_of_the_loaders_windows():
    assert (entry(0, 41).num_scenes(), entry(0, 14).num_scenes(), entry(0, 13).num_scenes()) == (28, 1, 0)
    assert entry(0, 41).num_scenes(frame_interval=14) == 2


def test_index_comes_back_and_names_damage(tmp_path):
    config = WorldConfig(output="x", splits=SPLITS)
    assert read_index(tmp_path) is None
    index = WorldIndex("1.0", config.identity(), (entry(0), entry(1)))
    write_index(tmp_path, index)
    assert read_index(tmp_path) == index
    assert json.loads((tmp_path / "world.json").read_text())["splits"]["train"] == [entry(0).name, entry(1).name]
    (tmp_path / "world.json").write_text('{"format": 7}')
    with pytest.raises(WorldDataError, match=r"world\.json has format 7, but"):
        read_index(tmp_path)
    (tmp_path / "world.json").write_text("{")
    with pytest.raises(WorldDataError, match=r"world\.json is damaged"):
        read_index(tmp_path)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [("vehicles", 250, "vehicles=48, but vehicles=250"), ("textures", True, "textures=False, but textures=True")],
)
def test_a_world_older_than_a_setting_has_its_default(tmp_path, setting, value, words):
    identity = WorldConfig(output="x").identity()
    del identity[setting]
    write_index(tmp_path, WorldIndex("1.0", identity, ()))
    found = read_index(tmp_path)
    check_same_world(tmp_path, found, WorldConfig(output="x"), "1.0")
    with pytest.raises(WorldDataError, match=f"holds a world of {words} is asked for"):
        check_same_world(tmp_path, found, WorldConfig(output="x", **{setting: value}), "1.0")


def test_another_world_is_not_mixed_in(tmp_path):
    found = WorldIndex("1.0", WorldConfig(output="x").identity(), ())
    check_same_world(tmp_path, found, WorldConfig(output="y", logs=99, cameras=[], workers=3), "1.0")
    with pytest.raises(WorldDataError, match=r"holds a world of seed=0, but seed=5 is asked for; choose another"):
        check_same_world(tmp_path, found, WorldConfig(output="x", seed=5), "1.0")
    with pytest.raises(WorldDataError, match=r"package_version=1\.0, but package_version=2\.0"):
        check_same_world(tmp_path, found, WorldConfig(output="x"), "2.0")


def test_shell_file_points_at_its_own_folder(tmp_path):
    folder = tmp_path / "a world"
    write_shell_variables(folder, WorldIndex("1.0", {}, (entry(0), entry(1))))
    command = f". '{folder}/devkit.env'; echo $OPENSCENE_DATA_ROOT; echo $NUPLAN_MAPS_ROOT; echo $WORLD_TRAIN_LOGS"
    lines = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines == [str(folder), f"{folder}/maps", f"[{entry(0).name},{entry(1).name}]"]


def test_the_command_has_the_defaults_of_the_settings():
    omegaconf = pytest.importorskip("omegaconf").OmegaConf
    written = omegaconf.to_container(omegaconf.load(files("navsim_agents.world") / "conf" / "world.yaml"))
    kept = {key: value for key, value in written.items() if key not in ("defaults", "hydra", "output")}
    defaults = asdict(WorldConfig(output="x"))
    assert kept == {key: value for key, value in defaults.items() if key != "output"}


def test_the_command_refuses_misspelt_settings(tmp_path):
    done = run_command(tmp_path / "w", "log=3")
    assert done.returncode != 0
    assert "Could not override 'log'" in done.stderr
    assert list(tmp_path.iterdir()) == []
