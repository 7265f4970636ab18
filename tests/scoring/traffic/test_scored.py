"""Trajectories scored in the traffic that each met: equal to one scene for each, and worked by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from navsim_agents.common.extras import MissingPackageError
from navsim_agents.common.poses import HEADING, Y
from navsim_agents.errors import SceneError, TrajectoryError
from navsim_agents.scoring import excuse_by_human, score, score_scenes, score_trajectories
from navsim_agents.scoring.aggregate import COLUMNS
from navsim_agents.scoring.traffic import scored
from navsim_agents.scoring.traffic.of_plans import PlansTraffic
from navsim_agents.scoring.traffic.reactive import reactive_traffic
from navsim_agents.scoring.traffic.replaced import scene_in_traffic
from tests.scoring.tiny import plan, scene, straight
from tests.scoring.traffic.crossing import STEPS, crossing, many_plans, oncoming, slow_human, slow_scores
from tests.scoring.traffic.roads import scene_of, vehicle, way

ROAD = way(-40.0, 0.0, 300.0, 0.0, points=341)
ROOT = Path(__file__).resolve().parents[3]
NUM_PLANS = 11


@pytest.fixture(scope="module")
def busy():
    """The human is at fault in traffic alone, as the seventh plan, which drives the same way."""
    plans = many_plans(NUM_PLANS, seed=2)
    return crossing(human_trajectory=plans[6].numpy()), plans


@pytest.fixture(scope="module")
def found(busy):
    made, plans = busy
    return score_scenes([made], plans[None], human_penalty_filter=True, traffic="reactive")


def assert_same(found, wanted, row=0, atol=0.0):
    for name in COLUMNS["epdms"]:
        torch.testing.assert_close(found.columns[name][row], wanted[name], rtol=0, atol=atol, msg=name)
    for name in STEPS:
        assert getattr(found, name)[row].tolist() == wanted[name].tolist(), name


def test_every_plan_is_scored_as_alone_in_its_own_traffic(busy):
    made, plans = busy
    wanted = slow_scores(made, plans)
    assert_same(score_scenes([made], plans[None], traffic="reactive"), wanted, atol=1e-12)
    for name in ("no_at_fault_collisions", "time_to_collision_within_bound", "collision_track", "ttc_track"):
        assert len(set(wanted[name].tolist())) > 1, name
    replayed = score_scenes([made], plans[None]).columns["no_at_fault_collisions"][0]
    assert (replayed != wanted["no_at_fault_collisions"]).sum() > 2


def test_the_human_who_excuses_is_judged_in_the_human_s_own_traffic(busy, found):
    made, plans = busy
    wanted, human = slow_scores(made, plans), slow_human(made)
    for name, value in human.items():
        torch.testing.assert_close(found.human_columns[name], value, rtol=0, atol=1e-12)
    replayed = score_scenes([made], plans[None], human_penalty_filter=True).human_columns
    assert human["no_at_fault_collisions"].item() == 0.0 < replayed["no_at_fault_collisions"].item()
    assert_same(found, {**wanted, **excuse_by_human(wanted, human, torch.tensor([True]))}, atol=1e-12)


def test_the_reference_driver_is_judged_in_the_traffic_of_each_plan():
    made, plans = oncoming(), many_plans(NUM_PLANS, seed=1)
    found = score_scenes([made], plans[None], traffic="reactive")
    assert_same(found, slow_scores(made, plans), atol=1e-12)
    replayed = score_scenes([made], plans[None])
    changed = replayed.columns["ego_progress"] != found.columns["ego_progress"]
    assert 0 < changed.sum() < (replayed.columns["ego_progress"] < 1.0).sum()


def test_chunk_and_company_change_nothing(busy, found):
    made, plans = busy
    parts = score_scenes([made], plans[None], human_penalty_filter=True, traffic="reactive", chunk=4)
    torch.testing.assert_close(vars(parts), vars(found), rtol=0, atol=1e-12)


def test_scenes_are_scored_as_alone(busy, found):
    made, plans = busy
    other = scene_of(vehicle(ROAD, progress=60.0, speed=3.0), speed=8.0)
    both = score_scenes(
        [other, made], torch.stack((plans, plans)), human_penalty_filter=True, traffic="reactive", chunk=NUM_PLANS
    )
    whole = {name: getattr(found, name)[0] for name in STEPS}
    assert_same(both, {**{name: value[0] for name, value in found.columns.items()}, **whole}, row=1, atol=1e-12)
    assert both.reference_progress.shape == both.human_columns["lane_keeping"].shape == (2,)


def test_the_largest_chunk_is_bounded(busy, found, monkeypatch):
    monkeypatch.setattr(score, "LARGEST_CHUNK", 7)
    made, plans = busy
    seen = []
    slow = scored.plans_traffic
    monkeypatch.setattr(
        scored, "plans_traffic", lambda scene, states, *rest: seen.append(len(states)) or slow(scene, states, *rest)
    )
    parts = score_scenes([made], plans[None], human_penalty_filter=True, traffic="reactive")
    assert seen == [8, 4]  # the human is with the first
    torch.testing.assert_close(vars(parts), vars(found), rtol=0, atol=1e-12)


def test_the_columns_of_one_scene(busy, found):
    made, plans = busy
    alone = score_trajectories(made, plans[:2], human_penalty_filter=True, traffic="reactive")
    for name in COLUMNS["epdms"]:
        torch.testing.assert_close(alone[name], found.columns[name][0, :2], rtol=0, atol=1e-12)


def test_shared_tracks_end_and_own_ones_take_their_place_at_any_step(monkeypatch):
    """Answers of the traffic that no road gives: tracks near the ego that vanish for some plans, at every step."""
    draw = np.random.default_rng(3)
    made, plans = crossing(), many_plans(37, seed=4)
    met = reactive_traffic(made, straight(speed=8.0))
    until = draw.integers(0, 42, (len(plans), len(met.token)))
    until[draw.random(until.shape) < 0.3] = 41
    plan_of, track_of = np.nonzero(until < 9)
    until[plan_of, track_of] = 0
    own = met.poses[track_of] + draw.normal(0.0, 2.0, (len(plan_of), 1, 3)) * (1.0, 1.0, 0.1)
    traffic = PlansTraffic(met, until, plan_of, track_of, own, np.isfinite(own).all(axis=-1))
    monkeypatch.setattr(scored, "plans_traffic", lambda scene, states, threads: traffic)
    found = score_scenes([made], plans[None], traffic="reactive")
    for row, poses in enumerate(plans):
        alone = score_scenes([scene_in_traffic(made, traffic.of_plan(row))], poses[None, None])
        for name in COLUMNS["epdms"]:
            assert found.columns[name][0, row].item() == pytest.approx(alone.columns[name].item(), abs=1e-9), (
                row,
                name,
            )
        for name in STEPS:
            assert getattr(found, name)[0, row].item() == getattr(alone, name).item(), (row, name)


def test_pdm_closed_hits_in_one_plan_s_traffic_what_brakes_for_another():
    """Both plans make less way than PDM-Closed; where that is at fault, the plan's own way is the best there is."""
    stays = plan(4.0)
    leaves = stays.copy()
    leaves[:, Y] = np.minimum(1.5 * np.arange(1, 9), 4.0)
    leaves[:2, HEADING] = 0.4
    plans = torch.from_numpy(np.stack((stays, leaves)))
    found = score_scenes([oncoming()], plans[None], traffic="reactive")
    assert found.columns["no_at_fault_collisions"].tolist() == [[1.0, 1.0]]
    assert found.raw_progress.max() < 0.95 * found.reference_progress
    progress, _ = found.columns["ego_progress"][0]
    assert progress.item() == pytest.approx((found.raw_progress[0, 0] / found.reference_progress[0]).item())
    assert found.columns["ego_progress"][0].tolist() == [progress.item(), 1.0]
    assert score_scenes([oncoming()], plans[None]).columns["ego_progress"].max() < 0.95


def follower():
    """One at 8 m/s, 5 m behind the ego; the human keeps on, PDM-Closed too."""
    return scene_of(vehicle(ROAD, progress=32.0, speed=8.0), speed=8.0, pdm_trajectory=straight(speed=8.0))


def test_a_follower_brakes_for_the_plan_that_brakes():
    slows = plan(8.0) * np.array([0.5, 1.0, 1.0])
    states = score_trajectories(follower(), torch.from_numpy(np.stack((plan(8.0), slows))))["simulated_states"]
    met = scored.plans_traffic(follower(), states.numpy())
    keeps, slowed = (met.of_plan(row).poses[0, -1, 0] for row in (0, 1))
    assert slowed < keeps - 3.0


def test_shapely_is_asked_for_by_traffic_that_reacts_alone():
    lines = (
        "import sys",
        "sys.modules['shapely'] = None",
        "import torch",
        "from navsim_agents.scoring import score_trajectories",
        "from tests.scoring.tiny import scene",
        "score_trajectories(scene(), torch.zeros(1, 8, 3))",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, cwd=ROOT)


def test_without_shapely_it_says_what_brings_it(monkeypatch):
    monkeypatch.setattr("navsim_agents.common.extras.find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"shapely is not installed.*pip install 'navsim-drive-jepa\[traffic\]'"
    ):
        score_trajectories(follower(), torch.zeros(1, 8, 3), traffic="reactive")


@pytest.mark.parametrize(
    ("made", "options", "error", "message"),
    [
        (scene, {"traffic": "idm"}, TrajectoryError, "traffic is 'idm', but must be one of log_replay, reactive"),
        (
            follower,
            {"traffic": "reactive", "metric": "pdms"},
            TrajectoryError,
            r"traffic is reactive, but pdms \(devkit v1.1\) replays the log alone; choose metric=epdms or traffic=log_",
        ),
        (
            scene,
            {"traffic": "reactive"},
            SceneError,
            "scene 0123456789abcdef lacks traffic_role, .* export its v2.2 metric cache again with traffic=true",
        ),
    ],
)
def test_refusals(made, options, error, message):
    with pytest.raises(error, match=message):
        score_trajectories(made(), torch.zeros(2, 8, 3), **options)
