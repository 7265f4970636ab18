from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.distillation import LabelLayout
from navsim_agents.errors import LabelError
from navsim_agents.scoring.aggregate import COLUMNS
from tests.distillation.labels import NUM_TRAJECTORIES, columns, with_score


def layout(metric="epdms", size=NUM_TRAJECTORIES, threshold=0.95):
    return LabelLayout(metric, size, threshold)


def record(made, columns):
    return np.frombuffer(made.encode(columns), dtype=np.uint8)


@pytest.mark.parametrize(("metric", "wanted"), [("epdms", 26_624), ("pdms", 23_552 + 1024)])
def test_bytes_of_a_scene(metric, wanted):
    """8192 trajectories: 16 bits of progress, 9 (7) bits of sub-scores and the teachers' bit."""
    bits = 16 + 1 + (9 if metric == "epdms" else 7)
    assert layout(metric, 8192).record_bytes == 8192 * bits // 8 == wanted


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_round_trip(metric):
    made, labels = layout(metric, 1001), columns(metric, 1001)
    found = made.sub_scores(record(made, labels))
    assert list(found) == list(COLUMNS[metric][:-1])
    for name, value in found.items():
        assert value.dtype == np.float32
        if name == "ego_progress":
            np.testing.assert_allclose(value, labels[name], atol=0.51 / 65535)
        else:
            np.testing.assert_array_equal(value, labels[name])
            assert len(set(value.tolist())) >= 2
    scores = made.scores(record(made, labels))
    np.testing.assert_allclose(scores, labels[COLUMNS[metric][-1]], atol=1e-5)


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
@pytest.mark.parametrize("threshold", [0.95, 0.5])
def test_decision_is_that_of_the_exact_score(metric, threshold):
    """Scores crowded around the threshold, closer than any rounding keeps apart."""
    weight = 5 / (14 if metric == "epdms" else 12)
    offsets = np.concatenate((np.linspace(-1e-5, 1e-5, 399), [0.0, 1e-16, -1e-16, 1e-9, -1e-9, 2e-8, -2e-8]))
    labels = {name: np.ones(len(offsets)) for name in COLUMNS[metric][:-1]}
    labels["ego_progress"] = 1.0 - (1.0 - threshold) / weight + offsets
    if threshold == 0.5:
        labels["drivable_area_compliance"][::7] = 0.0
        labels["no_at_fault_collisions"][:] = 0.5
        labels["ego_progress"] = np.clip(1.0 + offsets, 0.0, 1.0)
    labels = with_score(labels, metric)
    exact = labels[COLUMNS[metric][-1]] >= threshold
    assert exact.any()
    assert not exact.all()
    made = layout(metric, len(offsets), threshold)
    stored = record(made, labels)
    np.testing.assert_array_equal(made.is_teacher(stored), exact)
    scores = made.scores(stored)
    np.testing.assert_array_equal(scores >= np.float32(threshold), exact)
    np.testing.assert_array_equal(scores.astype(np.float64) >= threshold, exact)
    np.testing.assert_allclose(scores, labels[COLUMNS[metric][-1]], atol=2e-5)


def changed(name, value, row=4):
    labels = columns()
    labels[name] = labels[name].copy()
    labels[name][row] = value
    return labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({k: v for k, v in columns().items() if k != "lane_keeping"}, "labels lack lane_keeping; epdms has"),
        ({k: v[:5] for k, v in columns().items()}, r"shape \(5,\), but the vocabulary has 13 trajectories"),
        (changed("lane_keeping", 0.5), r"lane_keeping is 0.5 for trajectory 4, but must be one of \(0.0, 1.0\)"),
        (changed("driving_direction_compliance", 0.25), r"must be one of \(0.0, 0.5, 1.0\)"),
        (changed("ego_progress", 1.1), r"ego_progress is 1.1 for trajectory 4, but must be within \[0, 1\]"),
        (changed("pdm_score", float("nan")), "pdm_score is nan for trajectory 4"),
        (changed("pdm_score", 0.123), "pdm_score differs by 0.* from what the sub-scores give"),
    ],
)
def test_impossible_labels_are_refused(labels, message):
    with pytest.raises(LabelError, match=message):
        layout().encode(labels)


def test_bad_layouts_are_refused():
    with pytest.raises(LabelError, match="metric is 'ade', but labels are kept for pdms, epdms"):
        layout("ade")
    with pytest.raises(LabelError, match=r"threshold is 1.5, but scores reach from 0 to 1"):
        layout(threshold=1.5)
