"""A vocabulary through the devkit's loader, and labels by its own scorer, its worker, and our scorer checked by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from navsim_agents.devkit.scoring import METRIC
from navsim_agents.distillation import LabelStore, load_vocabulary
from navsim_agents.distillation.human_futures import futures_of_devkit, futures_of_logs
from tests.devkit.scripts import SEQUENTIAL, Devkit

NUM_TRAJECTORIES = 11


def test_futures_are_those_of_our_reader(devkit: Devkit, monkeypatch: pytest.MonkeyPatch) -> None:
    from navsim.common import dataclasses

    monkeypatch.setenv("OPENSCENE_DATA_ROOT", str(devkit.world))
    monkeypatch.setattr(dataclasses, "NUPLAN_MAPS_ROOT", str(devkit.world / "maps"))  # read when it was imported
    logs = list(devkit.train_logs)
    theirs = futures_of_devkit("trainval", logs)
    ours = futures_of_logs(str(devkit.world), "trainval", logs, frame_interval=1)
    assert (theirs.num_logs, ours.num_logs) == (len(logs), len(logs))
    assert 0 < len(theirs.poses) <= len(ours.poses)
    distances = np.abs(theirs.poses[:, None] - ours.poses[None]).max(axis=(2, 3))
    assert (distances.min(axis=1) < 1e-4).all()


@pytest.fixture(scope="module")
def inputs(devkit: Devkit, metric_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("labels")
    vocabulary = [f"source=logs root={devkit.world} split=trainval k={NUM_TRAJECTORIES} output={folder}/v.npy"]
    devkit.run_module("cache_tools.build_vocabulary", *vocabulary[0].split(), "kmeans=sklearn")
    devkit.run_module("cache_tools.export_scenes", f"scenes={metric_cache}", f"output={folder}/scenes")
    metric = METRIC[devkit.variant]
    return (f"vocabulary={folder}/v.npy", f"scenes={folder}/scenes", f"metric={metric}", "shard_size=4")


def labels(devkit: Devkit, inputs: tuple[str, ...], output: Path, *overrides: str) -> LabelStore:
    devkit.run_module("cache_tools.score_vocabulary", *inputs, f"output={output}", *overrides)
    return LabelStore.open(output, load_vocabulary(inputs[0].split("=")[1]), METRIC[devkit.variant])


def test_both_scorers_give_the_same_labels(
    devkit: Devkit, metric_cache: Path, inputs: tuple[str, ...], tmp_path: Path
) -> None:
    straight = f"scenes={metric_cache}"
    checked = labels(devkit, inputs, tmp_path / "checked", f"verify_scenes={metric_cache}", "verify=3")
    theirs = labels(devkit, inputs, tmp_path / "theirs", straight, "backend=devkit")
    batched = labels(devkit, inputs, tmp_path / "straight", straight, "verify=2")
    assert checked.mismatches == batched.mismatches == []
    assert checked.failed == theirs.failed == batched.failed == {}
    assert checked.tokens == theirs.tokens == batched.tokens
    assert (checked.stamp.devkit, theirs.stamp.devkit) == (devkit.variant.value, devkit.variant.value)
    for token in checked:
        np.testing.assert_array_equal(batched.scores(token), checked.scores(token))
        np.testing.assert_allclose(checked.scores(token), theirs.scores(token), atol=1e-6)
        np.testing.assert_array_equal(checked.is_teacher(token), theirs.is_teacher(token))


def test_worker_gives_the_same_bytes(devkit: Devkit, inputs: tuple[str, ...], tmp_path: Path) -> None:
    alone = labels(devkit, inputs, tmp_path / "alone", "workers=0")
    ray = ("worker=ray_distributed", "+worker_options.threads_per_node=2")
    for name, worker in (("sequential", (SEQUENTIAL,)), ("ray", ray)):
        spread = labels(devkit, inputs, tmp_path / name, *worker)
        for path in sorted(alone.path.rglob("*.*")):
            assert (spread.path / path.relative_to(alone.path)).read_bytes() == path.read_bytes()
    assert json.loads((tmp_path / "ray" / "report.json").read_text())["labelled"] == len(alone)
