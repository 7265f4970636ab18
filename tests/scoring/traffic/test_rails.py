"""Paths, strips and footprints, worked by hand and beside shapely."""

from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.scoring.traffic.rails import Rail, box_polygon, footprint, strip
from tests.scoring.traffic.roads import way

ROAD = Rail.of(way(10.0, 2.0, 20.0, 2.0, points=3), np.array([0.0, 5.0, 10.0]))


def test_poses_are_interpolated_and_headings_take_the_short_way():
    bend = Rail.of(np.array([[0.0, 0.0, 3.0], [4.0, 0.0, -3.0]]), np.array([0.0, 4.0]))
    np.testing.assert_allclose(bend.pose_at(1.0), [1.0, 0.0, 3.0 + (2 * np.pi - 6.0) / 4.0], atol=1e-12)
    np.testing.assert_allclose(bend.pose_at(3.0), [3.0, 0.0, -3.0 - (2 * np.pi - 6.0) / 4.0], atol=1e-12)


def test_progress_is_kept_on_the_path():
    assert [ROAD.clamp(progress) for progress in (-1.0, 3.0, 11.0)] == [0.0, 3.0, 10.0]


def test_the_way_ahead_begins_where_the_vehicle_is():
    assert ROAD.line_from(2.0).tolist() == [[12.0, 2.0], [15.0, 2.0], [20.0, 2.0]]
    assert ROAD.line_from(5.0).tolist() == [[15.0, 2.0], [20.0, 2.0]]  # its own point is not there twice


def test_at_the_end_the_way_ahead_is_the_last_piece_of_the_path():
    assert ROAD.line_from(10.0).tolist() == [[15.0, 2.0], [20.0, 2.0]]


def test_a_stretch_is_cut_from_the_path():
    assert ROAD.line_between(2.0, 8.0).tolist() == [[12.0, 2.0], [15.0, 2.0], [18.0, 2.0]]
    assert ROAD.line_between(1.0, 2.0).tolist() == [[11.0, 2.0], [12.0, 2.0]]


def test_a_stretch_off_the_path_is_its_last_or_first_piece():
    assert ROAD.line_between(10.0, 10.0).tolist() == [[15.0, 2.0], [20.0, 2.0]]
    assert ROAD.line_between(0.0, 0.0).tolist() == [[10.0, 2.0], [15.0, 2.0]]


def test_strips_end_straight():
    assert strip(ROAD.line_from(0.0), 4.0).bounds == (10.0, 0.0, 20.0, 4.0)


def test_a_box_begins_front_left():
    corners = list(box_polygon(np.array([1.0, 2.0, np.pi / 2]), 4.0, 2.0).exterior.coords)[:4]
    np.testing.assert_allclose(corners, [(0.0, 4.0), (0.0, 0.0), (2.0, 0.0), (2.0, 4.0)], atol=1e-12)


def test_a_footprint_reaches_ahead_by_the_headway_and_stays_on_the_path():
    assert footprint(ROAD, 3.0, 2.0, 4.0, 2.0).bounds == pytest.approx((11.0, 1.0, 17.0, 3.0))
    assert footprint(ROAD, 3.0, 50.0, 4.0, 2.0).bounds == pytest.approx((11.0, 1.0, 20.0, 3.0))


def test_a_footprint_holds_the_box_beyond_the_end_of_the_path():
    assert footprint(ROAD, 10.0, 0.0, 4.0, 2.0).bounds == pytest.approx((18.0, 1.0, 22.0, 3.0))
    assert footprint(ROAD, 13.0, 0.0, 4.0, 2.0).bounds == pytest.approx((15.0, 1.0, 22.0, 3.0))  # its last piece
