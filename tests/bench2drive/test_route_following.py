"""The route's thinning, what comes next, and a slow and obvious loop for it."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from navsim_agents.bench2drive.frames import target_in_ego
from navsim_agents.bench2drive.route_following import RouteFollower, thinned
from navsim_agents.common.poses import points_to_local
from navsim_agents.errors import InputError

LINE = np.stack((np.arange(120.0), np.zeros(120)), axis=1)


def test_the_leaderboards_thinning() -> None:
    """Case 12."""
    assert thinned(LINE, [4] * 60 + [1] * 60) == [0, 52, 60, 112, 119]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ([4] * 3 + [5] * 3 + [4] * 3, [0, 3, 4, 5, 8]),  # each of a lane change; leaving one is no change
        ([4] * 3 + [3] * 3, [0, 3, 5]),
        ([4] * 2, [0, 1]),
        ([4], [0]),
    ],
)
def test_lane_changes_are_kept_whole(options: list[int], kept: list[int]) -> None:
    assert thinned(LINE[: len(options)], options) == kept


def test_the_point_after_the_last_that_is_passed() -> None:
    places = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0], [30.0, 5.0]])
    follower = RouteFollower(places, [4, 1, 3, -1])
    aims = [follower.step(np.array([x, y])) for x, y in [(0.0, 0.0), (6.1, 0.5), (17.0, 0.0), (29.0, -5.0)]]
    assert [aim.place.tolist() for aim in aims] == [[10.0, 0.0], [20.0, 0.0], [30.0, -5.0], [30.0, -5.0]]
    assert [aim.command for aim in aims] == [0, 2, 3, 3]  # left, straight, and -1 is to follow the lane
    assert follower.first_heading == 0.0


def test_target_in_the_cars_frame() -> None:
    """Cases 2 and 2b: car at (100, 50) with yaw 30, target (120, 70); its GNSS lies 1.4 m behind."""
    origin = np.array([100.0, -50.0, -np.pi / 6])
    follower = RouteFollower(np.array([[90.0, 40.0], [120.0, 70.0]]), [4, 4])
    aim = follower.step(origin[:2])
    assert points_to_local(aim.place, origin) == pytest.approx(np.array([27.3205, -7.3205]), abs=1e-4)
    behind = np.array([100.0 - 1.4 * np.cos(np.pi / 6), -50.0 + 1.4 * np.sin(np.pi / 6), -np.pi / 6])
    assert points_to_local(aim.place, behind) == pytest.approx(np.array([28.7205, -7.3205]), abs=1e-4)
    assert target_in_ego(np.array([120.0, 70.0]), behind) == pytest.approx(np.array([28.7205, -7.3205]), abs=1e-4)


def slowly(places: np.ndarray, track: np.ndarray) -> list[list[float]]:
    """The same by popping points from a queue, one after the other."""
    queue, found = deque(places.tolist()), []
    for place in track:
        passed, farthest, way = 0, -1.0, 0.0
        for at in range(1, len(queue)):
            if way > 50.0:
                break
            way += float(np.hypot(*np.subtract(queue[at], queue[at - 1])))
            away = float(np.hypot(*np.subtract(queue[at], place)))
            if away <= 4.0 and away > farthest:
                passed, farthest = at, away
        for _ in range(passed):
            if len(queue) > 2:
                queue.popleft()
        found.append(queue[1])
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_same_as_a_slow_loop(seed: int) -> None:
    """Routes that wind and cross themselves, cars that cut corners."""
    rng = np.random.default_rng(seed)
    places = np.cumsum(rng.normal(0.0, [2.0, 5.0, 12.0, 30.0, 3.0][seed], (60, 2)), axis=0)
    track = np.repeat(places, 4, axis=0) + rng.normal(0.0, 3.0, (240, 2))
    follower = RouteFollower(places * (1.0, -1.0), [4] * 60)
    assert [follower.step(place).place.tolist() for place in track] == slowly(places, track)


def test_routes_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="two"):
        RouteFollower(np.zeros((1, 2)), [4])
    with pytest.raises(InputError, match="3 commands"):
        RouteFollower(np.zeros((2, 2)), [4, 4, 4])
