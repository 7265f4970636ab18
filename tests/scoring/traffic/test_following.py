"""The driver model, worked by hand."""

from __future__ import annotations

import math

import pytest

from navsim_agents.scoring.traffic.following import Ahead, acceleration, advance
from navsim_agents.scoring.traffic.roles import TRAFFIC

OPEN_ROAD = Ahead(gap=1e9, speed=0.0)


def test_a_free_vehicle_speeds_up_less_the_nearer_it_is_to_its_wish():
    assert acceleration(0.0, 10.0, OPEN_ROAD, TRAFFIC) == pytest.approx(1.0)
    assert acceleration(5.0, 10.0, OPEN_ROAD, TRAFFIC) == pytest.approx(1.0 - 0.5**4)
    assert acceleration(10.0, 10.0, OPEN_ROAD, TRAFFIC) == pytest.approx(0.0)


def test_behind_a_leader_of_its_own_speed_it_wants_gap_and_headway():
    wanted_gap = 1.0 + 4.0 * 1.5
    for gap in (7.0, 20.0):
        found = acceleration(4.0, 10.0, Ahead(gap, 4.0), TRAFFIC)
        assert found == pytest.approx(1.0 - 0.4**4 - (wanted_gap / gap) ** 2)


def test_closing_in_widens_the_wanted_gap_by_the_root_of_both_accelerations():
    wanted_gap = 1.0 + 4.0 * 1.5 + 4.0 * 3.0 / (2.0 * math.sqrt(2.0))
    assert acceleration(4.0, 10.0, Ahead(50.0, 1.0), TRAFFIC) == pytest.approx(1 - 0.4**4 - (wanted_gap / 50.0) ** 2)


def test_a_leader_that_is_much_faster_brakes_its_follower():
    """The wanted gap is negative, and squared all the same."""
    assert 1.0 + 8.0 * 1.5 + 8.0 * (8.0 - 30.0) / (2.0 * math.sqrt(2.0)) < -40.0
    assert acceleration(8.0, 10.0, Ahead(20.0, 30.0), TRAFFIC) == -2.0


def test_braking_and_speeding_up_are_bounded():
    assert acceleration(9.0, 10.0, Ahead(1.5, 0.0), TRAFFIC) == -2.0
    assert acceleration(30.0, 10.0, OPEN_ROAD, TRAFFIC) == -2.0  # far above its wish


def test_a_gap_below_one_metre_counts_as_one():
    for gap in (-5.0, 0.0, 1.0):
        assert acceleration(0.0, 10.0, Ahead(gap, 0.0), TRAFFIC) == pytest.approx(0.0)
        assert acceleration(0.2, 10.0, Ahead(gap, 0.2), TRAFFIC) == pytest.approx(1.0 - 0.02**4 - 1.3**2)


def test_the_way_is_driven_at_the_old_speed_and_nobody_reverses():
    assert advance(3.0, 5.0, 10.0, OPEN_ROAD, TRAFFIC) == pytest.approx((3.5, 5.0 + 0.1 * (1 - 0.5**4)))
    assert advance(3.0, 0.1, 10.0, Ahead(0.0, -20.0), TRAFFIC) == pytest.approx((3.01, 0.0))
