from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.world.curves import (
    arc_lengths,
    connect_poses,
    cut_curve,
    offset_curve,
    resample_curve,
    reverse_curve,
)


def test_quarter_turn_is_nearly_a_circle():
    curve = connect_poses(np.array([0.0, 0.0, 0.0]), np.array([10.0, 10.0, np.pi / 2]), 0.5, 0.5523)
    radius = np.hypot(curve[:, 0], curve[:, 1] - 10.0)
    assert np.abs(radius - 10.0).max() < 0.01
    assert arc_lengths(curve)[-1] == pytest.approx(5.0 * np.pi, abs=0.02)


@pytest.mark.parametrize("roundness", [None, 0.4])
def test_connection_starts_and_ends_at_its_poses(roundness):
    start, end = np.array([3.0, -1.0, 0.3]), np.array([20.0, 14.0, 1.2])
    curve = connect_poses(start, end, 0.5, roundness)
    assert np.allclose(curve[[0, -1]], [start, end])
    tangent = np.arctan2(*np.diff(curve[:, :2], axis=0).T[::-1])
    assert np.abs(tangent - (curve[1:, 2] + curve[:-1, 2]) / 2).max() < 0.01
    assert np.abs(np.diff(arc_lengths(curve)) - 0.5).max() < 0.02


def test_offset_of_a_circle_is_a_circle():
    angle = np.linspace(0.0, np.pi, 50)
    circle = np.column_stack((20 * np.cos(angle), 20 * np.sin(angle), angle + np.pi / 2))
    assert np.allclose(np.hypot(*offset_curve(circle, 3.0).T), 17.0)
    assert np.allclose(np.hypot(*offset_curve(reverse_curve(circle), 3.0).T), 23.0)


def test_cut_and_resample_keep_the_ends():
    line = np.column_stack((np.linspace(0, 10, 41), np.zeros(41), np.zeros(41)))
    part = cut_curve(line, 2.1, 7.3)
    assert part[0, 0] == pytest.approx(2.1)
    assert part[-1, 0] == pytest.approx(7.3)
    assert np.allclose(resample_curve(line, 3.0)[:, 0], [0, 10 / 3, 20 / 3, 10])
