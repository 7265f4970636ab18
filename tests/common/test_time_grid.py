"""Moments at an even pace against a slow and obvious search."""

from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.common.time_grid import nearest_to_grid


def by_search(times, interval, tolerance):
    found, step = [], 0
    while times[0] + step * interval <= times[-1] + tolerance:
        apart = np.abs(times - (times[0] + step * interval))
        if apart.min() <= tolerance:
            found.append(int(apart.argmin()))
        step += 1
    return sorted(set(found))


@pytest.mark.parametrize("seed", range(6))
def test_as_a_search_finds_them(seed):
    draw = np.random.default_rng(seed)
    times = 7.0 + np.cumsum(draw.uniform(0.03, 0.18, 90))
    for interval, tolerance in ((0.5, 0.05), (0.5, 0.25), (0.1, 0.02), (1.3, 0.65)):
        assert nearest_to_grid(times, interval, tolerance).tolist() == by_search(times, interval, tolerance)


def test_few_times():
    assert nearest_to_grid(np.zeros(0), 0.5, 0.1).tolist() == []
    assert nearest_to_grid(np.array([3.0]), 0.5, 0.1).tolist() == [0]
    assert nearest_to_grid(np.array([3.0, 3.2]), 0.5, 0.1).tolist() == [0]
    assert nearest_to_grid(np.array([3.0, 9.0]), 0.5, 0.1).tolist() == [0, 1]
