from __future__ import annotations

import re

import numpy as np
import pytest
from shapely.geometry import LineString, MultiPolygon, Polygon
from shapely.ops import unary_union

from navsim_agents.errors import InputError
from navsim_agents.poses import wrap_angle
from navsim_agents.world import junctions
from navsim_agents.world.roads import SHOULDER_M
from navsim_agents.world.town_styles import TOWN_LOCATIONS
from navsim_agents.world.towns import build_town
from navsim_agents.world.types import Turn

POLYGON_LAYERS = (
    "lanes",
    "roadblocks",
    "intersections",
    "stop_lines",
    "crosswalks",
    "walkways",
    "carparks",
    "buildings",
)


def test_unknown_town_is_refused():
    with pytest.raises(InputError, match=re.escape("location is 'us-tx-austin', but a town must be one of us-nv-las")):
        build_town("us-tx-austin")


def test_towns_repeat_by_seed_and_differ_between_places():
    one, same, other = (build_town("sg-one-north", seed) for seed in (3, 3, 4))
    assert list(one.lanes) == list(same.lanes)
    assert all(np.array_equal(one.lanes[i].centerline, same.lanes[i].centerline) for i in one.lanes)
    first, different = one.lanes["40001"].centerline, other.lanes["40001"].centerline
    assert first.shape != different.shape or not np.allclose(first, different)


def test_ids_are_unique_over_all_kinds_and_towns(towns):
    ids = [i for town in towns.values() for layer in POLYGON_LAYERS for i in getattr(town, layer)]
    assert len(ids) == len(set(ids))
    assert all(i.isdecimal() for i in ids)


def test_lanes_know_one_another_both_ways(town):
    for lane in town.lanes.values():
        assert lane.successors
        assert lane.predecessors
        for successor in lane.successors:
            assert lane.lane_id in town.lanes[successor].predecessors
            assert town.lanes[successor].is_connector is not lane.is_connector
        for predecessor in lane.predecessors:
            assert lane.lane_id in town.lanes[predecessor].successors
        if lane.left_neighbor is not None:
            assert town.lanes[lane.left_neighbor].right_neighbor == lane.lane_id
        assert lane.is_connector is (lane.intersection_id is not None)


def test_roadblocks_follow_their_lanes(town):
    for block in town.roadblocks.values():
        lanes = [town.lanes[i] for i in block.lane_ids]
        assert all(lane.roadblock_id == block.roadblock_id for lane in lanes)
        followers = {town.lanes[i].roadblock_id for lane in lanes for i in lane.successors}
        assert followers == set(block.successors)
        assert {town.lanes[i].roadblock_id for lane in lanes for i in lane.predecessors} == set(block.predecessors)
        assert all(block.roadblock_id in town.roadblocks[i].predecessors for i in block.successors)


def test_successors_begin_where_lanes_end(town):
    for lane in town.lanes.values():
        for successor in (town.lanes[i] for i in lane.successors):
            assert np.hypot(*(successor.centerline[0] - lane.centerline[-1])[:2]) < 0.01
            assert abs(wrap_angle(successor.centerline[0, 2] - lane.centerline[-1, 2])) < 0.01
            for side in ("left_boundary", "right_boundary"):
                assert np.hypot(*(getattr(successor, side)[0] - getattr(lane, side)[-1])) < 0.01


def test_centerlines_are_finely_and_smoothly_sampled(town):
    for lane in town.lanes.values():
        steps = np.diff(lane.centerline[:, :2], axis=0)
        length = np.hypot(*steps.T)
        assert length.min() > 0.3
        assert length.max() < 0.7
        heading = np.unwrap(lane.centerline[:, 2])
        assert np.abs(wrap_angle(np.arctan2(*steps.T[::-1]) - (heading[1:] + heading[:-1]) / 2)).max() < 0.03
        assert np.abs(np.diff(heading) / length).max() < 1 / 8.0  # a car can turn more tightly


@pytest.mark.parametrize("layer", POLYGON_LAYERS)
def test_polygons_are_valid(town, layer):
    for name, item in getattr(town, layer).items():
        assert Polygon(item.polygon).is_valid, (layer, name)
        assert Polygon(item.polygon).area > 1.0


def test_lanes_tile_their_roadblock(town):
    for block in town.roadblocks.values():
        lanes = [Polygon(town.lanes[i].polygon) for i in block.lane_ids]
        outline = Polygon(block.polygon)
        assert unary_union(lanes).difference(outline).area < 1e-3 * outline.area
        rest = outline.difference(unary_union(lanes))
        if block.is_connector:
            assert rest.area < 1e-3 * outline.area
        else:  # a shoulder to the right of the outermost lane
            edge = LineString(town.lanes[block.lane_ids[-1]].right_boundary)
            assert sum(lane.area for lane in lanes) + rest.area == pytest.approx(outline.area, rel=1e-6)
            assert rest.area == pytest.approx(SHOULDER_M * edge.length, rel=0.05)
            assert rest.difference(edge.buffer(SHOULDER_M + 0.02)).area < 1e-3 * rest.area


def test_neighbours_share_their_border(town):
    pairs = [(lane, town.lanes[lane.right_neighbor]) for lane in town.lanes.values() if lane.right_neighbor]
    assert any(left.is_connector for left, _ in pairs)
    assert any(not left.is_connector for left, _ in pairs)
    for left, right in pairs:
        assert np.allclose(left.right_boundary, right.left_boundary, atol=1e-6)


def test_intersections_cover_their_connectors_and_more(town):
    for intersection in town.intersections.values():
        area = Polygon(intersection.polygon)
        inside = [lane for lane in town.lanes.values() if lane.intersection_id == intersection.intersection_id]
        union = unary_union([Polygon(lane.polygon) for lane in inside])
        assert union.difference(area).area < 1e-3
        if intersection.is_signalised:
            assert area.area > 1.02 * union.area


def test_roads_do_not_overlap_and_meet_intersections_only_at_their_ends(town):
    roads = [Polygon(block.polygon) for block in town.roadblocks.values() if not block.is_connector]
    areas = [Polygon(intersection.polygon) for intersection in town.intersections.values()]
    for i, road in enumerate(roads):
        assert all(road.intersection(other).area < 0.5 for other in roads[:i] + areas)


def test_every_town_has_what_issue_2_lists(town):
    turns = {}
    for lane in town.lanes.values():
        if lane.is_connector:
            turns.setdefault(lane.intersection_id, {}).setdefault(lane.predecessors[0], set()).add(lane.turn)
    signalised = [i for i, intersection in town.intersections.items() if intersection.is_signalised]
    assert signalised
    for i in signalised:
        assert set().union(*turns[i].values()) == {Turn.LEFT, Turn.STRAIGHT, Turn.RIGHT}
        assert len([pole for pole in town.light_poles if pole.intersection_id == i]) == 4
    yields = [line for line in town.stop_lines.values() if not town.intersections[line.intersection_id].is_signalised]
    assert yields
    two_way = [block for block in town.roadblocks.values() if not block.is_connector and len(block.lane_ids) >= 2]
    assert len(two_way) >= 2
    curvatures = [
        np.abs(np.ptp(np.unwrap(lane.centerline[:, 2]))) for lane in town.lanes.values() if not lane.is_connector
    ]
    assert min(curvatures) < 0.1
    assert max(curvatures) > 0.6
    assert all((town.crosswalks, town.walkways, town.buildings))


def test_car_parks_are_joined_to_a_road(town):
    roads = unary_union([Polygon(block.polygon) for block in town.roadblocks.values()])
    assert town.carparks
    for carpark in town.carparks.values():
        shared = Polygon(carpark.polygon).intersection(roads).area
        assert 0.5 < shared < 10.0


def test_buildings_and_walkways_keep_off_the_road(town):
    roads = unary_union([Polygon(block.polygon) for block in town.roadblocks.values()])
    assert all(Polygon(area.polygon).distance(roads) > 4.0 for area in town.buildings.values())
    assert all(Polygon(area.polygon).distance(roads) > 1.0 for area in town.walkways.values())


def test_drives_never_fall_off_the_map(town):
    """From every lane every choice of way goes on for 300 m and more."""
    for start in town.lanes:
        for choice in (0, -1):
            length, lane = 0.0, town.lanes[start]
            while length < 300.0:
                length += 0.4 * len(lane.centerline)
                lane = town.lanes[lane.successors[choice]]


def test_towns_differ_in_geometry(towns):
    lane_counts = {max(len(block.lane_ids) for block in town.roadblocks.values()) for town in towns.values()}
    assert len(lane_counts) >= 2
    assert len({len(town.lanes) for town in towns.values()}) == len(TOWN_LOCATIONS)


def test_areas_that_shapely_wraps_in_a_collection_are_the_same(towns, monkeypatch) -> None:
    """GEOS 3.11 did so with one junction in some towns, of seed 11 for one."""
    whole = towns["us-ma-boston"]
    monkeypatch.setattr(junctions, "unary_union", lambda areas: MultiPolygon([unary_union(areas)]))
    wrapped = build_town("us-ma-boston")
    for kind in ("roadblocks", "intersections"):
        for name, area in getattr(whole, kind).items():
            np.testing.assert_array_equal(getattr(wrapped, kind)[name].polygon, area.polygon)
