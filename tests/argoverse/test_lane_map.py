"""Lanes from their boundaries: centre lines and widths against curves worked out by hand, neighbours, broken maps."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import shapely

from navsim_agents.argoverse.lane_map import centre_line, read_lane_map, ring_area, walk_along
from navsim_agents.errors import InputError
from tests.argoverse.sensor_logs import ACROSS, AHEAD, BESIDE, BESIDE_TURN, BIKE, NORTH, ONCOMING, TURN, WIDTH


def arc(radius, angles):
    return radius * np.stack((np.cos(angles), np.sin(angles)), axis=1)


def along(line, shares):
    """Places on a polyline by shapely."""
    made = shapely.LineString(line)
    return np.array([made.interpolate(share, normalized=True).coords[0] for share in shares])


def test_a_quarter_circle_has_the_circle_between_its_boundaries():
    angles = np.linspace(0.0, np.pi / 2, 721)
    found = centre_line(arc(38.0, angles), arc(42.0, angles))
    assert len(found) == 1 + int(np.ceil(42.0 * np.pi / 2 / 0.5))
    np.testing.assert_allclose(np.hypot(*found.T), 40.0, atol=1e-3)
    assert shapely.LineString(found).length == pytest.approx(40.0 * np.pi / 2, rel=1e-4)
    np.testing.assert_allclose(found[[0, -1]], [[40.0, 0.0], [0.0, 40.0]], atol=1e-9)


def test_a_corner_of_a_long_lane_is_not_cut():
    """300 m east, then 300 m north: ten points would pass the corner 18 m inside."""
    left = np.array([[0.0, 2.0], [298.0, 2.0], [298.0, 300.0]])
    right = np.array([[0.0, -2.0], [302.0, -2.0], [302.0, 300.0]])
    truth = shapely.LineString([[0.0, 0.0], [300.0, 0.0], [300.0, 300.0]])
    found = centre_line(left, right)
    assert max(truth.distance(shapely.Point(point)) for point in found) < 0.05
    assert shapely.LineString(found).distance(shapely.Point(300.0, 0.0)) < 0.5
    ten = (along(left, np.linspace(0, 1, 10)) + along(right, np.linspace(0, 1, 10))) / 2
    assert shapely.LineString(ten).distance(shapely.Point(300.0, 0.0)) > 15.0


@pytest.mark.parametrize("points", [[[0, 0], [3, 0], [3, 4]], [[-9, 2], [5, 5]], [[0, 0], [1, 0], [1, 0], [9, 9]]])
def test_walking_along_is_shapelys(points):
    points, shares = np.array(points, dtype=float), np.linspace(0.0, 1.0, 13)
    np.testing.assert_allclose(walk_along(points, shares), along(points, shares), atol=1e-12)


def test_points_are_as_many_wherever_the_lane_lies():
    """A length of 20 m that rounding makes a little longer or shorter still gets 41 points."""
    for turn in np.linspace(0.0, 7.0, 50):
        ahead = np.array([np.cos(turn), np.sin(turn)])
        start, aside = np.array([1e5, -7e4]), 2.0 * np.array([-ahead[1], ahead[0]])
        line = np.stack((start, start + 20.0 * ahead))
        assert len(centre_line(line + aside, line - aside)) == 41


def test_area_by_shoelace_is_shapelys():
    ring = np.array([[0.0, 0.0], [4.0, 1.0], [5.0, 7.0], [-2.0, 3.0], [0.0, 0.0]]) + 1e5
    assert ring_area(ring) == pytest.approx(shapely.Polygon(ring).area, abs=1e-6)
    assert ring_area(ring[::-1]) == pytest.approx(shapely.Polygon(ring).area, abs=1e-6)


def test_a_map_has_the_lanes_that_cars_drive_on(log):
    lanes = log.lane_map.lanes
    assert log.lane_map.city == "PIT"
    assert str(BIKE) not in lanes
    assert len(lanes) == 9
    assert lanes[str(TURN)].is_intersection
    assert not lanes[str(NORTH)].is_intersection
    assert log.lane_map.successors(str(AHEAD)) == [str(TURN), str(ACROSS)]
    assert log.lane_map.successors(str(BESIDE_TURN)) == []  # it leads out of the map
    assert lanes[str(AHEAD)].length_m == pytest.approx(80.0)
    assert lanes[str(TURN)].length_m == pytest.approx(12.0 * np.pi / 2, rel=1e-3)


def test_beside_each_other_are_those_that_are_driven_the_same_way(log):
    both = {str(AHEAD), str(BESIDE)}
    assert log.lane_map.block(str(AHEAD)) == log.lane_map.block(str(BESIDE)) == both  # the map says it of one alone
    assert log.lane_map.block(str(ONCOMING)) == {str(ONCOMING)}


def test_a_lane_is_as_wide_as_its_boundaries_are_apart(log):
    for lane in log.lane_map.lanes.values():
        assert shapely.Polygon(lane.ring).area / lane.length_m == pytest.approx(WIDTH, rel=2e-3)
        across = [shapely.LineString(side).distance(shapely.Point(*lane.centre[5])) for side in (lane.left, lane.right)]
        np.testing.assert_allclose(across, WIDTH / 2, rtol=2e-3)


def change(folder, tmp_path, edit):
    copy = tmp_path / "map"
    shutil.copytree(folder / "map", copy)
    (path,) = copy.glob("log_map_archive_*.json")
    archive = json.loads(path.read_text())
    edit(archive)
    path.write_text(json.dumps(archive))
    return copy


def nan_point(archive):
    archive["lane_segments"][str(AHEAD)]["left_lane_boundary"][0]["x"] = float("nan")


def no_lanes(archive):
    archive["lane_segments"] = {str(BIKE): archive["lane_segments"][str(BIKE)]}


def one_point(archive):
    archive["lane_segments"][str(AHEAD)]["right_lane_boundary"][1:] = []


def no_flag(archive):
    del archive["lane_segments"][str(TURN)]["is_intersection"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (nan_point, "not finite"),
        (no_lanes, "no lane that cars drive on"),
        (one_point, "a line of 1 points"),
        (no_flag, "no 'is_intersection'"),
        (lambda archive: archive.pop("drivable_areas"), "no 'drivable_areas'"),
    ],
)
def test_a_broken_map_is_told(edit, words, folder, tmp_path):
    with pytest.raises(InputError, match=f"log_map_archive_.*{words}.*download this log again"):
        read_lane_map(change(folder, tmp_path, edit))


def test_no_map_and_two_maps_are_told(folder, tmp_path):
    with pytest.raises(InputError, match="holds 0 files"):
        read_lane_map(tmp_path / "none")
    copy = change(folder, tmp_path, lambda archive: None)
    (copy / "log_map_archive_other____MIA_city_1.json").write_text("{}")
    with pytest.raises(InputError, match="holds 2 files"):
        read_lane_map(copy)


def test_a_lane_without_area_is_left_out(folder, tmp_path):
    def flatten(archive):
        lane = archive["lane_segments"][str(NORTH)]
        lane["left_lane_boundary"] = lane["right_lane_boundary"]

    assert str(NORTH) not in read_lane_map(change(folder, tmp_path, flatten)).lanes
