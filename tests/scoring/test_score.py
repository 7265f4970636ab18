from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from navsim_agents.errors import SceneError, TrajectoryError
from navsim_agents.scoring import (
    ScoringScene,
    epdms,
    excuse_by_human,
    extended_comfort,
    score_scenes,
    score_trajectories,
)
from navsim_agents.scoring.aggregate import COLUMNS, weighted_score
from navsim_agents.scoring.config import EPDMS, PDMS
from tests.scoring.busy_road import busy, some_plans
from tests.scoring.slow import SlowScorer
from tests.scoring.tiny import plan, scene, straight, track

GOLDEN = Path(__file__).parent / "golden"


def assert_scores_equal(one, other, atol=1e-12):
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=atol, msg=name)


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_fast_equals_slow_on_a_busy_road(metric):
    made, plans = ScoringScene.from_arrays(busy()), some_plans(16)
    slow = SlowScorer(made, metric)
    scores = score_scenes([made], plans[None], metric=metric)
    seen = {name: set() for name in COLUMNS[metric]}
    for row, poses in enumerate(plans):
        wanted = slow.score(poses.numpy())
        for name, column in scores.columns.items():
            assert column[0, row].item() == pytest.approx(wanted[name], abs=1e-6), (name, row)
            seen[name].add(round(wanted[name], 3))
        assert scores.collision_step[0, row].item() == wanted["collision_step"]
        assert scores.ttc_step[0, row].item() == wanted["ttc_step"]
        np.testing.assert_array_equal(scores.ego_areas[0, row], wanted["ego_areas"])
    assert not [name for name, values in seen.items() if len(values) == 1]


@pytest.mark.parametrize(
    ("version", "token"), [("v1.1", "d8d3e57a052817f5"), ("v2.2", "ae7a8170bb3d81d9"), ("v2.2", "e865b04a8ea9b9fc")]
)
def test_fast_equals_slow_on_recorded_scenes(version, token):
    made = ScoringScene.load(GOLDEN / version / f"scene_{token}.npz")
    metric = "pdms" if version == "v1.1" else "epdms"
    plans = some_plans(3, seed=1)
    slow = SlowScorer(made, metric)
    columns = score_trajectories(made, plans, metric=metric)
    for row, poses in enumerate(plans):
        wanted = slow.score(poses.numpy())
        for name in COLUMNS[metric]:
            assert columns[name][row].item() == pytest.approx(wanted[name], abs=1e-6), (name, row)


@pytest.mark.parametrize("with_filter", [False, True])
def test_scenes_without_lights_and_history_are_not_scored_by_epdms(with_filter):
    made = ScoringScene.load(GOLDEN / "v1.1" / "scene_d8d3e57a052817f5.npz")
    assert (len(made.red_light_token), len(made.history_states)) == (0, 0)
    message = "scene d8d3e57a052817f5 is of devkit v1.1, .* but epdms reads both; choose metric=pdms, or export"
    with pytest.raises(SceneError, match=message):
        score_scenes([made], some_plans(3)[None], metric="epdms", human_penalty_filter=with_filter)
    assert score_scenes([made], some_plans(3)[None], metric="pdms").columns["score"].shape == (1, 3)


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_a_padded_batch_equals_one_scene_at_a_time(metric):
    scenes = [
        ScoringScene.from_arrays(busy()),
        scene(speed=3.0),
        scene(roads=[], tracks=[track(20, 0)], speed=5.0, history=straight(speed=5.0, steps=15)),
        ScoringScene.from_arrays(busy(speed=12.0, centerline=np.array([[-9.0, 1.0], [99.0, 1.0]]))),
    ]
    plans = some_plans(20, seed=2).unflatten(0, (4, 5))
    together = score_scenes(scenes, plans, metric=metric)
    for row, made in enumerate(scenes):
        alone = score_scenes([made], plans[row : row + 1], metric=metric)
        assert_scores_equal(
            {k: v[row] for k, v in together.columns.items()}, {k: v[0] for k, v in alone.columns.items()}
        )
        for name in ("ego_areas", "collision_step", "collision_track", "ttc_step", "ttc_track", "simulated_states"):
            torch.testing.assert_close(getattr(together, name)[row], getattr(alone, name)[0], rtol=0, atol=1e-9)


def test_order_and_company_of_trajectories_do_not_matter():
    made, plans = ScoringScene.from_arrays(busy()), some_plans(9, seed=3)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    whole = score_trajectories(made, plans)
    assert_scores_equal({k: v[order] for k, v in whole.items()}, score_trajectories(made, plans[order]), 1e-9)
    assert_scores_equal(whole, score_trajectories(made, plans, chunk=4), 1e-9)
    for row in (0, 4, 8):
        assert_scores_equal(
            {k: v[row : row + 1] for k, v in whole.items()}, score_trajectories(made, plans[row : row + 1]), 1e-9
        )


def turned(values, angle, shift):
    """A tiny scene's archive with everything but the trajectories moved rigidly."""
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos, sin], [-sin, cos]])
    moved = dict(values)
    for name in ("centerline", "ring_xy", "red_light_xy"):
        moved[name] = values[name] @ matrix + shift
    for name in ("track_poses", "pdm_trajectory", "ego_state", "history_states", "human_trajectory"):
        moved[name] = values[name].copy()
        moved[name][..., :2] = values[name][..., :2] @ matrix + shift
        moved[name][..., 2] += angle
    return moved


def test_rigid_motion_of_everything_changes_nothing():
    values, plans = busy(), some_plans(16, seed=4)
    angle, shift = 0.7, np.array([13.0, -5.0])
    cos, sin = np.cos(angle), np.sin(angle)
    moved_plans = plans.clone()
    moved_plans[..., :2] = plans[..., :2] @ torch.tensor([[cos, sin], [-sin, cos]]) + torch.from_numpy(shift)
    moved_plans[..., 2] += angle
    one = score_trajectories(ScoringScene.from_arrays(values), plans)
    other = score_trajectories(ScoringScene.from_arrays(turned(values, angle, shift)), moved_plans)
    for name in COLUMNS["epdms"]:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=1e-6, msg=name)


def test_a_wider_car_never_collides_less():
    plans = some_plans(30, seed=5)
    standing = [track(15, 0), track(20, 4), track(12, -3)]
    narrow, wide = (
        score_trajectories(scene(tracks=standing, vehicle=np.array([2.5, width, 1.5, 3.0])), plans)
        for width in (0.6, 1.2)
    )
    for name in ("no_at_fault_collisions", "drivable_area_compliance"):
        assert (wide[name] <= narrow[name]).all()
        assert wide[name].sum() < narrow[name].sum()


def columns_of(metric, *values):
    return dict(zip(COLUMNS[metric], torch.tensor(values, dtype=torch.float64)[:, None]))


def test_weights_of_pdms_and_epdms():
    # progress 0.5, time to collision 0, comfort 1 over 12; then lane keeping and extended comfort
    pdms = columns_of("pdms", 0.5, 1, 0.5, 0, 1, 0, 0)
    assert weighted_score(pdms, PDMS).item() == pytest.approx(0.5 * 4.5 / 12)
    full = columns_of("epdms", 0.5, 1, 0.5, 1, 0.5, 0, 1, 1, 0)
    assert weighted_score(full, EPDMS).item() == pytest.approx(0.25 * 6.5 / 14)
    assert epdms(full).item() == pytest.approx(0.25 * 6.5 / 14)
    for extended, wanted in ((1.0, 8.5 / 16), (0.0, 6.5 / 16), (float("nan"), 6.5 / 14)):
        assert epdms(full, torch.tensor([extended]).double()).item() == pytest.approx(0.25 * wanted)


def test_human_filter_excuses_what_the_human_fails_in_original_scenes():
    mine = columns_of("epdms", 0, 0.5, 0, 1, 0.25, 0, 0, 1, 0.125)
    human = columns_of("epdms", 0, 0.5, 1, 1, 1, 0, 1, 1, 1)
    excused = excuse_by_human(mine, human, torch.tensor([True]))
    assert [value.item() for value in excused.values()] == [1, 0.5, 0, 1, 0.25, 1, 0, 1, 0.125]
    assert_scores_equal(excuse_by_human(mine, human, torch.tensor([False])), mine)


def test_human_filter_of_a_whole_scene():
    # The human drives through a standing car; so does the plan. Synthetic scenes have no filter.
    tracks = [track(20, 0)]
    plans = torch.from_numpy(plan(10.0))[None]
    for kind, wanted in (("original", 1.0), ("synthetic", 0.0)):
        made = scene(tracks=tracks, scene_type=kind)
        plain = score_scenes([made], plans[None])
        filtered = score_scenes([made], plans[None], human_penalty_filter=True)
        assert plain.columns["no_at_fault_collisions"].item() == 0.0
        assert filtered.columns["no_at_fault_collisions"].item() == wanted
        assert filtered.columns["pdm_score"].item() == plain.columns["pdm_score"].item() == 0.0  # the devkit's stays
        assert epdms(filtered.columns).item() == pytest.approx(wanted)
        assert epdms(plain.columns).item() == 0.0  # EPDMS*: products from before the filter


def test_extended_comfort_bounds_are_inclusive_and_frames_must_follow():
    now = torch.from_numpy(straight())[None]
    previous = now.clone()
    previous[..., 5] = 0.7
    assert extended_comfort(now, previous, 0.5).item()
    previous[..., 5] = 0.71
    assert not extended_comfort(now, previous, 0.5).item()
    turning = now.clone()
    turning[..., 2] = 0.0099 * torch.arange(41)
    assert extended_comfort(now, turning, 0.4).item()
    turning[..., 2] = 0.0101 * torch.arange(41)
    assert not extended_comfort(now, turning, 0.4).item()
    with pytest.raises(TrajectoryError, match=r"the frames are 0\.6 s apart"):
        extended_comfort(now, now, 0.6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trajectories": torch.zeros(8, 3)}, r"trajectories has shape \(8, 3\), but one scene takes \[N, P, 3\]"),
        ({"trajectories": torch.zeros(2, 8, 2)}, r"trajectories has shape \(1, 2, 8, 2\), but 1 scenes take"),
        ({"trajectories": torch.zeros(0, 8, 3)}, "with N of 1 or more"),
        (
            {"interval_length": 0.1},
            "trajectories has 8 poses 0.1 s apart, which cover 0.8 s, but the metric needs 4.0 s",
        ),
        ({"trajectories": torch.full((2, 8, 3), 1e30)}, r"2 trajectories that are not finite or beyond 1e\+12 m"),
        ({"trajectories": torch.zeros(2, 10, 3)}, "sample it with num_poses=8 and interval_length=0.5"),
        ({"interval_length": 0.0}, "8 poses 0.0 s apart"),
        ({"interval_length": float("nan")}, "8 poses nan s apart"),
        (
            {"trajectories": torch.full((2, 8, 3), float("nan"))},
            r"2 trajectories that are not finite or beyond 1e\+12 m, .* \[0, 0\]",
        ),
        (
            {"trajectories": torch.zeros(2, 8, 3, dtype=torch.int64)},
            "holds torch.int64, but poses must be finite float",
        ),
        ({"metric": "ade"}, "metric is 'ade', but must be one of pdms, epdms"),
        ({"metric": "pdms", "human_penalty_filter": True}, "pdms has no human filter"),
    ],
)
def test_bad_requests_are_refused(options, message):
    with pytest.raises(TrajectoryError, match=message):
        score_trajectories(scene(), **{"trajectories": torch.zeros(2, 8, 3), **options})


def test_single_precision_inputs_are_scored_in_double():
    scores = score_trajectories(scene(), some_plans(2).float())
    assert scores["pdm_score"].dtype == torch.float64
    assert set(scores) == {*COLUMNS["epdms"], "simulated_states", "collision_step", "ttc_step"}
    assert scores["simulated_states"].shape == (2, 41, 11)
