"""How reactive traffic is compared, without a devkit: boxes, tracks, and who is asked how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from navsim_agents.devkit.traffic_parity import KeptTraffic, TrafficParity, box_distance
from navsim_agents.scoring.traffic.reactive import Traffic


def traffic(poses: np.ndarray, valid: np.ndarray) -> Traffic:
    """Two tracks, a and b; of their steps the first two matter."""
    both, nought = ("a", "b"), np.zeros(2)
    return Traffic(
        token=both,
        type=both,
        is_agent=nought > -1.0,
        size=np.ones((2, 2)),
        speed=nought,
        heading=nought,
        poses=poses,
        valid=valid,
    )


def test_the_largest_difference_of_any_box() -> None:
    poses = np.zeros((2, 41, 3))
    poses[1, 1] = 3.0, -2.0, np.pi - 0.01
    wanted = [{"a": np.zeros(3), "b": np.zeros(3)}, {"a": np.zeros(3), "b": np.array([3.0, -2.25, -np.pi + 0.01])}]
    worst, misses = box_distance(traffic(poses, np.ones((2, 41), dtype=bool)), wanted)
    assert worst == pytest.approx(0.25)
    assert misses == 0
    wanted[1]["b"] = np.array([3.0, -2.0, -np.pi + 0.01])  # a heading beyond the seam
    assert box_distance(traffic(poses, np.ones((2, 41), dtype=bool)), wanted)[0] == pytest.approx(0.02)


def test_steps_with_other_tracks_are_counted() -> None:
    valid = np.ones((2, 41), dtype=bool)
    valid[1, 1] = False
    wanted = [{"a": np.zeros(3)}, {"a": np.zeros(3)}]
    assert box_distance(traffic(np.zeros((2, 41, 3)), valid), wanted) == (0.0, 1)


class Policy:
    """Says how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def simulate_environment(self, states: np.ndarray, metric_cache: Any) -> list[Any]:
        self.asked += 1
        center = SimpleNamespace(serialize=lambda: [float(states[0, 0]) + 10.0, 5.0, 0.0])
        return [SimpleNamespace(tracked_objects=[SimpleNamespace(track_token="a", center=center)])]


def test_equal_egos_are_simulated_once_and_all_answers_stay_in_order() -> None:
    policy = Policy()
    kept = KeptTraffic(policy)
    for x in (1.0, 2.0, 1.0):
        kept.simulate_environment(np.full((2, 2), x), None)
    assert policy.asked == 2
    assert [boxes[0]["a"].tolist() for boxes in kept.boxes(np.array([10.0, 5.0, 0.0]))] == [
        [1.0, 0.0, 0.0],
        [2.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
    ]


@pytest.mark.parametrize(
    "found",
    [
        TrafficParity(box_distance=2e-6),
        TrafficParity(score_distance=2e-6),
        TrafficParity(filtered_distance=2e-6),
        TrafficParity(other_tracks=1),
        TrafficParity(mismatches=["plan 3: boxes 2.0e-06"]),
    ],
)
def test_anything_beyond_the_tolerance_differs(found: TrafficParity) -> None:
    assert not found.is_equal(1e-6)
    assert TrafficParity(box_distance=9e-7).is_equal(1e-6)
