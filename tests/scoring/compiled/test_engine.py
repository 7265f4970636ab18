"""The compiled engine answers as torch's does: every rule, size of scene, layout, metric and traffic."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring import ScoringScene, engines, pack_scene, score_batch, score_scenes, unpack_scenes
from navsim_agents.scoring.config import METRICS
from tests.scoring.both_engines import NEAR, assert_same_answers, batch_of
from tests.scoring.busy_road import busy, different_scenes, some_plans
from tests.scoring.golden_scenes import BYTES, METRIC, SCENES
from tests.scoring.traffic.roads import scene_of, standing, vehicle, way

compiled_run = pytest.importorskip("navsim_agents.scoring.compiled.run", reason="Numba is not installed")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(4))
def test_every_rule(metric, seed):
    wanted = assert_same_answers(batch_of([ScoringScene.from_arrays(busy())], metric), some_plans(256, seed)[None])
    for name, values in wanted.columns.items():
        assert len(values.unique()) > 1, f"{name} says the same of all plans, so nothing is compared"


@pytest.mark.parametrize("metric", METRICS)
def test_scenes_of_every_size_in_one_batch(metric):
    scenes = different_scenes()
    assert_same_answers(batch_of(scenes, metric), torch.stack([some_plans(70, row) for row in range(len(scenes))]))


@pytest.mark.parametrize("metric", METRICS)
def test_packed_scenes(metric):
    packed = torch.utils.data.default_collate([pack_scene(one, BYTES) for one in different_scenes()])
    plans = torch.stack([some_plans(9, row) for row in range(len(packed))])
    assert_same_answers(unpack_scenes(packed, metric), plans)


def test_plans_of_another_sampling():
    steps = torch.arange(1, 41, dtype=torch.float64)
    plans = torch.stack([torch.stack((0.1 * speed * steps, 0.02 * steps, 0.0 * steps), dim=-1) for speed in (0, 3, 9)])
    assert_same_answers(batch_of([ScoringScene.from_arrays(busy())], num_poses=40, interval_s=0.1), plans[None])


@pytest.mark.parametrize("path", SCENES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_scenes_of_the_devkits(path):
    with np.load(path.with_name(path.name.replace("scene_", "expected_"))) as recorded:
        plans = torch.from_numpy(recorded["trajectories"])
    assert_same_answers(batch_of([ScoringScene.load(path)], METRIC[path.parent.name]), plans[None])


def test_each_in_its_own_traffic():
    road = way(0.0, 0.0, 200.0, 0.0, points=201)
    ahead, beside = (
        vehicle(road, progress=30.0, speed=2.0),
        vehicle(way(-60.0, 4.0, 90.0, 4.0), progress=50.0, speed=9.0),
    )
    made = scene_of(ahead, beside, standing(60.0, -9.0), speed=6.0)
    plans = some_plans(24)[None]
    by_tensors = score_scenes([made], plans, traffic="reactive")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "WORTH_COMPILED", 1)
        found = score_scenes([made], plans, traffic="reactive", chunk=5)
    assert len(by_tensors.columns["no_at_fault_collisions"].unique()) > 1
    for name, values in by_tensors.columns.items():
        torch.testing.assert_close(found.columns[name], values, rtol=0, atol=NEAR, msg=name)
    assert torch.equal(found.collision_track, by_tensors.collision_track)


def test_float32_is_the_same_rounded():
    scenes, plans = different_scenes(), torch.stack([some_plans(8, row) for row in range(4)])
    engine = compiled_run.Compiled()
    exact, rounded = batch_of(scenes), batch_of(scenes, dtype=torch.float32)
    states = engine.drive(rounded, plans, rounded.pdm_trajectory[:, None].double())
    assert states.dtype == torch.float32
    assert engine.judge(rounded, states).raw_progress.dtype == torch.float32
    torch.testing.assert_close(
        states.double(), engine.drive(exact, plans, exact.pdm_trajectory[:, None].double()), rtol=0, atol=1e-3
    )


def scored(batch, plans):
    scores = score_batch(batch, plans)
    return [*scores.columns.values(), scores.simulated_states, scores.ego_areas, scores.ttc_step]


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_answers_do_not_depend_on_threads_or_blocks(threads, monkeypatch):
    scenes = different_scenes()
    batch, plans = batch_of(scenes), torch.stack([some_plans(150, row) for row in range(len(scenes))])
    threads(1)
    wanted = scored(batch, plans)
    for count, lanes in ((2, 64), (3, 7), (1, 1)):
        threads(count)
        monkeypatch.setattr(compiled_run, "LANES", lanes)
        assert all(map(torch.equal, scored(batch, plans), wanted)), (count, lanes)


def test_torch_has_its_threads_back(threads):
    threads(3)
    packed = torch.utils.data.default_collate([pack_scene(one, BYTES) for one in different_scenes()])
    batch, plans = unpack_scenes(packed, "epdms"), torch.stack([some_plans(70, row) for row in range(len(packed))])
    assert torch.get_num_threads() == 3
    scored(batch, plans)
    with pytest.raises(TrajectoryError):
        score_batch(batch, plans * float("nan"))
    assert torch.get_num_threads() == 3


def test_threads_of_python_may_score_at_once(threads):
    threads(2)
    batch, plans = batch_of([ScoringScene.from_arrays(busy())]), some_plans(300)[None]
    wanted, found = scored(batch, plans), [None] * 4

    def work(row):
        found[row] = scored(batch, plans)

    running = [threading.Thread(target=work, args=(row,)) for row in range(len(found))]
    for one in running:
        one.start()
    for one in running:
        one.join()
    for answers in found:
        assert all(map(torch.equal, answers, wanted))


def test_an_error_in_a_thread_is_raised(threads, monkeypatch):
    threads(2)
    monkeypatch.setattr(type(compiled_run.judge_block), "bound", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score_batch(batch_of([ScoringScene.from_arrays(busy())]), some_plans(300)[None])
