"""Targets of the full planner: scoring scenes and pseudo-teachers, and what is refused."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Callable

import pytest
import torch
from torch.utils.data import default_collate

from navsim_agents.common.files import read_json, write_json
from navsim_agents.distillation import LabelStore
from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.drive_jepa.label_source import LabelSource
from navsim_agents.drive_jepa.scene_targets import ScoringSceneBuilder, TeachersBuilder
from navsim_agents.drive_jepa.training_step import packed_batch
from navsim_agents.errors import InputError, LabelError, SceneError
from navsim_agents.scoring import SceneStore, SceneStoreWriter, ScoringScene
from navsim_agents.scoring.packed import pack_scene
from tests.drive_jepa.planner_scenes import Drive
from tests.scenes.metric_caches import write_metric_cache
from tests.scoring.tiny import arrays
from tests.training.fakes import FakeSource
from training.cache import STAMP_FILE, Builders, build_cache

NUM_BYTES = 128_000


def source(labels: dict[str, Any], **changes: Any) -> LabelSource:
    settings = {"metric": "epdms", "threshold": 0.95, "cap": 12, "seed": 3, **labels["teachers"], **changes}
    return LabelSource(**settings)


def test_a_scene_is_as_long_as_it_is(scene_store: Path) -> None:
    drive = Drive(seed=1)
    found = ScoringSceneBuilder(str(scene_store)).compute_targets(drive.scene(5))["scoring_scene"]
    wanted = pack_scene(SceneStore(scene_store)[drive.token(5)])
    assert found.encode("latin-1") == wanted.numpy().tobytes()
    assert len(found) < NUM_BYTES


def test_collated_scenes_are_the_stacked_records(scene_store: Path) -> None:
    """Texts of any length as NAVSIM's default collation leaves them, and rows of one length as it stacks them."""
    drives = [Drive(seed=seed).scene(frame) for seed in (0, 1) for frame in (4, 6)]
    for num_bytes in (0, NUM_BYTES):
        builder = ScoringSceneBuilder(str(scene_store), num_bytes)
        collated = default_collate([builder.compute_targets(scene) for scene in drives])["scoring_scene"]
        found = packed_batch(collated, torch.device("cpu"))
        records = [pack_scene(SceneStore(scene_store)[scene.scene_metadata.initial_token]) for scene in drives]
        assert len({len(record) for record in records}) > 1
        assert found.shape == (4, num_bytes or max(map(len, records)))
        for row, record in zip(found, records):
            assert torch.equal(row[: len(record)], record)
            assert not row[len(record) :].any()


def test_the_packed_scene_of_a_given_length_is_the_stores(scene_store: Path) -> None:
    drive = Drive(seed=1)
    found = ScoringSceneBuilder(str(scene_store), NUM_BYTES).compute_targets(drive.scene(5))["scoring_scene"]
    assert (found.dtype, found.shape) == (torch.uint8, (NUM_BYTES,))
    assert torch.equal(found, pack_scene(SceneStore(scene_store)[drive.token(5)], NUM_BYTES))


def test_a_folder_of_stores_is_one(scene_store: Path) -> None:
    """The built-in world writes a store for each folder of logs, all in scoring_scenes."""
    scene = Drive(seed=0).scene(4)
    one, many = (ScoringSceneBuilder(str(path), NUM_BYTES) for path in (scene_store, scene_store.parent))
    assert torch.equal(one.compute_targets(scene)["scoring_scene"], many.compute_targets(scene)["scoring_scene"])
    assert one.get_unique_name() == many.get_unique_name()


def test_a_missing_scene_is_named_with_a_way_out(scene_store: Path) -> None:
    builder = ScoringSceneBuilder(str(scene_store), NUM_BYTES)
    with pytest.raises(InputError, match=r"scene 0002000000000004 is not among the 10 of scenes=.*trainval; export it"):
        builder.compute_targets(Drive(seed=2).scene(4))


def test_a_scene_that_is_too_long_is_named(scene_store: Path) -> None:
    builder = ScoringSceneBuilder(str(scene_store), 6400)
    with pytest.raises(
        SceneError, match=r"scene 0001000000000004 of log log-7: .* needs \d+ bytes, but num_bytes=6400"
    ):
        builder.compute_targets(Drive(seed=1).scene(4))


def test_a_scene_that_the_metric_cannot_be_computed_in_is_named(scene_store: Path, tmp_path: Path) -> None:
    drive = Drive(seed=1)
    with SceneStoreWriter(tmp_path / "v1") as writer:
        writer.add(replace(SceneStore(scene_store)[drive.token(4)], devkit="v1.1"))
    pdms, epdms = (ScoringSceneBuilder(str(tmp_path / "v1"), NUM_BYTES, metric) for metric in ("pdms", "epdms"))
    assert pdms.compute_targets(drive.scene(4))["scoring_scene"].any()
    with pytest.raises(SceneError, match=r"scene 0001000000000004 of log log-7: .* is of devkit v1\.1, .*metric=pdms"):
        epdms.compute_targets(drive.scene(4))


def test_the_metric_changes_neither_name_nor_stamp_of_a_cache(scene_store: Path) -> None:
    """Caches that were made before the builder knew the metric stay valid."""
    builders = [ScoringSceneBuilder(str(scene_store), NUM_BYTES, metric) for metric in ("pdms", "epdms", None)]
    stamps = [Builders([], [builder]).stamp() for builder in builders]
    assert stamps[0] == stamps[1] == stamps[2]


def test_a_cache_of_the_release_before_is_gone_on_with(scene_store: Path, tmp_path: Path) -> None:
    """Its stamp names the source by two settings, and holds its path; what else it says must be the same."""
    builders = Builders([], [ScoringSceneBuilder(str(scene_store), NUM_BYTES, "pdms")])
    about = builders.stamp()["targets"][0]
    assert about["settings"] == {"_num_bytes": NUM_BYTES}
    earlier = {"_metric_cache_path": None, "_num_bytes": NUM_BYTES, "_scene_store": "/where/it/was"}
    write_json(tmp_path / STAMP_FILE, {**builders.stamp(), "targets": [{**about, "settings": earlier}]})
    assert build_cache(tmp_path, FakeSource(), builders, []) == []
    assert read_json(tmp_path / STAMP_FILE) == builders.stamp()
    longer = {**earlier, "_num_bytes": 2 * NUM_BYTES}
    write_json(tmp_path / STAMP_FILE, {**builders.stamp(), "targets": [{**about, "settings": longer}]})
    with pytest.raises(
        InputError, match=r"other builders \(targets\[0\].settings._num_bytes: 256000 there, 128000 now\)"
    ):
        build_cache(tmp_path, FakeSource(), builders, [])


def test_an_agent_without_scenes_can_plan_but_not_train(make_planner: Callable[..., ProposalAgent]) -> None:
    agent = make_planner()
    assert agent.compute_trajectory(Drive().agent_input(4)).poses.shape == (8, 3)
    with pytest.raises(InputError, match=r"agent\.config\.scenes is null, but .*; set agent\.config\.scenes="):
        agent.get_target_builders()


def test_names_change_with_settings_and_scenes_but_not_with_the_place(scene_store: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(scene_store, moved)
    less = tmp_path / "less"
    with SceneStoreWriter(less) as writer:
        writer.add(SceneStore(scene_store)[Drive(seed=1).token(4)])
    first = ScoringSceneBuilder(str(scene_store), NUM_BYTES).get_unique_name()
    assert ScoringSceneBuilder(str(moved), NUM_BYTES).get_unique_name() == first
    others = [
        ScoringSceneBuilder(str(less), NUM_BYTES),
        ScoringSceneBuilder(str(scene_store), 2 * NUM_BYTES),
        ScoringSceneBuilder(str(scene_store)),
    ]
    assert len({first, *(builder.get_unique_name() for builder in others)}) == 4


def test_the_name_of_a_metric_cache_stays(tmp_path: Path) -> None:
    """What earlier releases cached of a metric cache is found: a hash of its files' places, sizes and times."""
    write_metric_cache(tmp_path, {"a": b"1", "b": b"22"})
    lines = b"log/a 1 1700000000\nlog/b 2 1700000000\n"
    name = ScoringSceneBuilder(str(tmp_path), 6400).get_unique_name()
    assert name == f"drive_jepa_scoring_scene_6400_{hashlib.sha256(lines).hexdigest()[:12]}"


def test_the_name_of_a_store_stays(tmp_path: Path) -> None:
    """What earlier releases cached of a scene store, all of one length, is found: a hash of the index alone."""
    with SceneStoreWriter(tmp_path) as writer:
        writer.add(ScoringScene.from_arrays(arrays()))
    index = hashlib.sha256((tmp_path / "index.npy").read_bytes()).hexdigest()[:12]
    name = ScoringSceneBuilder(str(tmp_path), 6400).get_unique_name()
    assert name == f"drive_jepa_scoring_scene_6400_{index}"
    assert ScoringSceneBuilder(str(tmp_path)).get_unique_name() == f"drive_jepa_scoring_scene_{index}"


def test_teachers_are_the_rows_that_reach_the_threshold(labels: dict[str, Any]) -> None:
    store, counts = LabelStore.open(labels["teachers"]["label_store"]), set()
    for drive, frame in product((Drive(seed=0), Drive(seed=1)), range(3, 8)):
        found = TeachersBuilder(source(labels)).compute_targets(drive.scene(frame))["teachers"]
        wanted = [row for row, score in enumerate(store.scores(drive.token(frame))) if score >= 0.95]
        assert (found.dtype, found.shape) == (torch.int64, (12,))
        assert found.tolist() == wanted + [-1] * (12 - len(wanted))
        counts.add(len(wanted))
    assert len(counts) > 1


def test_a_cap_keeps_some_at_random_the_same_every_time(labels: dict[str, Any]) -> None:
    scene = Drive(seed=0).scene(3)
    everyone = set(source(labels, threshold=0.3).rows(scene.scene_metadata.initial_token).tolist()) - {-1}
    assert len(everyone) > 3
    draws = []
    for seed in range(8):
        capped = source(labels, threshold=0.3, cap=2, seed=seed)
        rows = TeachersBuilder(capped).compute_targets(scene)["teachers"].tolist()
        assert rows == TeachersBuilder(capped).compute_targets(scene)["teachers"].tolist()
        assert set(rows) < everyone
        draws.append(tuple(rows))
    assert len(set(draws)) > 1


def test_names_of_teachers_change_with_every_setting(labels: dict[str, Any], tmp_path: Path) -> None:
    moved = {"teachers": {**labels["teachers"], "label_store": str(tmp_path / "labels")}}
    shutil.copytree(labels["teachers"]["label_store"], moved["teachers"]["label_store"])
    first = TeachersBuilder(source(labels)).get_unique_name()
    assert TeachersBuilder(source(moved)).get_unique_name() == first
    changed = [{"threshold": 0.9}, {"cap": 13}, {"seed": 4}]
    names = {TeachersBuilder(source(labels, **change)).get_unique_name() for change in changed}
    assert len({first, *names}) == 4


def test_labels_of_another_metric_or_scene_are_refused(labels: dict[str, Any]) -> None:
    with pytest.raises(LabelError, match="holds labels of epdms, but metric=pdms is wanted"):
        TeachersBuilder(source(labels, metric="pdms")).get_unique_name()
    with pytest.raises(InputError, match=r"has no labels of scene 0002000000000004: .*score-vocabulary"):
        TeachersBuilder(source(labels)).compute_targets(Drive(seed=2).scene(4))


def test_builders_travel_and_their_stamp_stays(
    make_planner: Callable[..., ProposalAgent], scene_store: Path, labels: dict[str, Any]
) -> None:
    """Opened stores must neither be pickled with a builder nor change the stamp of a cache."""
    agent = make_planner(scenes=str(scene_store), **labels)
    builders = agent.get_target_builders()
    before, stamp = pickle.dumps(builders), Builders([], builders).stamp()
    scene = Drive(seed=1).scene(6)
    wanted = [builder.compute_targets(scene) for builder in builders]
    assert pickle.dumps(builders) == before
    assert Builders([], builders).stamp() == stamp
    assert len(before) < 2000
    for builder, targets in zip(pickle.loads(before), wanted):
        for name, value in builder.compute_targets(scene).items():
            assert value == targets[name] if isinstance(value, str) else torch.equal(value, targets[name])
