"""Strips, regions, clipping, shadows and painting order, against hand-worked cases and shapely."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import LineString, MultiPoint, Point, Polygon
from shapely.ops import unary_union

from navsim_agents.world.camera.calibration import default_cameras
from navsim_agents.world.camera.markings import stall_lines, zebra_bars
from navsim_agents.world.camera.mesh import MeshBuilder, rectangle, regular_ring
from navsim_agents.world.camera.painter import painting_order
from navsim_agents.world.camera.polygons import clip_near, join_polygons, make_polygons
from navsim_agents.world.camera.regions import Regions
from navsim_agents.world.camera.shadows import swept
from navsim_agents.world.camera.strips import arc_length, dashes, rim_quads, simplify, strip
from navsim_agents.world.camera.view import view_from
from navsim_agents.world.types import Area


def _arc(count: int = 60, radius: float = 20.0) -> np.ndarray:
    angles = np.linspace(0.0, 1.5, count)
    return radius * np.stack((np.cos(angles), np.sin(angles)), axis=1)


def _block(length: float, width: float, at: tuple[float, float]) -> np.ndarray:
    return rectangle(length, width) + np.array(at)


def test_selected_polygons_keep_their_vertices():
    rings = [np.arange(3.0 * n).reshape(n, 3) + 100.0 * n for n in (3, 5, 4)]
    joined = join_polygons([make_polygons(rings[:1]), make_polygons(rings[1:])])
    picked = joined.select(np.array([2, 0]))
    np.testing.assert_array_equal(picked.counts, [4, 3])
    np.testing.assert_array_equal(picked.vertices, np.concatenate((rings[2], rings[0])))


def test_clipping_cuts_a_triangle_at_the_near_plane():
    ring = np.array([[0.0, 0.0, -1.0], [2.0, 0.0, 1.0], [-2.0, 0.0, 1.0]])
    clipped = clip_near(ring, 0.5)
    np.testing.assert_allclose(clipped, [[1.5, 0.0, 0.5], [2.0, 0.0, 1.0], [-2.0, 0.0, 1.0], [-1.5, 0.0, 0.5]])
    assert len(clip_near(ring, 2.0)) == 0
    np.testing.assert_array_equal(clip_near(ring, -3.0), ring)


def test_strip_has_its_width_and_side():
    outline = Polygon(strip(np.array([[0.0, 0.0], [5.0, 0.0], [10.0, 0.0]]), 0.5, 0.25))
    assert outline.bounds == pytest.approx((0.0, -0.25, 10.0, 0.5))


def test_dashes_have_their_length_and_rhythm():
    curve = np.stack((np.linspace(0.0, 20.0, 41), np.zeros(41)), axis=1)
    spans = [(d[:, 0].min(), d[:, 0].max()) for d in dashes(curve, 0.2, dash_m=3.0, gap_m=5.0)]
    np.testing.assert_allclose(spans, [(2.5, 5.5), (10.5, 13.5)])


def test_simplified_curve_stays_close_with_fewer_points():
    curve = _arc()
    slim = simplify(curve, 0.02)
    assert len(slim) < len(curve) / 2
    assert LineString(curve).hausdorff_distance(LineString(slim)) <= 0.021
    assert arc_length(slim)[-1] == pytest.approx(arc_length(curve)[-1], rel=1e-3)


@pytest.mark.parametrize("turned", [False, True])
def test_band_around_a_ring_is_its_mitred_buffer(turned: bool):
    ring = _block(6.0, 4.0, at=(664_400.0, 3_997_500.0))
    quads = [Polygon(quad) for quad in rim_quads(ring[::-1] if turned else ring, 0.5)]
    expected = Polygon(ring).buffer(0.5, join_style="mitre").difference(Polygon(ring))
    assert len(quads) == 4
    assert unary_union(quads).symmetric_difference(expected).area < 1e-6


def teststall_lines_leave_the_way_in_free():
    lot = np.array([[3.0, 0.5], [-3.0, 0.5], [-3.0, -5.0], [-16.0, -5.0], [-16.0, -30.0], [16.0, -30.0], [16.0, -5.0]])
    outline = np.concatenate((lot, [[3.0, -5.0]]))
    lines = list(stall_lines(Area("1", outline)))
    assert all(Polygon(outline).buffer(0.1).contains(Polygon(line)) for line in lines)
    middles = np.array([line.mean(axis=0) for line in lines])
    far, near = middles[middles[:, 1] < -20.0], middles[middles[:, 1] > -10.0]
    assert len(far) == 11  # 0.55 m, then every 2.9 m of 32 m
    np.testing.assert_allclose(np.diff(np.sort(far[:, 0])), 2.9)
    assert len(near) == 9
    assert (np.abs(near[:, 0]) > 3.0).all()


def test_zebra_bars_lie_side_by_side_within_the_crosswalk():
    corners = rectangle(7.0, 3.0) @ np.array([[0.8, 0.6], [-0.6, 0.8]]) + [5.0, -2.0]
    bars = [Polygon(bar) for bar in zebra_bars(Area("1", corners))]
    assert len(bars) == 7  # 7 bars of 0.5 m and 6 gaps of 0.55 m are 6.8 m
    assert all(bar.area == pytest.approx(0.5 * 3.0) for bar in bars)
    assert all(Polygon(corners).buffer(1e-6).contains(bar) for bar in bars)
    assert not any(a.intersects(b) for a, b in zip(bars, bars[1:]))


def test_clear_points_agree_with_shapely():
    points = np.random.default_rng(5).uniform(-6.0, 6.0, (200, 2))
    ring = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [2.0, 1.0], [0.0, 4.0]])
    clear = Regions([ring, ring[::-1] - 5.0]).clear_of(points, 0.7)
    shapes = [Polygon(ring), Polygon(ring - 5.0)]
    expected = [all(shape.distance(Point(p)) > 0.7 for shape in shapes) for p in points]
    np.testing.assert_array_equal(clear, expected)
    assert 0 < sum(expected) < 200


@pytest.mark.parametrize("shift", [(3.0, 0.5), (-1.0, 2.0), (0.3, -4.0)])
def test_swept_ring_is_the_convex_hull(shift: tuple[float, float]):
    for ring in (rectangle(4.0, 2.0), regular_ring(1.5, 7, (3.0, 1.0))):
        hull = MultiPoint(np.concatenate((ring, ring + shift))).convex_hull
        found = Polygon(swept(ring, np.array(shift)))
        assert found.is_valid
        assert found.symmetric_difference(hull).area < 1e-9


def test_normals_point_outwards_also_far_from_the_origin():
    builder = MeshBuilder()
    builder.box((664_400.0, 3_997_500.0), (2.0, 1.0), (0.0, 3.0), (1.0, 2.0, 3.0))
    mesh = builder.build()
    centres = np.array([ring.mean(axis=0) for ring in np.split(mesh.polygons.vertices, mesh.polygons.starts[1:-1])])
    outward = centres - [664_400.0, 3_997_500.0, 1.5]
    assert ((mesh.normals * outward).sum(axis=1) > 0.4).all()
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0)


def test_a_car_before_a_long_wall_is_painted_later():
    wall = _block(60.0, 1.0, at=(20.0, 8.0))  # passes close by the eye
    car = _block(4.0, 2.0, at=(35.0, 5.0))
    behind = _block(4.0, 2.0, at=(20.0, 12.0))
    order = painting_order([car, wall, behind], np.array([0.0, 3.0])).tolist()
    assert order.index(2) < order.index(1) < order.index(0)


def test_painting_order_is_back_to_front_along_every_line_of_sight():
    rng = np.random.default_rng(8)
    rings, shapes = [], []
    while len(rings) < 25:
        turn = rng.uniform(0.0, np.pi)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        ring = rectangle(*rng.uniform(1.0, 14.0, 2)) @ matrix + rng.uniform(-40.0, 40.0, 2)
        if all(Polygon(ring).distance(other) > 0.1 for other in [*shapes, Point(0.0, 0.0)]):
            rings.append(ring)
            shapes.append(Polygon(ring))
    place = {solid: k for k, solid in enumerate(painting_order(rings, np.zeros(2)).tolist())}
    pairs = 0
    for angle in np.linspace(-np.pi, np.pi, 180, endpoint=False):
        sight = LineString([(0.0, 0.0), (100.0 * np.cos(angle), 100.0 * np.sin(angle))])
        met = sorted(
            (Point(0, 0).distance(s.intersection(sight)), i) for i, s in enumerate(shapes) if s.intersects(sight)
        )
        for (_, near), (_, far) in zip(met, met[1:]):
            assert place[far] < place[near]
            pairs += 1
    assert pairs > 50
    assert len(painting_order([], np.zeros(2))) == 0


def test_overlapping_footprints_go_by_distance():
    order = painting_order([_block(2.0, 2.0, at=(5.0, 0.0)), _block(2.0, 2.0, at=(6.0, 0.0))], np.zeros(2))
    assert order.tolist() == [1, 0]


def test_view_places_the_camera_with_the_ego():
    camera = default_cameras()["cam_f0"]
    view = view_from(camera, np.array([10.0, 20.0, np.pi / 2]))
    np.testing.assert_allclose(view.position, [10.0, 21.66, 1.55])
    np.testing.assert_allclose(view.ahead, [0.0, 1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(view.to_camera(np.array([9.0, 25.66, 1.55])), [-1.0, 0.0, 4.0], atol=1e-12)


def test_view_sees_spheres_in_its_pyramid_only():
    view = view_from(default_cameras()["cam_f0"], np.zeros(3))
    centres = np.array([[30.0, 0.0, 1.0], [-30.0, 0.0, 1.0], [10.0, 30.0, 1.0], [10.0, 30.0, 1.0], [30.0, 0.0, 60.0]])
    radii = np.array([1.0, 1.0, 1.0, 25.0, 5.0])
    np.testing.assert_array_equal(view.sees(centres, radii, 50.0), [True, False, False, True, False])
    assert not view.sees(centres, radii, 5.0)[0]
