"""Motion in CARLA's frames, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.bench2drive.smoothness import smoothness_as_defined, smoothness_as_scripted
from navsim_agents.closed_loop.places import place, tick_infos


def test_left_is_negative_there() -> None:
    """Heading 90° (north), 2 m/s² to the west, turning left at 0.5 rad/s."""
    ticks = tick_infos(
        [np.array([10.0, 20.0, np.pi / 2, -2.0, 0.0, 0.5]), np.array([10.0, 21.0, np.pi / 2, 0.0, 0.0, 0.5])]
    )
    assert list(ticks) == [0, 1, 2]
    assert ticks[0].location == (10.0, -20.0, 0.0)
    assert ticks[1].location == (10.0, -20.5, 0.0)
    assert ticks[0].forward_vector == pytest.approx((0.0, -1.0, 0.0))
    assert ticks[0].right_vector == pytest.approx((1.0, 0.0, 0.0))
    assert ticks[0].acceleration == (-2.0, 0.0, 0.0)
    assert ticks[1].acceleration == (-1.0, 0.0, 0.0)
    assert np.dot(ticks[0].acceleration, ticks[0].right_vector) == pytest.approx(-2.0)  # to the left
    assert ticks[0].angular_velocity == pytest.approx((0.0, 0.0, -28.64789))
    assert ticks[0].rotation == pytest.approx((0.0, 0.0, -90.0))


def test_headings_do_not_turn_round_between_steps() -> None:
    ticks = tick_infos([np.array([0, 0, 3.1, 0, 0, 0.0]), np.array([0, 0, -3.1, 0, 0, 0.0])])
    assert abs(ticks[1].rotation[2]) == pytest.approx(180.0, abs=0.01)


def test_one_degree_a_second_is_rough_for_the_script_alone() -> None:
    motions = [np.array([step, 0.0, 0.0, 0.0, 0.0, np.deg2rad(1.2)]) for step in range(60)]
    ticks = list(tick_infos(motions).values())
    assert smoothness_as_scripted(ticks) == 0.0
    assert smoothness_as_defined(ticks) == 1.0


def test_places_are_said_in_the_other_hand() -> None:
    assert place(np.array([1.0, 2.0])) == "(x=1.000, y=-2.000, z=0.0)"
