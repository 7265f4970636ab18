from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from cache_tools.label_statistics import LabelStatisticsConfig, label_statistics
from navsim_agents.distillation import LabelStore, LabelStoreWriter, ShardContent, save_vocabulary
from navsim_agents.distillation.label_statistics import count_labels
from navsim_agents.errors import LabelError
from tests.distillation.labels import NUM_TRAJECTORIES, columns, stamp, vocabulary, with_score

TOKENS = ("a", "b", "c")


def perfect(rows):
    """Labels that are 1 in ``rows`` and 0 (no drivable area) elsewhere."""
    labels = {name: np.ones(NUM_TRAJECTORIES) for name in columns() if name != "pdm_score"}
    labels["drivable_area_compliance"] = np.isin(np.arange(NUM_TRAJECTORIES), rows).astype(float)
    return with_score(labels)


@pytest.fixture
def labels(tmp_path):
    """Teachers 0 and 1 in scene a, 1 and 5 and 6 in scene b, none in scene c."""
    writer = LabelStoreWriter(tmp_path / "labels", stamp(TOKENS), TOKENS)
    rows = {"a": [0, 1], "b": [1, 5, 6], "c": []}
    for shard in range(2):
        tokens = writer.tokens_of(shard)
        writer.write(shard, ShardContent({token: writer.stamp.layout.encode(perfect(rows[token])) for token in tokens}))
    save_vocabulary(vocabulary(), tmp_path / "v.npy")
    return tmp_path / "labels"


def test_counts_by_hand(labels):
    found = count_labels(LabelStore.open(labels), bins=4)
    assert found.teachers.tolist() == [2, 3, 0]
    assert found.num_without == 1
    assert found.uses.tolist() == [1, 2, 0, 0, 0, 1, 1] + [0] * 6
    assert found.coverage == 4 / 13
    assert found.histogram.tolist() == [3 * 13 - 5, 0, 0, 5]
    assert found.means["drivable_area_compliance"] == pytest.approx(5 / 39)
    assert found.means["lane_keeping"] == 1.0
    assert found.to_json()["teachers_per_scene"]["p50"] == 2.0


def test_files(labels, tmp_path):
    output = tmp_path / "deep" / "out"
    options = {"labels": str(labels), "output": str(output), "vocabulary": str(tmp_path / "v.npy"), "metric": "epdms"}
    label_statistics(LabelStatisticsConfig(**options))
    report = json.loads((output / "statistics.json").read_text())
    assert (report["scenes"], report["scenes_without_teachers"], report["failed"]) == (3, 1, {})
    with Image.open(output / "statistics.png") as picture:
        assert picture.size == (1680, 480)
        assert len(set(picture.convert("L").tobytes())) > 20


def test_other_labels_are_refused(labels, tmp_path):
    with pytest.raises(LabelError, match="holds labels of epdms, but metric=pdms is wanted"):
        label_statistics(LabelStatisticsConfig(labels=str(labels), output=str(tmp_path / "out"), metric="pdms"))
    with pytest.raises(LabelError, match="has 3 labelled scenes and bins=0, but both must be 1 or more"):
        count_labels(LabelStore.open(labels), bins=0)
