"""Traffic that reacts to the ego, beside the devkit's own: every box at every step, and the scores in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from navsim_agents.devkit.cache_files import list_metric_cache
from navsim_agents.devkit.cache_pickle import read_metric_cache
from navsim_agents.devkit.export import export_metric_cache
from navsim_agents.devkit.metric_cache import scoring_scene_of
from navsim_agents.devkit.scoring import score_with_devkit
from navsim_agents.devkit.traffic_parity import box_distance
from navsim_agents.devkit.variant import Variant
from navsim_agents.errors import DevkitError, SceneError, TrajectoryError
from navsim_agents.scoring import SceneStore, ScoringScene, score_scenes, score_trajectories
from navsim_agents.scoring.traffic.checks import require_traffic
from navsim_agents.scoring.traffic.engine import plans_traffic
from navsim_agents.scoring.traffic.reactive import Traffic, reactive_traffic
from navsim_agents.scoring.traffic.replaced import scene_in_traffic
from navsim_agents.scoring.traffic.roles import Role
from tests.devkit.boxes import devkit_boxes
from tests.devkit.crowd import crowded
from tests.devkit.scripts import Devkit

NUM_SCENES, NUM_ADDED = 4, 40
TIMES = 0.5 * np.arange(1, 9)


@pytest.fixture(scope="module")
def caches(devkit: Devkit, metric_cache: Path) -> list[Any]:
    if devkit.variant is not Variant.V2_2:
        pytest.skip("v1.1 has no reactive traffic")
    entries = list_metric_cache(metric_cache).entries
    return [read_metric_cache(entry.path) for entry in entries[:NUM_SCENES]]


@pytest.fixture(scope="module")
def crowd(caches: list[Any]) -> Any:
    return crowded(caches[0], NUM_ADDED, seed=0)


def plans_of(scene: ScoringScene) -> dict[str, np.ndarray]:
    """Plans by name: they keep on, stand, brake, cut in to the left, leave to the right, run into traffic, turn off."""
    speed = max(float(scene.ego_state[3]), 3.0)
    nought = np.zeros(8)
    ways = {
        "keeps on": (speed * TIMES, nought),
        "stands": (nought, nought),
        "brakes": (np.maximum.accumulate(speed * TIMES - 1.2 * TIMES**2), nought),
        "cuts in": (speed * TIMES, 1.75 * (1.0 - np.cos(np.pi * np.minimum(TIMES / 3.0, 1.0)))),
        "leaves": (speed * TIMES, -3.5 * np.minimum(TIMES / 3.0, 1.0)),
        "runs into": ((speed + 4.0) * TIMES + 0.5 * TIMES**2, nought),
        "turns off": (0.3 * speed * TIMES, -1.5 * TIMES),
    }
    return {name: np.column_stack((x, y, np.arctan2(np.gradient(y), np.gradient(x)))) for name, (x, y) in ways.items()}


def states_of(scene: ScoringScene) -> np.ndarray:
    """Simulated states [7, 41, 11] in the frame of the scene."""
    plans = torch.from_numpy(np.stack(list(plans_of(scene).values())))
    return score_trajectories(scene, plans)["simulated_states"].double().numpy()


def distance(found: Traffic, wanted: list[dict[str, np.ndarray]]) -> float:
    """The largest difference [m, rad] of all boxes; the same tracks are there at each step."""
    worst, misses = box_distance(found, wanted)
    assert misses == 0
    return worst


@pytest.mark.slow
def test_every_box_at_every_step_sparse(caches: list[Any]) -> None:
    num_compared = 0
    for cached in caches:
        scene = scoring_scene_of(cached, with_traffic=True)
        assert (scene.traffic_role == Role.REACTS).any()
        for states in states_of(scene):
            assert distance(reactive_traffic(scene, states), devkit_boxes(cached, scene, states)) < 1e-6
            num_compared += 1
    assert num_compared == NUM_SCENES * 7


@pytest.mark.slow
def test_every_box_at_every_step_crowded(crowd: Any) -> None:
    """More than ten meet on a way, stretches cover each other, and the plans change what the others do."""
    scene = scoring_scene_of(crowd, with_traffic=True)
    num_roles = np.bincount(scene.traffic_role, minlength=len(Role))
    assert (num_roles >= 5).all(), num_roles
    found = []
    for states in states_of(scene)[[1, 3, 5]]:
        found.append(reactive_traffic(scene, states))
        assert distance(found[-1], devkit_boxes(crowd, scene, states)) < 1e-6
    assert min(np.nanmax(abs(found[0].poses - other.poses)) for other in found[1:]) > 0.1


@pytest.mark.slow
def test_the_engine_s_boxes_sparse_and_crowded(caches: list[Any], crowd: Any) -> None:
    """All plans at once, by machine code where there is Numba."""
    for cached, chosen in ((caches[1], range(7)), (crowd, (3, 5, 6))):
        scene = scoring_scene_of(cached, with_traffic=True)
        states = states_of(scene)
        traffic = plans_traffic(scene, states)
        for plan in chosen:
            assert distance(traffic.of_plan(plan), devkit_boxes(cached, scene, states[plan])) < 1e-6


@pytest.mark.slow
def test_scores_in_reactive_traffic(caches: list[Any], crowd: Any) -> None:
    """Every column of ``pdm_score`` with the devkit's reactive agents; some differ from those of log replay."""
    num_changed = 0
    for cached, chosen in ((caches[0], range(7)), (caches[1], range(7)), (crowd, (1, 5))):
        scene = scoring_scene_of(cached, with_traffic=True)
        plans = np.stack(list(plans_of(scene).values()))[list(chosen)]
        wanted = score_with_devkit(cached, plans, reactive=True)
        replayed = score_trajectories(scene, torch.from_numpy(plans))
        at_once = score_trajectories(scene, torch.from_numpy(plans), traffic="reactive")
        for number, states in enumerate(replayed["simulated_states"].double().numpy()):
            reacting = scene_in_traffic(scene, reactive_traffic(scene, states))
            found = score_trajectories(reacting, torch.from_numpy(plans[number : number + 1]))
            for name, column in wanted.items():
                assert float(found[name][0]) == pytest.approx(column[number], abs=1e-6), (number, name)
                assert float(at_once[name][number]) == pytest.approx(column[number], abs=1e-6), (number, name)
            for name in ("collision_step", "ttc_step"):
                assert at_once[name][number] == found[name][0], (number, name)
            num_changed += any(abs(float(replayed[name][number]) - wanted[name][number]) > 1e-6 for name in wanted)
    assert num_changed > 0


@pytest.mark.slow
def test_the_human_filter_in_reactive_traffic(caches: list[Any], crowd: Any) -> None:
    """Scenes and plans in one call, as the devkit scores each with the human in traffic of the human's own."""
    chosen = [caches[2], crowd]
    scenes = [scoring_scene_of(cached, with_traffic=True) for cached in chosen]
    plans = np.stack([np.stack(list(plans_of(scene).values()))[[0, 2, 5]] for scene in scenes])
    found = score_scenes(scenes, torch.from_numpy(plans), human_penalty_filter=True, traffic="reactive").columns
    for row, cached in enumerate(chosen):
        for name, column in score_with_devkit(cached, plans[row], human_penalty_filter=True, reactive=True).items():
            np.testing.assert_allclose(found[name][row].numpy(), column, rtol=0, atol=1e-6, err_msg=f"{row} {name}")


def test_scoring_with_reactive_traffic_leaves_the_cache_as_it_was(caches: list[Any]) -> None:
    before = scoring_scene_of(caches[0], with_traffic=True).to_arrays()
    score_with_devkit(caches[0], np.zeros((1, 8, 3)), reactive=True)
    after = scoring_scene_of(caches[0], with_traffic=True).to_arrays()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


def test_traffic_is_kept_in_files_and_left_out_where_it_is_not_asked_for(caches: list[Any], tmp_path: Path) -> None:
    scene = scoring_scene_of(caches[0], with_traffic=True)
    scene.save(tmp_path / "scene.npz")
    states = states_of(scene)[0]
    again = reactive_traffic(ScoringScene.load(tmp_path / "scene.npz"), states)
    np.testing.assert_array_equal(again.poses, reactive_traffic(scene, states).poses)
    plain = scoring_scene_of(caches[0])
    assert not [name for name in plain.to_arrays() if name.startswith(("traffic_", "ignored_track_"))]


def test_stores_are_exported_with_traffic_or_without(caches: list[Any], metric_cache: Path, tmp_path: Path) -> None:
    from nuplan.planning.utils.multithreading.worker_sequential import Sequential

    def export(folder: str, **options: Any) -> SceneStore:
        report = export_metric_cache(metric_cache, tmp_path / folder, Sequential(), show_progress=False, **options)
        assert report.failures == []
        return SceneStore(tmp_path / folder)

    plain, full = export("plain"), export("full", with_traffic=True)
    assert all(plain[token].traffic_role is None for token in plain.tokens)
    for token in full.tokens:
        require_traffic(full[token])
        with_it, without = full[token].to_arrays(), plain[token].to_arrays()
        assert all(
            np.array_equal(with_it[name], value, equal_nan=value.dtype.kind == "f") for name, value in without.items()
        )
    with pytest.raises(SceneError, match=r"plain: scene \w+ lacks traffic_role.*; write them to a new output"):
        export("plain", with_traffic=True)


def test_refusals(caches: list[Any], devkit: Devkit, metric_cache: Path) -> None:
    cached = read_metric_cache(list_metric_cache(metric_cache).entries[0].path)
    cached.map_parameters.map_root = str(devkit.world / "nowhere")
    with pytest.raises(DevkitError, match=r"there is no map at .*nowhere.*; give the folder of nuPlan's maps"):
        scoring_scene_of(cached, with_traffic=True)


def test_v1_1_has_none(devkit: Devkit, metric_cache: Path) -> None:
    if devkit.variant is not Variant.V1_1:
        pytest.skip("v2.2 has reactive traffic")
    cached = read_metric_cache(list_metric_cache(metric_cache).entries[0].path)
    with pytest.raises(DevkitError, match=r"has no reactive traffic; take a metric cache of v2\.2"):
        scoring_scene_of(cached, with_traffic=True)
    with pytest.raises(TrajectoryError, match=r"reactive is set, but devkit v1\.1 replays the log alone"):
        score_with_devkit(cached, np.zeros((1, 8, 3)), reactive=True)
