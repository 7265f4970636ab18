"""Slips that sets of plans share: each is named, and nothing is said of correct sets."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import numpy.typing as npt
import pytest

from navsim_agents.data.plan_slips import likely_slips, motion_of
from navsim_agents.poses import wrap_angle

Plans = npt.NDArray[np.float64]
SAMPLINGS = {8: 0.5, 40: 0.1}


def arcs(num_poses: int, speeds: Plans, curvatures: Plans, accelerations: Any = 0.0) -> Plans:
    """Plans [N, P, 3] of constant curvature [1/m]; speed [m/s] and acceleration [m/s²] along the arc, never turning."""
    times = np.arange(1, num_poses + 1) * SAMPLINGS[num_poses]
    accelerations = np.broadcast_to(accelerations, speeds.shape)
    stops = np.where(accelerations < 0, -speeds / np.where(accelerations < 0, accelerations, -1.0), np.inf)
    clipped = np.minimum(times, stops[:, None])
    way = speeds[:, None] * clipped + accelerations[:, None] * clipped**2 / 2
    turn = np.where(curvatures == 0.0, 1e-9, curvatures)[:, None]
    return np.stack((np.sin(turn * way) / turn, (1 - np.cos(turn * way)) / turn, wrap_angle(turn * way)), axis=-1)


def driven(num_poses: int, count: int = 60, seed: int = 0) -> Plans:
    """A mixed set: a third turns left or right, some stand, some brake or speed up."""
    rng = np.random.default_rng(seed)
    speeds = rng.uniform(0.0, 14.0, count) * (rng.random(count) > 0.1)
    curvatures = rng.uniform(-0.1, 0.1, count) * (rng.random(count) < 0.35) * (speeds < 9.0)
    return arcs(num_poses, speeds, curvatures, rng.uniform(-3.0, 2.0, count))


def check(plans: Plans) -> str:
    """All texts; the interval goes with the number of poses."""
    return "\n".join(likely_slips(list(plans), [SAMPLINGS[plans.shape[1]]] * len(plans)))


def turned(degrees: float) -> Callable[[Plans], Plans]:
    return lambda plans: plans + np.array((0.0, 0.0, np.deg2rad(degrees)))


def scaled(*factors: float) -> Callable[[Plans], Plans]:
    return lambda plans: plans * factors


def started(plans: Plans) -> Plans:
    return np.concatenate((np.zeros_like(plans[:, :1]), plans[:, :-1]), axis=1)


def skipped(plans: Plans) -> Plans:
    return np.concatenate((plans[:, 1:], 2 * plans[:, -1:] - plans[:, -2:-1]), axis=1)


SLIPS: dict[str, tuple[Callable[[Plans], Plans], str]] = {
    "heading from the y axis": (turned(90), "have headings +90° off their direction of motion"),
    "heading clockwise from y": (turned(-90), "have headings -90° off their direction of motion"),
    "heading backwards": (turned(180), "180° off their direction of motion"),
    "heading wrapped": (lambda p: np.dstack((p[..., :2], wrap_angle(p[..., 2] + np.pi / 2))), "have headings +90° off"),
    "headings zero": (scaled(1, 1, 0), "have headings that do not turn with them: are the headings left at zero"),
    "headings constant": (lambda p: np.dstack((p[..., :2], 0 * p[..., 2] + 0.1)), "are the headings left at zero"),
    "x and y swapped": (lambda p: p[..., [1, 0, 2]], "set off sideways: are x and y swapped?"),
    "x to the right, y ahead": (lambda p: p[..., [1, 0, 2]] * [-1, 1, 1], "set off sideways: are x and y swapped?"),
    "the whole frame turned": (lambda p: p[..., [1, 0, 2]] * [-1, 1, 1] + [0, 0, np.pi / 2], "set off sideways"),
    "y mirrored": (scaled(1, -1, 1), "have headings that turn the other way: is y mirrored"),
    "heading clockwise": (scaled(1, 1, -1), "have headings that turn the other way: is y mirrored"),
    "x mirrored": (scaled(-1, 1, 1), "fast plans (over 5 m/s) go backwards"),
    "the start as first pose": (started, "have their first pose at the start: it must be one interval after now"),
    "the first pose left out": (skipped, "have a first step about twice the second"),
    "nothing but zeros": (scaled(0, 0, 0), "all 60 plans are zeros"),
    "zeros of both signs": (lambda p: np.where(p[:, :1] > 3.0, -0.0, 0.0) * np.ones_like(p), "all 60 plans are zeros"),
    "one plan for all": (lambda p: np.repeat(p[:1] + 1e-3, 60, axis=0), "all 60 plans are the same"),
    "one plan for most": (lambda p: np.concatenate((p[:20], np.repeat(p[:1] + 1e-3, 40, axis=0))), "40 of 60 plans"),
}


@pytest.mark.parametrize("num_poses", SAMPLINGS)
@pytest.mark.parametrize("name", SLIPS)
def test_each_slip_is_named_and_no_other(name: str, num_poses: int) -> None:
    spoil, message = SLIPS[name]
    plans = driven(num_poses)
    assert check(plans) == ""
    text = check(spoil(plans).astype(np.float32))
    assert message in text
    assert len(text.splitlines()) == 1


def noisy(plans: Plans, metres: float) -> Plans:
    return plans + np.random.default_rng(1).normal(0.0, metres, plans.shape) * [1.0, 1.0, 0.2]


SETS: dict[str, Callable[[int], Plans]] = {
    "mixed": driven,
    "straight, of constant velocity": lambda n: arcs(n, np.linspace(0, 20, 40), np.zeros(40)),
    "straight and noisy": lambda n: noisy(arcs(n, np.linspace(0, 12, 200), np.zeros(200)), 0.1),
    "mixed and noisy": lambda n: noisy(driven(n, 200), 0.05),
    "left turns only": lambda n: arcs(n, np.linspace(3, 8, 20), np.linspace(0.02, 0.15, 20)),
    "right turns only": lambda n: arcs(n, np.linspace(3, 8, 20), -np.linspace(0.02, 0.15, 20)),
    "reversing": lambda n: arcs(n, -np.linspace(0.2, 3.0, 20), np.zeros(20)),
    "reversing round corners": lambda n: arcs(n, -np.linspace(0.5, 3.0, 20), np.linspace(-0.15, 0.15, 20)),
    "pulling off": lambda n: arcs(n, np.zeros(20), np.zeros(20), np.linspace(0.3, 4.0, 20)),
    "braking to a stop": lambda n: arcs(n, np.linspace(2, 16, 20), np.zeros(20), -np.linspace(2.0, 7.0, 20)),
    "standing, to a centimetre": lambda n: noisy(np.zeros((20, n, 3)), 0.01),
    "standing, to half a metre": lambda n: noisy(np.zeros((20, n, 3)), 0.3),
    "one that stands": lambda n: np.zeros((1, n, 3)),
    "mirrored as a whole": lambda n: driven(n) * [1, -1, -1],  # as plausible as the right set: nothing can tell
}


@pytest.mark.parametrize("num_poses", SAMPLINGS)
@pytest.mark.parametrize("name", SETS)
def test_nothing_is_said_of_correct_sets(name: str, num_poses: int) -> None:
    assert check(SETS[name](num_poses)) == ""


@pytest.mark.parametrize("num_poses", SAMPLINGS)
def test_nothing_is_said_of_any_one_correct_plan(num_poses: int) -> None:
    assert [check(plan[None]) for plan in driven(num_poses, 300, seed=2)] == [""] * 300


def test_a_few_odd_plans_among_many_are_no_slip_of_the_set() -> None:
    plans = driven(8)
    plans[:10] = turned(90)(plans[:10])
    assert check(plans) == ""


def test_plans_of_both_samplings_are_judged_together() -> None:
    plans = [*turned(90)(driven(8)), *turned(90)(driven(40))]
    (text,) = likely_slips(plans, [0.5] * 60 + [0.1] * 60)
    counted, of, total = text.split()[:3]
    assert (of, counted) == ("of", total)
    assert int(total) > 60


def test_motion_of_a_quarter_circle() -> None:
    """10 m/s round a quarter circle of 80 / pi m: 45° from half to half, nothing between headings and motion."""
    plan = arcs(8, np.array([10.0]), np.array([np.pi / 80]))
    motion = motion_of(plan, 0.5)
    assert motion.path_turn[0] == pytest.approx(np.pi / 4)
    assert motion.heading_turn[0] == pytest.approx(np.pi / 4)
    assert motion.offset[0] == pytest.approx(0.0, abs=1e-12)
    assert motion.first_direction[0] == pytest.approx(np.pi / 32)
    assert motion.first_ratio[0] == pytest.approx(1.0)
    assert motion.speed[0] == pytest.approx(10.0, rel=2e-3)  # chords are shorter than their arcs
    assert motion_of(plan + np.array((0.0, 0.0, 0.5)), 0.5).offset[0] == pytest.approx(0.5)


def test_short_plans_and_few_poses_do_not_fail() -> None:
    for num_poses, interval_s in ((1, 4.0), (2, 2.0), (4, 1.0), (400, 0.01)):
        times = np.arange(1, num_poses + 1) * interval_s
        plan = np.stack((8.0 * times, 0 * times, 0 * times), axis=-1)
        assert likely_slips([plan, 0.9 * plan], [interval_s] * 2) == []
