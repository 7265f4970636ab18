"""The feature cache: round trip, resumption, stamps, bad scenes."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from navsim_agents.common.files import write_json
from navsim_agents.errors import InputError
from navsim_agents.scoring import PackedText
from tests.training.fakes import LOGS, SCENES_PER_LOG, FakeSource, GreyFeatures, PoseTargets
from training.cache import Builders, build_cache
from training.dataset import CachedScenes, collate

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


class KillingTargets(PoseTargets):
    """Its process is killed in the middle of the second log."""

    def compute_targets(self, scene: Any) -> dict[str, torch.Tensor]:
        if scene.scene_metadata.initial_token == f"{LOGS[1]}_2":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().compute_targets(scene)


def build_and_be_killed(folder: str) -> None:
    build_cache(Path(folder), FakeSource(), Builders([GreyFeatures()], [KillingTargets()]), LOGS, workers=0)


def test_what_a_killed_run_left_goes_with_the_next_run(tmp_path: Path) -> None:
    killed = multiprocessing.get_context("spawn").Process(target=build_and_be_killed, args=(str(tmp_path),))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    (left,) = tmp_path.glob(".*")
    assert left.name.endswith(f".{LOGS[1]}")
    assert list(left.iterdir())
    write_json(tmp_path / "stamp.json", BUILDERS.stamp())  # as if the builder had killed nobody
    build_cache(tmp_path, FakeSource(), BUILDERS, LOGS, workers=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*LOGS, "stamp.json"]


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


class WordTargets:
    """A text a scene, as long as its speed [dm/s]; ``num_bytes`` makes it an array of one length."""

    def __init__(self, num_bytes: int = 0) -> None:
        self.num_bytes = num_bytes

    def get_unique_name(self) -> str:
        return f"words_{self.num_bytes}" if self.num_bytes else "words"

    def compute_targets(self, scene: Any) -> dict[str, Any]:
        values = torch.full((round(10 * scene.speed),), 255, dtype=torch.uint8)
        if self.num_bytes:
            return {"word": torch.nn.functional.pad(values, (0, self.num_bytes - len(values)))}
        return {"word": PackedText.of(values)}


def lengths_of(log_name: str) -> list[int]:
    reader = FakeSource().open(log_name)
    return [round(10 * reader.get_scene(token).speed) for token in reader.tokens]


WORDS = Builders([GreyFeatures()], [PoseTargets(), WordTargets()])


def test_texts_take_their_own_length(tmp_path: Path) -> None:
    build_cache(tmp_path, FakeSource(), WORDS, LOGS[:2], workers=0)
    lengths = lengths_of("log_a") + lengths_of("log_b")
    assert len(set(lengths)) > 5
    assert sum(path.stat().st_size for path in tmp_path.glob("*/targets.word.text")) == sum(lengths)
    assert [sample[1]["word"] for sample in CachedScenes(tmp_path, LOGS[:2])] == ["\xff" * length for length in lengths]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_texts_are_padded_to_the_longest_of_a_batch(tmp_path: Path, workers: int) -> None:
    build_cache(tmp_path, FakeSource(), WORDS, LOGS[:2], workers=0)
    loader = DataLoader(CachedScenes(tmp_path, LOGS[:2]), 5, num_workers=workers, collate_fn=collate)
    lengths = iter(lengths_of("log_a") + lengths_of("log_b"))
    for features, targets in loader:
        wanted = list(islice(lengths, len(features["status"])))
        assert targets["word"].shape == (len(wanted), max(wanted))
        assert (targets["word"] == 255).sum(1).tolist() == wanted
        assert targets["trajectory"].shape == (len(wanted), 8, 3)


def test_bad_scene_leaves_the_texts_of_the_others(tmp_path: Path) -> None:
    build_cache(tmp_path, FakeSource(bad_tokens=("log_a_0", "log_a_4")), WORDS, LOGS[:1], workers=0)
    lengths = [length for row, length in enumerate(lengths_of("log_a")) if row not in (0, 4)]
    assert [len(targets["word"]) for _, targets in CachedScenes(tmp_path, LOGS[:1])] == lengths


@pytest.mark.parametrize("change", [-1, 1])
def test_texts_of_another_length_than_told_are_refused(tmp_path: Path, change: int) -> None:
    build_cache(tmp_path, FakeSource(), WORDS, LOGS[:1], workers=0)
    path = tmp_path / "log_a" / "targets.word.text"
    size = path.stat().st_size
    path.write_bytes((path.read_bytes() + b"x")[: size + change])
    with pytest.raises(
        InputError, match=rf"has {size + change} bytes, but its texts need {size}; delete .*log_a and run"
    ):
        CachedScenes(tmp_path, LOGS[:1])[0]


def test_what_turns_from_text_to_array_costs_the_scene(tmp_path: Path) -> None:
    class Fickle(WordTargets):
        def compute_targets(self, scene: Any) -> dict[str, Any]:
            self.num_bytes = 99 if scene.scene_metadata.initial_token in self.arrays else 0
            return super().compute_targets(scene)

    for name, arrays, reason in (
        ("a", ("log_a_2",), "an array, but a text"),
        ("b", ("log_a_0",), "a text, but an array"),
    ):
        builder = Fickle()
        builder.arrays = arrays
        (result,) = build_cache(tmp_path / name, FakeSource(), Builders([], [builder]), LOGS[:1], workers=0)
        assert all(reason in text for text in result.skipped.values())
        assert len(result.skipped) == (1 if name == "a" else SCENES_PER_LOG - 1)


def test_cache_of_an_earlier_release_loads_or_is_refused_in_one_line(tmp_path: Path) -> None:
    """Its scenes have one length: the same setting goes on with it, another is refused with a way out."""
    old = Builders([GreyFeatures()], [PoseTargets(), WordTargets(128)])
    build_cache(tmp_path, FakeSource(), old, LOGS[:1], workers=0)
    assert not list(tmp_path.glob("*/*.text"))
    source = FakeSource()
    build_cache(tmp_path, source, old, LOGS[:1], workers=0)
    assert source.opened == []
    (batch,) = DataLoader(CachedScenes(tmp_path, LOGS[:1]), SCENES_PER_LOG, collate_fn=collate)
    assert batch[1]["word"].shape == (SCENES_PER_LOG, 128)
    with pytest.raises(
        InputError, match=r"num_bytes: 128 there, 0 now\); give another cache.path or cache.force"
    ) as told:
        build_cache(tmp_path, FakeSource(), WORDS, LOGS[:1], workers=0)
    assert "\n" not in str(told.value)
