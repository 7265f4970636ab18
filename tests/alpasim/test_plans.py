"""A planner's poses every 0.1 s in the local frame."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from navsim_agents.alpasim.faults import DriverFault
from navsim_agents.alpasim.plans import hang, knots_of, refuse_beyond
from navsim_agents.alpasim.rigid import from_planar
from navsim_agents.data.types import Trajectory

ORIGIN = from_planar(np.zeros(3))
STRAIGHT = Trajectory(np.stack((5.0 * np.arange(1.0, 9.0), np.zeros(8), np.zeros(8)), axis=1))  # 10 m/s


def test_every_tenth_of_a_second_up_to_the_end() -> None:
    plan = hang(STRAIGHT, 7_000_000, ORIGIN, 7_000_000, ORIGIN)
    np.testing.assert_array_equal(plan.stamps_us, 7_000_000 + 100_000 * np.arange(41))
    np.testing.assert_allclose([pose.planar for pose in plan.poses], np.outer(np.arange(41), [1.0, 0.0, 0.0]))


def test_hung_on_a_turned_pose() -> None:
    """Case 13's anchor; half of the way to (5, 0.2)."""
    anchor = from_planar(np.array([100.0, 50.0, np.pi / 2]))
    plan = hang(Trajectory(np.array([[5.0, 0.2, 0.5]])), 0, anchor, 0, anchor)
    assert plan.stamps_us == [0, 100_000, 200_000, 300_000, 400_000, 500_000]
    np.testing.assert_allclose(plan.poses[5].planar, [99.8, 55.0, np.pi / 2 + 0.5])
    np.testing.assert_allclose(plan.poses[1].planar, [99.96, 51.0, np.pi / 2 + 0.1])


def test_what_is_planned_from_older_pictures_stays_where_it_was_planned() -> None:
    """Pictures of 0.25 s ago: the plan is 10 m/s along x from there; the ego has been slower, and is at 1 m."""
    plan = hang(STRAIGHT, 0, ORIGIN, 250_000, from_planar(np.array([1.0, 0.0, 0.0])))
    np.testing.assert_array_equal(plan.stamps_us, 250_000 + 100_000 * np.arange(38))
    np.testing.assert_allclose([pose.planar[0] for pose in plan.poses[:3]], [1.0, 3.5, 4.5])
    assert plan.stamps_us[-1] <= 4_000_000


def test_headings_turn_the_short_way() -> None:
    """From 3.1 to -3.1 over the half turn, not back through zero."""
    plan = hang(Trajectory(np.array([[0.0, 1.0, 3.1], [0.0, 2.0, -3.1]])), 0, ORIGIN, 0, ORIGIN)
    assert min(abs(pose.planar[2]) for pose in plan.poses[5:]) > 3.09


def test_the_devkits_trajectories_say_their_interval() -> None:
    sampled = SimpleNamespace(poses=np.ones((4, 3)), trajectory_sampling=SimpleNamespace(interval_length=0.25))
    np.testing.assert_allclose(knots_of(sampled)[1], [0, 250_000, 500_000, 750_000, 1_000_000])
    np.testing.assert_allclose(knots_of(Trajectory(np.ones((2, 3)), 0.1))[1], [0, 100_000, 200_000])


@pytest.mark.parametrize(
    "poses", [np.zeros((0, 3)), np.full((8, 3), np.nan), np.zeros(3), np.ones((8, 2)), np.ones((8, 4))]
)
def test_no_plan_is_no_answer(poses: np.ndarray) -> None:
    with pytest.raises(DriverFault, match=r"the agent planned .* finite poses") as caught:
        knots_of(SimpleNamespace(poses=poses))
    assert caught.value.code == "INTERNAL"


def test_a_plan_reaches_past_the_time_that_is_asked_for() -> None:
    plan = hang(STRAIGHT, 0, ORIGIN, 0, ORIGIN)
    refuse_beyond(plan, 3_900_000)
    with pytest.raises(DriverFault, match=r"time_query_us is 4000000, but .* less than 4 s ahead") as caught:
        refuse_beyond(plan, 4_000_000)
    assert caught.value.code == "INVALID_ARGUMENT"
