from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from navsim_agents.common.files import write_bytes
from navsim_agents.distillation import LabelStamp, LabelStore, LabelStoreWriter, ShardContent
from navsim_agents.distillation import label_store as label_store_module
from navsim_agents.errors import LabelError
from tests.distillation.labels import TOKENS, columns, stamp, vocabulary


def labels_of(token):
    return columns(seed=ord(token[0]))


def content(writer, shard, failed=()):
    tokens = [token for token in writer.tokens_of(shard) if token not in failed]
    records = {token: writer.stamp.layout.encode(labels_of(token)) for token in tokens}
    return ShardContent(records, dict.fromkeys(failed, "SceneError: it is bad"))


@pytest.fixture
def folder(tmp_path):
    """A complete store of five scenes, one of which failed, in shards of two."""
    writer = LabelStoreWriter(tmp_path / "labels", stamp(), TOKENS)
    for shard in (2, 0, 1):
        writer.write(shard, content(writer, shard, failed=("c3",) if shard == 1 else ()))
    writer.finish()
    return tmp_path / "labels"


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def damage(path, place=-1):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_reads_what_was_written(folder):
    store = LabelStore.open(folder, vocabulary(), "epdms")
    assert store.tokens == ["a1", "b2", "d4", "e5"]
    assert store.failed == {"c3": "SceneError: it is bad"}
    assert "d4" in store
    assert "c3" not in store
    for token in store:
        wanted = labels_of(token)
        scores = store.scores(token)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, wanted["pdm_score"], atol=1e-5)
        np.testing.assert_array_equal(store.is_teacher(token), wanted["pdm_score"] >= 0.95)
        np.testing.assert_array_equal(store.sub_scores(token)["lane_keeping"], wanted["lane_keeping"])
    with pytest.raises(KeyError, match=r"c3 is not among the 4 labelled scenes .* could not be scored \(SceneError"):
        store.scores("c3")


def test_report_names_what_failed(folder):
    report = json.loads((folder / "report.json").read_text())
    assert (report["scenes"], report["labelled"], report["shards_missing"]) == (5, 4, 0)
    assert report["failed"] == {"c3": "SceneError: it is bad"}
    assert report["bytes_per_scene"] == 64


def test_other_vocabulary_or_metric_is_refused(folder):
    with pytest.raises(LabelError, match=r"holds labels of the vocabulary .* but .* \(6\) is given"):
        LabelStore.open(folder, vocabulary(size=6))
    with pytest.raises(LabelError, match="holds labels of epdms, but metric=pdms is wanted; give metric=epdms"):
        LabelStore.open(folder, metric="pdms")


def test_other_stamp_is_not_mixed_in(folder):
    with pytest.raises(LabelError, match=r"\(dtype: float64 there, float32 now\).*give another output"):
        LabelStoreWriter(folder, stamp(dtype="float32"), TOKENS)


def test_the_stamp_of_log_replay_is_that_of_earlier_releases(folder):
    text = (folder / "store.json").read_text()
    assert "traffic" not in text
    assert LabelStamp.from_json(text) == stamp()
    reacts = stamp(traffic="reactive")
    assert LabelStamp.from_json(reacts.to_json()) == reacts != stamp()
    with pytest.raises(LabelError, match=r"\(traffic: log_replay there, reactive now\).*give another output"):
        LabelStoreWriter(folder, reacts, TOKENS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"traffic": "idm"}, "traffic is 'idm', but must be one of log_replay, reactive"),
        (
            {"traffic": "reactive", "metric": "pdms"},
            r"traffic is reactive, but pdms \(devkit v1.1\) replays the log alone",
        ),
    ],
)
def test_stamps_of_no_traffic_are_refused(changes, message):
    with pytest.raises(LabelError, match=message):
        stamp(**changes)


def test_incomplete_store_is_refused(folder):
    (folder / "shards" / "000001.labels").unlink()
    with pytest.raises(LabelError, match="has 2 of 3 shards, but labels are read when all are there"):
        LabelStore.open(folder)
    assert LabelStore.open(folder, allow_incomplete=True).tokens == ["a1", "b2", "e5"]


@pytest.mark.parametrize("place", [2, 9, 60, -1])
def test_any_damaged_byte_is_found_and_rebuilt(folder, place):
    before = bytes_of(folder)
    damage(folder / "shards" / "000000.labels", place)
    if place >= 0:
        with pytest.raises(LabelError, match=r"shard .*000000\.labels"):
            LabelStore.open(folder)
    else:
        store = LabelStore.open(folder)
        assert len(store.verify()) == 1
        with pytest.raises(LabelError, match=r"labels of scene b2 in shard .* have a wrong checksum; run the same"):
            store.scores("b2")
        store.scores("a1")
    writer = LabelStoreWriter(folder, stamp(), TOKENS)
    assert writer.missing(range(3)) == [0]
    writer.write(0, content(writer, 0))
    writer.finish()
    assert bytes_of(folder) == before


def test_truncated_shard_is_found(folder):
    path = folder / "shards" / "000002.labels"
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(LabelError, match=r"000002\.labels has .* bytes, but its header needs"):
        LabelStore.open(folder)
    assert LabelStoreWriter(folder, stamp(), TOKENS).missing(range(3)) == [2]


def test_shard_of_another_store_is_not_taken(folder, tmp_path):
    other = LabelStoreWriter(tmp_path / "other", stamp(package_version="0.0.2"), TOKENS)
    other.write(0, content(other, 0))
    (tmp_path / "other" / "shards" / "000000.labels").replace(folder / "shards" / "000000.labels")
    assert LabelStoreWriter(folder, stamp(), TOKENS).missing(range(3)) == [0]


def test_failed_scenes_are_tried_again_on_demand(folder):
    writer = LabelStoreWriter(folder, stamp(), TOKENS)
    assert writer.missing(range(3)) == []
    assert writer.missing(range(3), retry_failed=True) == [1]


def test_writer_refuses_other_scenes_and_lengths(tmp_path):
    writer = LabelStoreWriter(tmp_path, stamp(), TOKENS)
    with pytest.raises(LabelError, match="shard 0 is given 1 scenes, but holds 2 others"):
        writer.write(0, ShardContent({"a1": b""}))
    with pytest.raises(LabelError, match=r"records of \[0\] bytes are given, but the layout has 64"):
        writer.write(0, ShardContent({"a1": b"", "b2": b""}))
    with pytest.raises(LabelError, match="5 tokens are given, but the stamp is of 4 other ones"):
        LabelStoreWriter(tmp_path, stamp(num_scenes=4), TOKENS)


def test_machines_that_write_one_file_do_not_meet(tmp_path, monkeypatch):
    """Every part of a labelling writes store.json and report.json, at the same moment if it must be."""
    path, replace = tmp_path / "store.json", os.replace

    def another_is_first(partial, target):
        monkeypatch.setattr(os, "replace", replace)
        write_bytes(path, b"of the other")
        replace(partial, target)

    monkeypatch.setattr(os, "replace", another_is_first)
    write_bytes(path, b"of the ", b"one")
    assert bytes_of(tmp_path) == {Path("store.json"): b"of the one"}


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_bytes(tmp_path / "store.json", "text")
    assert bytes_of(tmp_path) == {}


def test_leftovers_of_an_interrupted_run_go_with_their_shard(folder):
    before = bytes_of(folder)
    shard = folder / "shards" / "000000.labels"
    of_others = ("000002.labels.host-2-cd.part", ".0123abcd.000002.labels")
    for other in ("000000.labels.host-1-ab.part", ".0123abcd.000000.labels", *of_others):
        shard.with_name(other).write_bytes(b"half")
    writer = LabelStoreWriter(folder, stamp(), TOKENS)
    writer.write(0, content(writer, 0))
    after = bytes_of(folder)
    assert [after.pop(Path("shards", other)) for other in of_others] == [b"half", b"half"]
    assert after == before


def test_store_travels_to_workers(folder):
    store = LabelStore.open(folder)
    store.scores("a1")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).scores("a1"), store.scores("a1"))


def test_few_files_stay_open(folder, monkeypatch):
    monkeypatch.setattr(label_store_module, "MAX_OPEN_SHARDS", 1)
    store = LabelStore.open(folder)
    for token in ("a1", "e5", "a1", "d4"):
        np.testing.assert_allclose(store.scores(token), labels_of(token)["pdm_score"], atol=1e-5)
    assert list(store._maps) == [1]


def test_folders_that_are_no_store_are_refused(tmp_path):
    with pytest.raises(LabelError, match="is not a label store"):
        LabelStore.open(tmp_path)
    (tmp_path / "store.json").write_text('{"store_version": 0}')
    with pytest.raises(LabelError, match="the store has version 0, but 1 is read"):
        LabelStore.open(tmp_path)
    with pytest.raises(LabelError, match="shard_size is 0, but a label store needs 1 or more"):
        stamp(shard_size=0)
