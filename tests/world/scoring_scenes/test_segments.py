"""The lane that a vehicle is on and the path along it, by hand: figures relative to the small town's origin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from navsim_agents.world.scoring_scenes.segments import Segment, Segments, best_aligned
from tests.world.small_town import ORIGIN, small_town


def along(*points, limit=13.0):
    """A lane whose centreline runs through ``points``."""
    line = np.array(points, dtype=float)
    return replace(
        small_town().lanes["12"],
        centerline=np.column_stack((line, np.zeros(len(line)))),
        left_boundary=line,
        right_boundary=line,
        speed_limit_mps=limit,
    )


def tokens_around(x, y, town=None):
    town = small_town() if town is None else town
    found = Segments(town).around(ORIGIN + np.array([x, y]))
    if found is None:
        return None
    paths = {token: Segment.of(lane).path for token, lane in town.lanes.items()}
    return [token for segment in found for token, path in paths.items() if np.array_equal(path, segment.path)]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (30.0, 3.0, ["11"]),
        (30.0, 0.0, ["12"]),
        (30.0, 1.75, None),  # on the border of two lanes it is in neither
        (70.0, 0.0, ["22"]),  # a connector, in an intersection
        (70.0, 9.0, []),  # in an intersection, on no connector
        (70.0, 14.0, None),
        (60.0, 0.0, None),  # where the lane ends and the intersection begins
    ],
)
def test_lanes_come_first_then_connectors_of_an_intersection(x, y, expected):
    assert tokens_around(x, y) == expected


def test_a_lane_in_an_intersection_hides_the_connectors_and_all_come_by_number():
    town = small_town()
    further, lane = np.array([40.0, 0.0]), town.lanes["12"]
    borders = {"left_boundary": lane.left_boundary + further, "right_boundary": lane.right_boundary + further}
    reaching = replace(lane, lane_id="9", speed_limit_mps=5.0, **borders)
    lanes = {"9": reaching, **town.lanes}
    segments = Segments(replace(town, lanes=dict(reversed(list(lanes.items())))))

    def limits(x):
        return [segment.limit_mps for segment in segments.around(ORIGIN + np.array([x, 0.0]))]

    assert limits(70.0) == [5.0]
    assert limits(50.0) == [5.0, 13.0]  # 9 before 12, as numbers


def test_a_path_loses_its_last_point_and_those_that_repeat():
    path = Segment.of(along((0, 0), (0.5, 0), (0.5, 0), (0.5, 0.5), (0.5, 1.0)))
    np.testing.assert_allclose(path.path, [[0, 0, 0], [0.5, 0, np.pi / 2], [0.5, 0.5, np.pi / 2]], atol=1e-15)
    assert path.progress.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("point", "pose", "progress", "aside"),
    [
        ((0.2, -2.0), (0.2, 0.0, 0.0), 0.2, 2.0),
        ((0.75, 0.1), (0.75, 0.0, np.pi / 4), 0.75, 0.1),  # the chord cuts the corner
        ((-3.0, 4.0), (0.0, 0.0, 0.0), 0.0, 5.0),  # before its beginning
        ((1.0, 2.0), (1.0, 1.0, np.pi / 2), 2.0, 1.0),  # beyond its end: the chord behind
        ((1.5, 0.8), (1.0, 0.8, np.pi / 2), 1.8, 0.5),  # a chord shorter than half a metre
    ],
)
def test_nearest_place_by_hand(point, pose, progress, aside):
    spot = Segment.of(along((0, 0), (1, 0), (1, 1))).spot(np.array(point))
    np.testing.assert_allclose(spot.pose, pose, atol=1e-12)
    assert (spot.progress, spot.aside_m) == pytest.approx((progress, aside))


def test_headings_are_compared_as_numbers():
    """A vehicle that looks to the west, a little to the south, is nearer to the path to the east than to its own."""
    east, west = Segment.of(along((-5, 0), (5, 0))), Segment.of(along((5, 0.5), (-5, 1.5)))
    assert west.path[0, 2] == pytest.approx(np.pi - np.arctan(0.1))
    for heading, expected in ((-np.pi + 0.05, east), (np.pi - 0.05, west), (1.5, east), (1.6, west)):
        segment, _ = best_aligned((west, east), np.array([0.0, 0.0, heading]))
        assert segment is expected, heading
    assert best_aligned((), np.zeros(3)) is None


def test_of_equals_the_first_counts():
    one, other = Segment.of(along((-5, 0), (5, 0), limit=1.0)), Segment.of(along((-5, 0), (5, 0), limit=2.0))
    for order in ((one, other), (other, one)):
        assert best_aligned(order, np.array([0.0, 0.0, 0.3]))[0] is order[0]
