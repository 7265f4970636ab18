"""Folders of logs become stores: broken logs are named, interrupted runs go on, archives can be scored."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from cache_tools.convert_argoverse import ConvertArgoverseConfig, convert_argoverse
from cache_tools.score_trajectories import ScoreTrajectoriesConfig, score_file
from navsim_agents.argoverse import convert as module
from navsim_agents.argoverse.convert import REPORT_FILE, find_logs
from navsim_agents.common.extras import MissingPackageError
from navsim_agents.errors import InputError
from navsim_agents.scoring import SceneStore
from tests.argoverse.sensor_logs import NAME
from tests.common.commands import COMMANDS

COMMAND = COMMANDS["cache_tools.convert_argoverse"]


@pytest.fixture
def root(folder, tmp_path):
    """Two splits: a good log, one without boxes as in the test split, one cut off, and a folder that is no log."""
    for split, name in (("val", NAME), ("test", "without_boxes"), ("val", "cut_off")):
        shutil.copytree(folder, tmp_path / "sensor" / split / name, ignore=shutil.ignore_patterns("sensors"))
    (tmp_path / "sensor" / "test" / "without_boxes" / "annotations.feather").unlink()
    cut = tmp_path / "sensor" / "val" / "cut_off" / "city_SE3_egovehicle.feather"
    cut.write_bytes(cut.read_bytes()[:2000])
    (tmp_path / "sensor" / "val" / "notes").mkdir()
    return tmp_path / "sensor"


def converted(root, output, **changes):
    return convert_argoverse(ConvertArgoverseConfig(str(root), str(output), **{"workers": 0, **changes}))


def test_logs_are_found_in_the_data_set_in_a_split_and_alone(root):
    assert find_logs(root) == ["test/without_boxes", f"val/{NAME}", "val/cut_off"]
    assert find_logs(root / "val") == [NAME, "cut_off"]
    assert find_logs(root / "val" / NAME) == ["."]
    with pytest.raises(InputError, match="holds no Argoverse 2 sensor log"):
        find_logs(root / "val" / "notes")


def test_a_broken_log_costs_itself_and_is_named(root, tmp_path, scenes):
    report = converted(root, tmp_path / "out")
    assert report.logs[f"val/{NAME}"].scenes == len(scenes) == report.num_scenes
    assert report.num_off_lanes == 0
    assert "annotations.feather cannot be read" in report.failures["test/without_boxes"]
    assert "city_SE3_egovehicle.feather is no" in report.failures["val/cut_off"]
    store = SceneStore(tmp_path / "out")
    assert store.tokens == [scene.token for scene in scenes]
    for scene in scenes:
        for name, values in store[scene.token].to_arrays().items():
            np.testing.assert_array_equal(values, scene.to_arrays()[name])
    found = json.loads((tmp_path / "out" / REPORT_FILE).read_text())
    assert set(found["logs"]) | set(found["failures"]) == set(find_logs(root))


@pytest.mark.slow  # two processes begin
def test_two_processes_write_the_same_store(root, tmp_path):
    for name, workers in (("one", 0), ("two", 2)):
        converted(root, tmp_path / name, workers=workers)
    assert (tmp_path / "one" / "scenes.bin").read_bytes() == (tmp_path / "two" / "scenes.bin").read_bytes()


def test_a_later_run_takes_what_is_new_or_was_broken(root, tmp_path, monkeypatch):
    output, read, real = tmp_path / "out", [], module.read_log
    converted(root, output)
    shutil.copy(root / "val" / NAME / "annotations.feather", root / "test" / "without_boxes")
    shutil.rmtree(root / "val" / "cut_off")

    def noted(folder):
        read.append(folder.name)
        return real(folder)

    monkeypatch.setattr(module, "read_log", noted)
    report = converted(root, output)
    assert read == ["without_boxes"]
    assert set(report.logs) == {f"val/{NAME}", "test/without_boxes"}
    assert len(SceneStore(output)) == report.num_scenes == 2 * report.logs[f"val/{NAME}"].scenes


def test_an_interrupted_run_goes_on(root, tmp_path, monkeypatch):
    shutil.copy(root / "val" / NAME / "annotations.feather", root / "test" / "without_boxes")
    real, output = module.read_log, tmp_path / "out"

    def stop_at_second(folder):
        if folder.name == NAME:
            raise KeyboardInterrupt
        return real(folder)

    monkeypatch.setattr(module, "read_log", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        converted(root, output)
    half = SceneStore(output).tokens
    assert len(half) == 18
    (output / REPORT_FILE).unlink()  # as if it had ended between the scenes and the report
    monkeypatch.setattr(module, "read_log", real)
    assert converted(root, output).num_scenes == len(SceneStore(output)) == 36
    assert SceneStore(output).tokens[:18] == half


def test_a_full_disk_is_no_fault_of_a_log(root, tmp_path, monkeypatch):
    def full(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "read_log", full)
    with pytest.raises(OSError, match="No space left"):
        converted(root, tmp_path / "out")


def test_archives_are_scored_by_the_command(root, tmp_path, scenes):
    converted(root, tmp_path / "out", format="npz")
    archives = sorted((tmp_path / "out" / "npz").glob("*.npz"))
    assert {path.stem for path in archives} == {scene.token for scene in scenes}
    np.save(tmp_path / "plans.npy", scenes[0].human_trajectory[None].numpy())
    path = tmp_path / "out" / "npz" / f"{scenes[0].token}.npz"
    settings = ScoreTrajectoriesConfig(str(path), str(tmp_path / "plans.npy"), str(tmp_path / "scores.npz"))
    assert score_file(settings)["pdm_score"].tolist() == [pytest.approx(1.0, abs=1e-3)]


def test_the_command_says_what_it_did(root, tmp_path, capsys):
    assert COMMAND.run(f"root={root}", f"output={tmp_path / 'out'}", "workers=0").code == 0
    printed = capsys.readouterr().out
    assert "left out: test/without_boxes: " in printed
    assert "18 scenes of 1 logs" in printed
    assert "2 logs failed" in printed


def test_where_no_log_is_whole_the_command_fails_in_one_line(root, tmp_path):
    ended = COMMAND.run(f"root={root / 'test'}", f"output={tmp_path / 'out'}", "workers=0")
    assert ended.code == 1
    assert ended.words.startswith("no log could be converted; the first failure: without_boxes: ")
    assert len(ended.words.splitlines()) == 1


def test_another_format_is_refused(root, tmp_path):
    ended = COMMAND.run(f"root={root}", f"output={tmp_path / 'out'}", "format=zip")
    assert ended.words == "InputError: format='zip', but must be one of store, npz"


def test_without_pyarrow_it_is_said_before_work_begins(root, tmp_path, monkeypatch):
    monkeypatch.setattr("navsim_agents.common.extras.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pyarrow is not installed.*navsim-drive-jepa\[argoverse\]"):
        converted(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_broken_report_is_told(root, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / REPORT_FILE).write_text("{}")
    with pytest.raises(InputError, match=f"{REPORT_FILE} is not what it should be"):
        converted(root, tmp_path / "out")
