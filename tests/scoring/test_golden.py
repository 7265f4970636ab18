"""Parity with the unmodified devkits' recorded answers."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest
import torch

from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring import ScoringScene, epdms, extended_comfort, plan_difference, score_scenes
from navsim_agents.scoring.aggregate import COLUMNS
from tests.scoring.golden_scenes import CONTINUOUS, FULL, METRIC, SCENES, TRIMMED

PAIRS = sorted(TRIMMED.glob("v2.2/ec_*.npz"))
ALL_SCENES = SCENES + [pytest.param(path, marks=pytest.mark.slow) for path in sorted(FULL.glob("v*/scene_*.npz"))]
ALL_PAIRS = PAIRS + [pytest.param(path, marks=pytest.mark.slow) for path in sorted(FULL.glob("v2.2/ec_*.npz"))]
EXACT_M = 1e-6


def label(path):
    return f"{'full' if FULL in path.parents else 'trimmed'}-{path.parent.name}-{path.stem}"


@lru_cache(maxsize=4)
def scored(path, human_penalty_filter=False):
    expected = np.load(path.with_name(path.name.replace("scene_", "expected_")))
    scene = ScoringScene.load(path)
    metric = METRIC[path.parent.name]
    trajectories = torch.from_numpy(expected["trajectories"])[None]
    return expected, score_scenes([scene], trajectories, 0.5, metric, human_penalty_filter)


def assert_columns_equal(columns, expected, suffix=""):
    for name, value in columns.items():
        found, wanted = value[0].numpy(), expected[name + suffix]
        if name in CONTINUOUS:
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(found, wanted, err_msg=name)


def test_golden_scenes_are_there():
    assert len(SCENES) >= 6
    assert {path.parent.name for path in SCENES} == set(METRIC)
    assert len(PAIRS) == 3


@pytest.mark.parametrize("path", ALL_SCENES, ids=label)
def test_simulated_states(path):
    expected, scores = scored(path)
    difference = scores.simulated_states[0].numpy() - expected["simulated_states"]
    difference[..., 2] = np.mod(difference[..., 2] + math.pi, 2 * math.pi) - math.pi
    assert np.abs(difference).max() < EXACT_M


@pytest.mark.parametrize("path", ALL_SCENES, ids=label)
def test_sub_scores_steps_and_areas(path):
    expected, scores = scored(path)
    assert not expected["fragile"].any()
    assert_columns_equal(scores.columns, expected)
    np.testing.assert_array_equal(scores.ego_areas[0].numpy(), expected["ego_areas"])
    np.testing.assert_array_equal(scores.collision_step[0].numpy(), expected["collision_time_idx"])
    np.testing.assert_array_equal(scores.ttc_step[0].numpy(), expected["ttc_time_idx"])
    np.testing.assert_allclose(scores.raw_progress[0].numpy(), expected["progress_raw"], rtol=0, atol=EXACT_M)
    reference = np.broadcast_to(scores.reference_progress[0].numpy(), expected["pdm_progress_raw"].shape)
    np.testing.assert_allclose(reference, expected["pdm_progress_raw"], rtol=0, atol=EXACT_M)


@pytest.mark.parametrize("path", ALL_SCENES, ids=label)
def test_human_filter_and_final_scores(path):
    if path.parent.name != "v2.2":
        with pytest.raises(TrajectoryError, match="pdms has no human filter"):
            scored(path, human_penalty_filter=True)
        return
    expected, plain = scored(path)
    _, filtered = scored(path, human_penalty_filter=True)
    assert_columns_equal(filtered.columns, expected, "_filtered")
    for name, value in filtered.human_columns.items():
        assert value.item() == pytest.approx(float(expected[f"human_{name}"]), abs=1e-6), name
    ones = torch.ones_like(plain.raw_progress)
    for extended, name in ((None, "score_no_ec"), (0.0 * ones, "score_ec0"), (ones, "score_ec1")):
        for scores, suffix in ((plain, ""), (filtered, "_filtered")):
            final = epdms(scores.columns, extended)[0].numpy()
            np.testing.assert_allclose(final, expected[name + suffix], rtol=0, atol=1e-6, err_msg=name + suffix)


def test_human_filter_changes_some_golden_answer():
    paths = [path for path in SCENES if path.parent.name == "v2.2"]
    changed = [
        name
        for path in paths
        for name, value in scored(path, human_penalty_filter=True)[1].columns.items()
        if not torch.equal(value, scored(path)[1].columns[name])
    ]
    assert {"time_to_collision_within_bound", "lane_keeping"} <= set(changed)


@pytest.mark.parametrize("path", ALL_PAIRS, ids=label)
def test_extended_comfort(path):
    pair = np.load(path)
    interval_s = (int(pair["now_timestamp_us"]) - int(pair["previous_timestamp_us"])) * 1e-6
    now, previous = (torch.from_numpy(pair[f"{frame}_simulated_states"]) for frame in ("now", "previous"))
    difference = torch.stack(plan_difference(now, previous, interval_s), dim=-1).numpy()
    np.testing.assert_allclose(difference, pair["rms_acceleration_jerk_yawrate_yawaccel"], rtol=0, atol=1e-6)
    found = extended_comfort(now, previous, interval_s).double().numpy()
    np.testing.assert_array_equal(found, pair["two_frame_extended_comfort"])
    assert 0.0 < found.mean() < 1.0


@pytest.mark.parametrize("version", METRIC)
def test_scenes_of_one_batch_score_as_alone(version):
    paths = [path for path in SCENES if path.parent.name == version][:3]
    scenes = [ScoringScene.load(path) for path in paths]
    rows = [scored(path)[0]["trajectories"][::9][:7] for path in paths]
    metric = METRIC[version]
    together = score_scenes(scenes, torch.from_numpy(np.stack(rows)), 0.5, metric, chunk=6)
    for row, scene in enumerate(scenes):
        alone = score_scenes([scene], torch.from_numpy(rows[row])[None], 0.5, metric)
        for name in COLUMNS[metric]:
            torch.testing.assert_close(together.columns[name][row], alone.columns[name][0], rtol=0, atol=1e-12)
        torch.testing.assert_close(together.simulated_states[row], alone.simulated_states[0], rtol=0, atol=1e-9)
        assert torch.equal(together.collision_track[row], alone.collision_track[0])
        assert torch.equal(together.ttc_track[row], alone.ttc_track[0])


@pytest.mark.parametrize("version", METRIC)
def test_single_precision_agrees_but_for_few(version):
    path = next(path for path in SCENES if path.parent.name == version)
    expected, double = scored(path)
    single = score_scenes(
        [ScoringScene.load(path)], torch.from_numpy(expected["trajectories"])[None], 0.5, METRIC[version],
        dtype=torch.float32,
    )  # fmt: skip
    for name, value in single.columns.items():
        assert value.dtype == torch.float32
        disagree = (value.double() - double.columns[name]).abs() > 1e-3
        assert disagree.double().mean() < 0.03, name
