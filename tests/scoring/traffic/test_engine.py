"""The traffic of many plans at once, against the slow one of each plan alone."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings

import numpy as np
import pytest

from navsim_agents.common import extras
from navsim_agents.common.poses import wrap_angle
from navsim_agents.errors import SceneError, TrajectoryError
from navsim_agents.scoring.machine_code import CodeRoom
from navsim_agents.scoring.traffic import engine
from navsim_agents.scoring.traffic.engine import plans_traffic, plans_traffic_with_effort
from navsim_agents.scoring.traffic.fast import simulation
from navsim_agents.scoring.traffic.reactive import reactive_traffic
from navsim_agents.scoring.traffic.roles import TRAFFIC, Role
from tests.scoring.numba_state import forget_numba
from tests.scoring.tiny import scene, straight, track
from tests.scoring.traffic.busy import busy_scene, plans
from tests.scoring.traffic.roads import FAR, scene_of, standing, vehicle, way

ROAD = way(0.0, 0.0, 400.0, 0.0, points=401)


def assert_same(made, states, num_slow=0):
    """The engine's answer for all plans, checked against the slow one of each."""
    traffic, effort = plans_traffic_with_effort(made, states)
    assert effort.num_slow == num_slow
    assert len(traffic) == len(states)
    assert (traffic.until[traffic.own_plan, traffic.own_track] == 0).all()
    for plan, one in enumerate(states):
        found, alone = traffic.of_plan(plan), reactive_traffic(made, one)
        np.testing.assert_array_equal(found.valid, alone.valid)
        off = np.where(alone.valid[..., None], found.poses - alone.poses, 0.0)
        off[..., 2] = wrap_angle(off[..., 2])
        assert abs(off).max(initial=0.0) < 1e-9
        for name in ("token", "type", "is_agent", "size", "speed", "heading"):
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
    return traffic


def away(count=1):
    return np.stack([straight(y=FAR / 12.5, speed=0.0)] * count)


@pytest.mark.parametrize("seed", range(3))
def test_busy_roads(seed):
    """Queues, crossings, oncoming and joining traffic, a ring that crosses itself, ends of paths, parked ones."""
    made, states = busy_scene(seed, count=16, one_width=seed == 2), plans(seed, 6)
    traffic = assert_same(made, states)
    kinds = np.array([Role(role) for role in made.traffic_role.tolist()])
    assert {Role.REACTS, Role.STANDS} <= set(kinds[traffic.own_track])
    assert ((traffic.until > 0) & (traffic.until < 41)).any()  # someone is dropped


LEFT, RIGHT = (vehicle(way(0.0, y, 400.0, y), progress=20.0, speed=speed) for y, speed in ((1.5, 3.0), (-1.5, 6.0)))
CASES = {
    "alone": [vehicle(ROAD, progress=20.0, speed=5.0)],
    "snapped": [vehicle(ROAD, 20.0, 3.0, pose=(20.0, 0.9, 0.2)), vehicle(ROAD, 30.0, snapped=(30.0, 0.0, 0.3))],
    "queue": [vehicle(ROAD, progress=x, speed=6.0) for x in (20.0, 29.0, 38.0, 47.0)],
    "queue, front first": [vehicle(ROAD, progress=x, speed=6.0) for x in (47.0, 38.0, 29.0, 20.0)],
    "overlapping": [vehicle(ROAD, progress=20.0, speed=6.0), vehicle(ROAD, progress=22.0, speed=2.0)],
    "oncoming": [vehicle(ROAD, 20.0, 4.0), vehicle(way(400.0, 0.0, 0.0, 0.0, points=401), 340.0, 8.0)],
    "beyond the end": [vehicle(way(0, 0, 30, 0), progress=29.9, speed=8.0), vehicle(ROAD, 10.0, 9.0)],
    "at the end": [vehicle(way(0, 0, 30, 0), progress=30.0, speed=0.0), vehicle(ROAD, 10.0, 9.0)],
    "at the begin": [vehicle(ROAD, progress=0.0, speed=0.0), vehicle(ROAD, progress=1.0, speed=3.0)],
    "ties": [vehicle(ROAD, progress=20.0, speed=0.2), LEFT, RIGHT],
    "ties, other order": [RIGHT, LEFT, vehicle(ROAD, progress=20.0, speed=0.2)],
    "leaving": [vehicle(ROAD, progress=50.0, speed=8.0), vehicle(ROAD, progress=90.0, speed=12.0)],
    "parked": [vehicle(ROAD, progress=20.0, speed=10.0), standing(40.0, 1.5), standing(40.0, 6.0)],
    "parked that touch": [standing(40.0, 9.0), standing(42.0, 9.0), standing(45.0, 9.0)],
    "nobody": [],
    "absent": [standing(10.0, 20.0, role=Role.ABSENT)],
}


@pytest.mark.parametrize("name", CASES)
def test_small_roads(name):
    states = np.concatenate(
        (away(), np.stack([straight(x=x, y=y, heading=0.2 * y, speed=s) for x, y, s in EGOS]), plans(5, 3))
    )
    assert_same(scene_of(*CASES[name]), states)


EGOS = ((33.0, 0.0, 0.0), (33.0, 2.4, 3.0), (-45.0, 0.0, 20.0))


def test_more_than_ten_on_a_way():
    """The tree's order decides, not the lowest."""
    row = [vehicle(way(0.0, y, 400.0, y), progress=20.0 + y, speed=5.0 + y) for y in np.linspace(-3.0, 3.0, 13)]
    wide = vehicle(ROAD, progress=20.0, speed=0.2, size=(4.0, 8.0))
    assert_same(scene_of(wide, *row, turn=0.3), np.concatenate((away(), plans(1, 3))))


def test_replayed_tracks_are_shared():
    walker = track(30, 4, speed=1.0, kind="pedestrian", size=(0.5, 0.5), valid=slice(5, 30))
    hit = track(1, 0, speed=1.0, kind="bicycle", size=(2.0, 0.5), valid=slice(0, 9))
    made = scene_of(vehicle(ROAD, progress=20.0), tracks=[walker], ignored=[hit])
    traffic = assert_same(made, np.concatenate((away(), straight(x=30.0, speed=0.0)[None])))
    assert (traffic.until[:, 1:] == 41).all()


def test_a_plan_whose_tie_hangs_on_rounding_is_simulated_alone():
    """Beside a vehicle of its own height on the map, which touches the follower too."""
    follower, other = vehicle(ROAD, 20.0, 0.2), vehicle(way(0.0, 1.5, 400.0, 1.5), progress=20.0, speed=3.0)
    level = straight(x=20.0, y=1.5 - 1e-10, speed=0.0)
    made = scene_of(follower, other, turn=0.0)
    assert_same(made, np.stack((straight(y=FAR / 12.5, speed=0.0), level, straight(x=20.0, y=-1.5, speed=0.0))), 1)


@pytest.mark.parametrize("path", [way(0.0, 0.0, 0.3, 0.0, points=31), np.array([[0, 0, 0], [9, 0, 2.9], [0, 1, 3.0]])])
def test_a_scene_with_a_rough_path_is_simulated_one_by_one(path):
    assert_same(scene_of(vehicle(ROAD, 20.0, 5.0), vehicle(path.astype(float))), plans(0, 2), num_slow=2)


def test_many_plans_are_simulated_in_blocks(monkeypatch):
    made, states = busy_scene(1), plans(1, 5)
    whole = plans_traffic(made, states)
    monkeypatch.setattr(engine, "BLOCK", 2)
    pieces = plans_traffic(made, states)
    for name in ("until", "own_plan", "own_track", "own_poses", "own_valid"):
        order = [np.lexsort((one.own_track, one.own_plan)) for one in (whole, pieces)]
        values = (getattr(one, name) for one in (whole, pieces))
        np.testing.assert_array_equal(*(v[o] if name != "until" else v for v, o in zip(values, order)))
    assert len(plans_traffic(made, states[:0])) == 0


@pytest.mark.parametrize(("threads", "least"), [(2, 1), (3, 2), (2, 100)])
def test_answers_do_not_depend_on_threads(monkeypatch, threads, least):
    """Nor on blocks or on what was asked before: each time a scene of which nothing is known yet."""
    states = plans(3, 12)
    alone = plans_traffic(busy_scene(1), states)
    monkeypatch.setattr(engine, "LEAST_BLOCK", least)
    calls, run = [], simulation.PreparedTraffic.run
    monkeypatch.setattr(
        simulation.PreparedTraffic, "run", lambda self, base, egos: calls.append(len(egos)) or run(self, base, egos)
    )
    shared = plans_traffic(busy_scene(1), states, threads=threads)
    assert sum(calls) == len(states)
    assert len(calls) == (1 if least == 100 else min(engine.SHARES * threads, len(states) // least))
    for plan in range(len(states)):
        one, other = alone.of_plan(plan), shared.of_plan(plan)
        np.testing.assert_array_equal(one.poses, other.poses)
        np.testing.assert_array_equal(one.valid, other.valid)


@pytest.mark.parametrize("seed", range(2))
def test_a_plan_leaves_no_trace_in_the_next(seed):
    """Whoever came before it: what is brought from the base is each plan's anew."""
    made, states = busy_scene(seed, count=16), plans(seed, 6)
    together = plans_traffic(made, np.concatenate((states, states[::-1])))
    for plan, one in enumerate(states):
        alone = plans_traffic(made, one[None]).of_plan(0)
        for again in (plan, 2 * len(states) - 1 - plan):
            np.testing.assert_array_equal(together.of_plan(again).poses, alone.poses)
            np.testing.assert_array_equal(together.of_plan(again).valid, alone.valid)


def test_what_plans_share_is_simulated_once(monkeypatch):
    made, states, calls = busy_scene(2, count=4), plans(1, 2), []
    prepare = simulation._prepare
    monkeypatch.setattr(simulation, "_prepare", lambda *args: calls.append(args) or prepare(*args))
    first = plans_traffic(made, states)
    assert plans_traffic(made, states).shared is first.shared
    assert len(calls) == 1
    slower = dataclasses.replace(TRAFFIC, acceleration_mps2=0.5)
    plans_traffic(made, states, slower)
    assert len(calls) == 2
    assert simulation.KEPT_AS not in vars(dataclasses.replace(made))


def test_other_figures_are_followed():
    made, states = busy_scene(2, count=8), plans(1, 2)
    slower = dataclasses.replace(TRAFFIC, acceleration_mps2=0.5, headway_s=1.0, min_gap_m=3.0, radius_m=60.0)
    for plan, one in enumerate(states):
        found, alone = plans_traffic(made, states, slower).of_plan(plan), reactive_traffic(made, one, slower)
        np.testing.assert_allclose(found.poses, alone.poses, atol=1e-9)


def refuse(name):
    raise ImportError(f"{name} needs NumPy 2.9 or less")


def test_without_numba_it_is_slow_and_says_so_once(monkeypatch):
    made, states = busy_scene(0, count=4), plans(0, 2)
    wanted = plans_traffic(made, states)
    monkeypatch.setattr(extras, "import_module", refuse)
    monkeypatch.setattr(CodeRoom, "is_kept", False)
    forget_numba()
    try:
        with pytest.warns(
            UserWarning,
            match=r"numba needs NumPy 2.9 or less.*plan by plan.*pip install 'navsim-drive-jepa\[fast\]' brings it",
        ):
            traffic, effort = plans_traffic_with_effort(made, states)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plans_traffic(made, states)
    finally:
        forget_numba()
    assert effort.num_slow == 2
    np.testing.assert_allclose(traffic.of_plan(1).poses, wanted.of_plan(1).poses, atol=1e-9)


def test_numba_is_imported_with_the_first_traffic_alone():
    code = "import sys, navsim_agents.scoring, navsim_agents.scoring.traffic.engine; print('numba' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_refusals():
    with pytest.raises(SceneError, match="lacks traffic_role"):
        plans_traffic(scene(), away())
    with pytest.raises(
        TrajectoryError, match=r"states has shape \(2, 40, 11\), but traffic is simulated with 41 states"
    ):
        plans_traffic(scene_of(vehicle(ROAD)), plans(0, 2)[:, :40])
