"""A route as a driving command."""

from __future__ import annotations

from typing import Optional

import numpy as np
import pytest

from navsim_agents.alpasim.route import LEFT, RIGHT, STRAIGHT, UNKNOWN, driving_command, one_hot

NAN = float("nan")


@pytest.mark.parametrize(
    ("points", "command"),
    [
        ([(0.0, 0.0), (4.0, 3.5), (9.0, 9.0)], LEFT),  # the second is 5.3 m away
        ([(0.0, 0.0), (4.0, 2.9), (9.0, 0.0)], STRAIGHT),  # only 4.9 m
        ([(6.0, 2.0)], STRAIGHT),
        ([(6.0, 2.01)], LEFT),
        ([(6.0, -2.01), (9.0, 5.0)], RIGHT),
        ([(NAN, NAN), (6.0, NAN), (8.0, -3.0)], RIGHT),
        ([(-6.0, 4.0), (7.0, 0.0)], STRAIGHT),  # what lies behind is driven already
        ([(1.0, 0.0)], STRAIGHT),  # the route ends
        ([(NAN, NAN)] * 3, UNKNOWN),
        ([], UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_by_hand(points: Optional[list[tuple[float, float]]], command: int) -> None:
    assert driving_command(None if points is None else np.array(points).reshape(-1, 2)) == command


def test_of_the_nuplan_track() -> None:
    """Case 15: 20 points over 80 m, 4.2105 m apart, of which 10 are told: those from 42.105 m on."""
    along = np.linspace(0.0, 80.0, 20)
    assert along[1] == pytest.approx(4.2105, abs=1e-4)
    points = np.full((20, 2), NAN)
    points[:10] = np.stack((along[along >= 40.0], 0.002 * along[along >= 40.0] ** 2), axis=1)
    assert points[0, 0] == pytest.approx(42.105, abs=1e-3)
    assert np.isfinite(points).all(axis=1).sum() == 10
    assert driving_command(points) == LEFT  # 3.5 m aside at 42 m
    assert driving_command(np.roll(points, 10, axis=0)) == LEFT
    assert driving_command(points * [1.0, 0.5]) == STRAIGHT


def test_one_hot() -> None:
    np.testing.assert_array_equal(one_hot(RIGHT), [0, 0, 1, 0])
