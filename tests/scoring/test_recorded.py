"""What an earlier release wrote is read by this one, and this one writes the same bytes.

``recorded/`` holds a store of scenes that differ in every size, the same scenes packed, and SHA-256 of the golden
scenes' records and packed bytes. It was written before the fields of a scene stood in one table, and stays.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from navsim_agents.scoring import SceneStore, SceneStoreWriter, ScoringScene, pack_scene, score_batch, unpack_scenes
from navsim_agents.scoring.config import METRICS
from navsim_agents.scoring.scene_batch import collate_scenes
from navsim_agents.scoring.scene_record import encode
from tests.scoring.busy_road import different_scenes

RECORDED = Path(__file__).parent / "recorded"
GOLDEN = Path(__file__).parent / "golden"
DIGESTS = json.loads((RECORDED / "digests.json").read_text())
TOKENS = ("busy", "empty", "many_lanes", "one_track")


@pytest.fixture
def store(tmp_path):
    return SceneStore(shutil.copytree(RECORDED / "store", tmp_path / "store"))


def recorded_scenes():
    """As the store of that release holds them."""
    store = SceneStore(RECORDED / "store")
    return [store[token] for token in TOKENS]


def todays_scenes():
    """The recorded scenes, made anew; sines and cosines of another NumPy differ in their last digit."""
    return [
        ScoringScene.from_arrays({**made.to_arrays(), "token": np.asarray(token)})
        for made, token in zip(different_scenes(), TOKENS)
    ]


def test_a_recorded_store_is_read(store):
    assert store.tokens == list(TOKENS)
    for made in todays_scenes():
        found, wanted = store[made.token].to_arrays(), made.to_arrays()
        assert list(found) == list(wanted)
        for name, value in wanted.items():
            assert found[name].dtype == value.dtype
            compare = np.testing.assert_allclose if value.dtype.kind == "f" else np.testing.assert_array_equal
            compare(found[name], value, err_msg=name, **({"atol": 1e-12} if value.dtype.kind == "f" else {}))


def test_the_same_store_is_written(tmp_path, store):
    with SceneStoreWriter(tmp_path / "again") as writer:
        for made in recorded_scenes():
            writer.add(made)
    for name in ("scenes.bin", "index.npy", "store.json"):
        assert (tmp_path / "again" / name).read_bytes() == (store.path / name).read_bytes(), name


def test_packed_scenes_are_the_recorded_ones():
    with np.load(RECORDED / "packed.npz") as recorded:
        for made in recorded_scenes():
            np.testing.assert_array_equal(pack_scene(made).numpy(), recorded[made.token], err_msg=made.token)


@pytest.mark.parametrize("metric", METRICS)
def test_recorded_packed_scenes_are_read(metric):
    with np.load(RECORDED / "packed.npz") as recorded:
        rows = [torch.from_numpy(recorded[token])[None] for token in TOKENS]
    plans = torch.zeros(1, 2, 8, 3, dtype=torch.float64)
    for made, row in zip(recorded_scenes(), rows):
        found = score_batch(unpack_scenes(row, metric), plans)
        wanted = score_batch(collate_scenes([made], METRICS[metric], 8, 0.5, torch.float64), plans)
        for name, column in wanted.columns.items():
            assert torch.equal(found.columns[name], column), (made.token, name)


@pytest.mark.parametrize("name", DIGESTS)
def test_golden_scenes_keep_their_bytes(name):
    made = ScoringScene.load(GOLDEN / f"{name}.npz")
    assert hashlib.sha256(encode(made.to_arrays())).hexdigest() == DIGESTS[name]["record"]
    assert hashlib.sha256(pack_scene(made).numpy().tobytes()).hexdigest() == DIGESTS[name]["packed"]
