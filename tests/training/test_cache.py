"""The feature cache: round trip, resumption, stamps, bad scenes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from navsim_agents.errors import InputError
from tests.training.fakes import LOGS, SCENES_PER_LOG, FakeSource, GreyFeatures, PoseTargets
from training.cache import Builders, build_cache
from training.dataset import CachedScenes

BUILDERS = Builders([GreyFeatures()], [PoseTargets()])


def test_round_trip_keeps_values_and_dtypes(tmp_path: Path) -> None:
    build_cache(tmp_path, FakeSource(), BUILDERS, LOGS[:2], workers=0)
    dataset = CachedScenes(tmp_path, LOGS[:2])
    reader = FakeSource().open("log_b")
    scene = reader.get_scene("log_b_3")
    features, targets = dataset[dataset.tokens.index("log_b_3")]
    assert len(dataset) == 2 * SCENES_PER_LOG
    assert features["picture"].dtype == torch.uint8
    assert np.array_equal(features["picture"], scene.get_agent_input().cameras[-1].cam_f0.image[:2, :3])
    assert np.array_equal(targets["trajectory"], scene.get_future_trajectory(8).poses)


def test_workers_write_what_one_process_writes(tmp_path: Path) -> None:
    for workers in (0, 2):
        build_cache(tmp_path / str(workers), FakeSource(), BUILDERS, LOGS[:3], workers=workers)
    alone, together = (CachedScenes(tmp_path / str(workers), LOGS[:3]) for workers in (0, 2))
    assert alone.tokens == together.tokens
    assert all(torch.equal(a[1]["trajectory"], b[1]["trajectory"]) for a, b in zip(alone, together))


def test_second_run_computes_only_what_is_missing(tmp_path: Path) -> None:
    build_cache(tmp_path, FakeSource(), BUILDERS, LOGS[:2], workers=0)
    source = FakeSource()
    results = build_cache(tmp_path, source, BUILDERS, LOGS[:4], workers=0)
    assert source.opened == ["log_c", "log_d"]
    assert [result.num_cached for result in results] == [SCENES_PER_LOG] * 4


def test_interrupted_log_leaves_nothing_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: PoseTargets, scene: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PoseTargets, "compute_targets", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build_cache(tmp_path, FakeSource(), BUILDERS, LOGS[:1], workers=0)
    assert not (tmp_path / LOGS[0]).exists()
    assert build_cache(tmp_path, FakeSource(), BUILDERS, LOGS[:1], workers=0)[0].num_cached == SCENES_PER_LOG


def test_changed_log_is_cached_anew(tmp_path: Path) -> None:
    build_cache(tmp_path, FakeSource(), BUILDERS, LOGS[:2], workers=0)
    source = FakeSource(version="2")
    build_cache(tmp_path, source, BUILDERS, LOGS[:2], workers=0)
    assert source.opened == list(LOGS[:2])


def test_other_builders_are_refused_by_name_and_force_rebuilds(tmp_path: Path) -> None:
    build_cache(tmp_path, FakeSource(), BUILDERS, LOGS[:1], workers=0)
    others = Builders([GreyFeatures(scale=2.0)], [PoseTargets()])
    with pytest.raises(InputError, match=r"features\[0\].settings.scale: 1.0 there, 2.0 now.*cache.force=true"):
        build_cache(tmp_path, FakeSource(), others, LOGS[:1], workers=0)
    before = CachedScenes(tmp_path, LOGS[:1])[0][0]["status"]
    build_cache(tmp_path, FakeSource(), others, LOGS[:1], workers=0, force=True)
    assert torch.equal(CachedScenes(tmp_path, LOGS[:1])[0][0]["status"], 2 * before)


def test_bad_scene_costs_one_scene_and_is_named(tmp_path: Path) -> None:
    source = FakeSource(bad_tokens=("log_a_0", "log_a_4"))
    (result,) = build_cache(tmp_path, source, BUILDERS, LOGS[:1], workers=0)
    assert result.skipped == {token: f"WorldDataError: {token} is torn" for token in source.bad_tokens}
    dataset = CachedScenes(tmp_path, LOGS[:1])
    assert dataset.tokens == ["log_a_1", "log_a_2", "log_a_3", "log_a_5"]
    expected = FakeSource().open("log_a").get_scene("log_a_5").get_future_trajectory(8).poses
    assert np.array_equal(dataset[3][1]["trajectory"], expected)
    shape = np.load(tmp_path / "log_a" / "targets.trajectory.npy", mmap_mode="r").shape
    assert shape == (4, 8, 3)


def test_unreadable_log_costs_itself_and_is_tried_again(tmp_path: Path) -> None:
    results = build_cache(tmp_path, FakeSource(bad_logs=("log_b",)), BUILDERS, LOGS[:3], workers=0)
    assert [result.num_cached for result in results] == [SCENES_PER_LOG, 0, SCENES_PER_LOG]
    assert results[1].skipped == {"": "WorldDataError: log_b is gone"}
    again = build_cache(tmp_path, FakeSource(), BUILDERS, LOGS[:3], workers=0)
    assert again[1].num_cached == SCENES_PER_LOG


def test_log_without_any_good_scene_gives_no_rows(tmp_path: Path) -> None:
    tokens = tuple(f"log_a_{index}" for index in range(SCENES_PER_LOG))
    build_cache(tmp_path, FakeSource(bad_tokens=tokens), BUILDERS, LOGS[:2], workers=0)
    assert all(token.startswith("log_b") for token in CachedScenes(tmp_path, LOGS[:2]).tokens)
    with pytest.raises(InputError, match="holds no scene of the 1 logs asked for"):
        CachedScenes(tmp_path, LOGS[:1])


def test_dataset_travels_to_a_worker_without_its_content(tmp_path: Path) -> None:
    build_cache(tmp_path, FakeSource(), BUILDERS, LOGS[:1], workers=0)
    dataset = CachedScenes(tmp_path, LOGS[:1])
    first = dataset[0][0]["picture"]
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy._open == {}
    assert torch.equal(copy[0][0]["picture"], first)


def test_stamp_is_plain_json_and_the_same_in_every_process(tmp_path: Path) -> None:
    stamp = BUILDERS.stamp()
    assert json.loads(json.dumps(stamp)) == stamp
    assert stamp == Builders([GreyFeatures()], [PoseTargets()]).stamp()
    assert "0x" not in json.dumps(stamp)
