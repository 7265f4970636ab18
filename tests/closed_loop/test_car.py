"""The ego's car: the scorer's tracker and bicycle, plan after plan."""

from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.closed_loop.car import Car
from navsim_agents.scoring.axes import State
from navsim_agents.world.tracked import tracked_states

AHEAD = np.column_stack((2.5 * np.arange(1, 9), np.zeros(8), np.zeros(8)))  # 5 m/s


def car() -> Car:
    return Car(np.array([100.0, 50.0, np.pi / 2, 0.0, 5.0, 0.0]))


def test_straight_on_at_the_same_speed() -> None:
    driven = car()
    driven.follow(AHEAD)
    for _ in range(5):
        driven.move()
    assert driven.pose == pytest.approx([100.0, 52.5, np.pi / 2], abs=0.02)
    assert driven.speed == pytest.approx(5.0, abs=0.05)


def test_it_is_the_scorers_car() -> None:
    driven, bend = car(), np.column_stack((2.4 * np.arange(1, 9), 0.1 * np.arange(1, 9) ** 2, 0.08 * np.arange(1, 9)))
    start = driven.state.copy()
    start[:3] = 0.0
    expected = tracked_states(bend, start, driven.pose)
    driven.follow(bend)
    for step in range(1, 6):
        driven.move()
        assert driven.state == pytest.approx(expected[step])


def test_replanning_goes_on_from_steering_and_acceleration() -> None:
    driven = car()
    driven.follow(np.column_stack((2.4 * np.arange(1, 9), 0.1 * np.arange(1, 9) ** 2, 0.08 * np.arange(1, 9))))
    for _ in range(5):
        driven.move()
    before = driven.state.copy()
    assert abs(before[State.STEERING_ANGLE]) > 0.01
    driven.follow(AHEAD)
    driven.move()
    assert abs(driven.state[State.STEERING_ANGLE] - before[State.STEERING_ANGLE]) < 0.1
    assert np.hypot(*(driven.pose - before[:3])[:2]) == pytest.approx(0.1 * before[State.VELOCITY_X], rel=0.05)


def test_running_into_something_leaves_it_where_it_is() -> None:
    driven = car()
    driven.follow(AHEAD)
    driven.stop()
    pose = driven.pose
    driven.move()
    assert driven.speed == 0.0
    assert driven.pose == pytest.approx(pose)


def test_at_the_end_of_its_plan_it_stands() -> None:
    driven = car()
    driven.follow(AHEAD[:2])
    for _ in range(11):
        driven.move()
    assert driven.speed == 0.0


def test_the_middle_feels_the_turn() -> None:
    """5 m/s at a curvature of 0.1/m: 2.5 m/s² to the left, and 0.25 · 1.461 m/s² towards the axle."""
    turning = Car(np.array([0.0, 0.0, 0.0, 0.1, 5.0, 0.0]))
    assert turning.centre_acceleration == pytest.approx([-0.25 * 1.461, 2.5])
