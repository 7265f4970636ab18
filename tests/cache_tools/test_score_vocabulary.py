from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cache_tools import score_vocabulary
from cache_tools.score_vocabulary import label_scenes
from navsim_agents.devkit import workers
from navsim_agents.devkit.variant import Host, Variant
from navsim_agents.distillation import LabelStore, LabelStoreWriter, label_run, labelling, scenes_digest
from navsim_agents.distillation.label_run import summary
from navsim_agents.errors import DevkitError, InputError, LabelError, SceneError
from navsim_agents.scoring import SceneStore, SceneStoreWriter, score_trajectories
from tests.cache_tools.tools import (
    NUM_SCENES,
    bytes_of,
    devkit_scorer,
    make_inputs,
    make_scenes,
    make_vocabulary,
    options,
    tokens,
)
from tests.scenes.metric_caches import write_metric_cache
from tests.scoring.tiny import scene

ROOT = Path(__file__).resolve().parents[2]
KILLS = 3


@pytest.fixture
def folder(tmp_path):
    make_inputs(tmp_path)
    labelling.open_scorer.cache_clear()
    return tmp_path


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_labels_are_the_scorers_answers(folder, metric):
    report = label_scenes(options(folder, metric=metric))
    assert (report["labelled"], report["failed"], report["shards"]) == (NUM_SCENES, {}, 4)
    store = LabelStore.open(folder / "labels", make_vocabulary(), metric)
    assert store.tokens == tokens()
    assert (store.stamp.devkit, store.stamp.dtype, store.stamp.backend) == ("v2.2", "float64", "batched")
    scenes, final = SceneStore(folder / "scenes"), "score" if metric == "pdms" else "pdm_score"
    seen = set()
    for token in store:
        wanted = score_trajectories(scenes[token], make_vocabulary().planned().double(), metric=metric)
        np.testing.assert_allclose(store.scores(token), wanted[final], atol=1e-5)
        np.testing.assert_array_equal(store.scores(token) >= 0.95, wanted[final] >= 0.95)
        for name, value in store.sub_scores(token).items():
            np.testing.assert_allclose(value, wanted[name], atol=1e-5 if name == "ego_progress" else 0.0)
        seen |= set(store.scores(token).round(2).tolist())
    assert len(seen) >= 5


def start_command(folder, output):
    overrides = [f"scenes={folder / 'scenes'}", f"vocabulary={folder / 'v.npy'}", f"output={output}"]
    command = [sys.executable, "-m", "cache_tools.score_vocabulary", *overrides, "shard_size=1", "workers=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def num_shards(output):
    return len(list(output.glob("shards/*.labels")))


def test_killed_three_times_and_resumed_gives_the_same_bytes(tmp_path):
    """SIGKILL as soon as some shards more are there and a random moment has passed."""
    count = 60  # more than a fast machine labels before the third kill
    make_inputs(tmp_path, count)
    label_scenes(options(tmp_path, output=str(tmp_path / "whole"), shard_size=1))
    draw, output, reached = random.Random(5), tmp_path / "killed", 0
    for _ in range(KILLS):
        process, target = start_command(tmp_path, output), reached + draw.randint(1, 3)
        while num_shards(output) < target and process.poll() is None:
            time.sleep(0.002)
        time.sleep(draw.random() * 0.02)
        assert process.poll() is None, process.communicate()[0].decode()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        time.sleep(0.3)  # workers end with their parent
        reached = num_shards(output)
        assert target <= reached < count
        assert not (output / "report.json").exists()
    assert num_shards(output) == reached
    report = label_scenes(options(tmp_path, output=str(output), shard_size=1))
    assert report["labelled"] == count
    assert bytes_of(output) == bytes_of(tmp_path / "whole")


def test_damaged_shard_is_rebuilt(folder):
    label_scenes(options(folder))
    before = bytes_of(folder / "labels")
    shard = folder / "labels" / "shards" / "000002.labels"
    data = bytearray(shard.read_bytes())
    data[-40] ^= 0xFF
    shard.write_bytes(data)
    assert LabelStore.open(folder / "labels").verify()
    untouched = (folder / "labels" / "shards" / "000001.labels").stat().st_mtime_ns
    label_scenes(options(folder))
    assert bytes_of(folder / "labels") == before
    assert (folder / "labels" / "shards" / "000001.labels").stat().st_mtime_ns == untouched


def test_parts_make_the_same_store(folder):
    label_scenes(options(folder))
    for part in (2, 0, 1):
        report = label_scenes(options(folder, output=str(folder / "parts"), part=part, num_parts=3))
        assert report["shards_missing"] == {2: 3, 0: 1, 1: 0}[part]
    assert bytes_of(folder / "parts") == bytes_of(folder / "labels")


def test_bad_scene_costs_itself(folder):
    index = np.load(folder / "scenes" / "index.npy")
    row = index[index["token"] == tokens()[3]][0]
    with (folder / "scenes" / "scenes.bin").open("r+b") as file:
        file.seek(int(row["offset"]) + int(row["length"]) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))
    report = label_scenes(options(folder))
    assert report["labelled"] == NUM_SCENES - 1
    assert list(report["failed"]) == [tokens()[3]]
    assert "wrong checksum" in report["failed"][tokens()[3]]
    assert json.loads((folder / "labels" / "report.json").read_text()) == report
    assert f"1 failed:\n  {tokens()[3]}: SceneError" in summary(report, "labels")
    assert LabelStore.open(folder / "labels").tokens == [token for token in tokens() if token != tokens()[3]]


MACHINES_FAULTS = [
    OSError(5, "Input/output error"),
    MemoryError(),
    torch.cuda.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("CUDA error: unspecified launch failure"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
]


def raises(error):
    def columns(*_, **__):
        raise error

    return columns


@pytest.mark.parametrize("error", [*MACHINES_FAULTS, ValueError("a slip of ours")], ids=repr)
def test_what_is_no_scenes_fault_ends_the_run(folder, monkeypatch, error):
    monkeypatch.setattr(labelling, "score_trajectories", raises(error))
    with pytest.raises(type(error)):
        label_scenes(options(folder))
    monkeypatch.undo()
    assert label_scenes(options(folder))["failed"] == {}


@pytest.mark.parametrize("error", MACHINES_FAULTS, ids=repr)
def test_devkits_scorer_lets_the_machines_faults_through(folder, monkeypatch, error):
    scorer = devkit_scorer(folder)
    monkeypatch.setattr(scorer, "_score", raises(error))
    with pytest.raises(type(error)):
        scorer.columns("t")


@pytest.mark.parametrize("error", [ValueError("no centreline"), RuntimeError("no route"), KeyError("lane")], ids=repr)
def test_whatever_else_the_devkit_raises_is_the_scenes_fault(folder, monkeypatch, error):
    scorer = devkit_scorer(folder)
    monkeypatch.setattr(scorer, "_score", raises(error))
    with pytest.raises(
        SceneError, match=f"the devkit's scorer fails on scene t .{type(error).__name__}: .*or leave it out"
    ):
        scorer.columns("t")
    with pytest.raises(SceneError, match="scene u has no metric cache"):
        scorer.columns("u")


def test_metric_cache_that_vanishes_or_is_damaged(folder, monkeypatch):
    scorer = devkit_scorer(folder)
    monkeypatch.setitem(
        sys.modules,
        "navsim_agents.devkit.scoring",
        SimpleNamespace(
            score_jointly_with_devkit=None,
            score_with_devkit=None,
        ),
    )
    with pytest.raises(DevkitError, match="is not a readable metric cache"):
        scorer.columns("t")
    shutil.rmtree(folder / "cache")
    with pytest.raises(FileNotFoundError):
        scorer.columns("t")


def test_scene_of_another_devkit_is_left_out(folder):
    with SceneStoreWriter(folder / "scenes") as writer:
        writer.add(dataclasses.replace(scene(), token="ff", devkit="v1.1"))
    report = label_scenes(options(folder))
    assert list(report["failed"]) == ["ff"]
    assert "the scene is of devkit v1.1, but the labels are of v2.2" in report["failed"]["ff"]


def test_epdms_of_scenes_without_lights_and_history_is_refused(tmp_path):
    make_inputs(tmp_path, 1)
    make_scenes(tmp_path / "v1", 1, devkit="v1.1")
    with pytest.raises(SceneError, match=f"scene {tokens()[0]} is of devkit v1.1, .*choose metric=pdms"):
        label_scenes(options(tmp_path, scenes=str(tmp_path / "v1")))
    assert not (tmp_path / "labels").exists()
    assert label_scenes(options(tmp_path, scenes=str(tmp_path / "v1"), metric="pdms"))["labelled"] == 1


class OtherScorer(labelling.BatchedScorer):
    """A devkit that disagrees about lane keeping in one scene, and about progress by a hair."""

    def columns(self, token, rows=None):
        found = dict(super().columns(token, rows))
        found["ego_progress"] = found["ego_progress"] + 1e-7
        if token == tokens()[4]:
            found["lane_keeping"] = 1.0 - found["lane_keeping"]
        return found


def test_mismatches_with_the_devkit_are_listed(folder, monkeypatch):
    monkeypatch.setattr(labelling, "DevkitScorer", OtherScorer)
    monkeypatch.setattr(score_vocabulary, "check_devkit", lambda metric, path: None)
    report = label_scenes(options(folder, verify=3))
    assert report["labelled"] == NUM_SCENES
    assert len(report["mismatches"]) == 3
    assert {(row["token"], row["column"]) for row in report["mismatches"]} == {(tokens()[4], "lane_keeping")}
    assert len({row["trajectory"] for row in report["mismatches"]}) == 3
    assert "3 mismatches with the devkit's scorer:" in summary(report, "labels")
    assert LabelStore.open(folder / "labels").mismatches == report["mismatches"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backend": "abacus"}, "backend is 'abacus', but must be one of batched, devkit"),
        ({"backend": "devkit"}, r"scenes is no metric cache, but the devkit's own scorer .* reads nothing else"),
        ({"verify": 2}, r"scenes is no metric cache, but the devkit's own scorer .* reads nothing else"),
        ({"part": 2, "num_parts": 2}, "part is 2 of num_parts=2, but parts count from 0"),
        ({"dtype": "float16"}, "dtype is 'float16', but must be one of float64, float32"),
        ({"devices": ["abacus"]}, "device is 'abacus', but must be cpu or cuda"),
        ({"traffic": "idm"}, "traffic is 'idm', but must be one of log_replay, reactive"),
        ({"metric": "ade"}, "metric is 'ade', but labels are kept for pdms, epdms"),
        ({"threshold": 0.0}, r"threshold is 0.0, but scores reach from 0 to 1"),
    ],
)
def test_bad_options_are_refused(folder, changes, message):
    with pytest.raises((LabelError, InputError), match=message):
        label_scenes(options(folder, **changes))
    assert not (folder / "labels").exists()


def test_other_options_are_not_mixed_into_a_store(folder):
    label_scenes(options(folder))
    with pytest.raises(LabelError, match="metric: epdms there, pdms now"):
        label_scenes(options(folder, metric="pdms"))


def test_labels_of_scenes_that_were_exported_anew_are_not_gone_on_with(folder):
    """Same tokens, another content: the shards that are there would be taken for labels of the new scenes."""
    label_scenes(options(folder))
    shutil.rmtree(folder / "scenes")
    make_scenes(folder / "scenes", log_name="another")
    with pytest.raises(LabelError, match=r"\(scenes_digest: .* there, .* now\).* scenes were added or exported anew"):
        label_scenes(options(folder))
    assert LabelStore.open(folder / "labels", make_vocabulary(), "epdms").tokens == tokens()


def test_the_same_scenes_in_another_order_are_gone_on_with(folder):
    label_scenes(options(folder))
    before = bytes_of(folder / "labels")
    (folder / "labels" / "shards" / "000001.labels").unlink()
    with SceneStoreWriter(folder / "backwards") as writer:
        for token in tokens():
            writer.add(SceneStore(folder / "scenes")[token])
    assert SceneStore(folder / "backwards").tokens == SceneStore(folder / "scenes").tokens[::-1]
    label_scenes(options(folder, scenes=str(folder / "backwards")))
    assert bytes_of(folder / "labels") == before


def test_a_store_that_noted_the_tokens_alone_is_read_but_not_gone_on_with(folder):
    """As this package's earlier releases made them."""
    writer, jobs = score_vocabulary.plan_run(options(folder, output=str(folder / "unused")))
    stamp = dataclasses.replace(writer.stamp, scenes_digest=scenes_digest(tokens()))
    old = LabelStoreWriter(folder / "labels", stamp, tokens())
    for job in jobs:
        labelling.build_shard(dataclasses.replace(job, plan=old.plan(job.plan.shard)))
    assert LabelStore.open(folder / "labels", make_vocabulary(), "epdms").tokens == tokens()
    with pytest.raises(LabelError, match="a release that recorded the tokens alone; a complete store can still be"):
        label_scenes(options(folder))


def test_devkit_must_score_the_metric(folder, monkeypatch):
    monkeypatch.setattr(label_run, "detect_host", lambda: Host(Variant.V1_1))
    cache = write_metric_cache(folder / "cache", {"a": b"1"})
    with pytest.raises(LabelError, match=r"metric is epdms, but the devkit on the path \(v1.1\) scores pdms"):
        label_scenes(options(folder, verify=1, verify_scenes=str(cache)))


def test_devkits_worker_needs_the_devkit(folder, monkeypatch):
    monkeypatch.setattr(workers, "detect_host", lambda: Host(Variant.NONE))
    with pytest.raises(DevkitError, match="worker=ray_distributed is one of NAVSIM's, but no devkit is on the path"):
        label_scenes(options(folder, worker="ray_distributed"))


def test_store_without_a_readable_scene_is_refused(tmp_path):
    make_inputs(tmp_path, 1)
    (tmp_path / "scenes" / "scenes.bin").write_bytes(bytes((tmp_path / "scenes" / "scenes.bin").stat().st_size))
    with pytest.raises(LabelError, match="none of 1 scenes can be read"):
        label_scenes(options(tmp_path))


def test_command_line(folder):
    make_scenes(folder / "two", 2)
    command = [sys.executable, "-m", "cache_tools.score_vocabulary", "scenes=two", "vocabulary=v.npy", "output=labels"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(*overrides):
        return subprocess.run(
            [*command, *overrides], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    done = run("workers=0")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 scenes labelled, 64 bytes each: labels" in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["labels", "scenes", "two", "v.npy"]
    misspelt = run("metrik=pdms")
    assert misspelt.returncode != 0
    assert "metrik" in misspelt.stderr
