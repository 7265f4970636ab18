from __future__ import annotations

import numpy as np
import pytest
import shapely
import torch
from shapely.geometry import LineString, Point, Polygon

from navsim_agents.common.boxes import box_corners
from navsim_agents.scoring.geometry.areas import Areas
from navsim_agents.scoring.geometry.boxes import boxes_intersect, segment_intersects_box
from navsim_agents.scoring.geometry.grid import NearSegments
from navsim_agents.scoring.rules.centerline import project_on_polyline, squared_distance_to_segment

STAR = np.array([[0, 3], [1, 1], [3, 1], [1.5, -0.5], [2, -3], [0, -1.5], [-2, -3], [-1.5, -0.5], [-3, 1], [-1, 1.0]])
SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4.0]])
HOLE = np.array([[1, 1], [3, 1], [3, 3], [1, 3.0]])


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def directions(headings):
    return torch.stack((torch.cos(headings), torch.sin(headings)), dim=-1)


def random_boxes(count, seed, spread=3.0):
    draw = torch.Generator().manual_seed(seed)
    center = spread * torch.randn(count, 2, generator=draw, dtype=torch.float64)
    heading = 6.0 * torch.rand(count, generator=draw, dtype=torch.float64)
    half_size = 0.3 + 2.0 * torch.rand(count, 2, generator=draw, dtype=torch.float64)
    return center, directions(heading), half_size


def areas_of(*polygons):
    """Areas of polygons, each a list of rings."""
    rings = [ring for rings in polygons for ring in rings]
    owner = np.repeat(np.arange(len(polygons)), [len(rings) for rings in polygons])
    return Areas.build(np.concatenate(rings), np.cumsum([0, *map(len, rings)]), owner, len(polygons))


def holds(areas, points, number):
    bits = areas.polygons_at(points[:, 0], points[:, 1])
    return (bits[number // 64] >> (number % 64) & 1).bool()


def test_corners_of_a_box_turned_by_a_quarter():
    corners = box_corners(tensor(10.0, 20.0), tensor(0.0, 1.0), tensor(2.0, 1.0))
    assert corners.tolist() == [[9, 22], [9, 18], [11, 18], [11, 22]]


def test_boxes_agree_with_shapely():
    first, second = random_boxes(400, 0), random_boxes(400, 1)
    found = boxes_intersect(second[0] - first[0], first[1], first[2], second[1], second[2])
    shapes = [shapely.polygons(box_corners(*boxes).numpy()) for boxes in (first, second)]
    wanted = shapely.intersects(*shapes)
    np.testing.assert_array_equal(found.numpy(), wanted)
    assert 50 < wanted.sum() < 350


@pytest.mark.parametrize(("offset", "meets"), [((4.0, 0.0), True), ((4.0, 2.0), True), ((4.0 + 1e-9, 0.0), False)])
def test_boxes_that_touch_intersect(offset, meets):
    ahead, half = tensor(1.0, 0.0), tensor(2.0, 1.0)
    assert bool(boxes_intersect(tensor(*offset), ahead, half, ahead, half)) is meets


def test_segments_and_boxes_agree_with_shapely():
    center, direction, half_size = random_boxes(400, 2)
    start, end = random_boxes(400, 3)[0], random_boxes(400, 4)[0]
    found = segment_intersects_box(start, end, center, direction, half_size)
    lines = shapely.linestrings(torch.stack((start, end), dim=1).numpy())
    wanted = shapely.intersects(lines, shapely.polygons(box_corners(center, direction, half_size).numpy()))
    np.testing.assert_array_equal(found.numpy(), wanted)
    assert 50 < wanted.sum() < 350


@pytest.mark.parametrize(
    ("start", "end", "meets"),
    [
        ((-1.0, 0.0), (1.0, 0.0), True),  # inside
        ((2.0, -5.0), (2.0, 5.0), True),  # along a side
        ((2.0, 1.0), (9.0, 9.0), True),  # from a corner
        ((2.0, 1.0), (2.0, 1.0), True),  # a point on a corner
        ((1.0, 3.0), (4.0, 0.0), False),  # past a corner
    ],
)
def test_segments_that_touch_a_box(start, end, meets):
    box = tensor(0.0, 0.0), tensor(1.0, 0.0), tensor(2.0, 1.0)
    assert bool(segment_intersects_box(tensor(*start), tensor(*end), *box)) is meets


def test_distance_to_segments_agrees_with_shapely():
    points, start, end = (random_boxes(300, seed)[0] for seed in (5, 6, 7))
    end[:20] = start[:20]
    found = squared_distance_to_segment(points, start, end).sqrt()
    lines = shapely.linestrings(torch.stack((start, end), dim=1).numpy())
    np.testing.assert_allclose(found, shapely.distance(shapely.points(points.numpy()), lines), atol=1e-12)


def test_projection_agrees_with_shapely():
    draw = np.random.default_rng(8)
    line = np.cumsum(draw.normal(size=(30, 2)) + np.array([1.0, 0.0]), axis=0)
    points = draw.normal(size=(200, 2)) * [20, 6] + [15, 0]
    repeated = np.concatenate((line[:7], line[6:], line[-1:], line[-1:]))  # segments without length
    found = project_on_polyline(torch.from_numpy(points), torch.from_numpy(repeated))
    wanted = [LineString(line).project(Point(point)) for point in points]
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_projection_takes_the_first_of_equally_near_segments():
    square = tensor([0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0])
    assert project_on_polyline(tensor([1.0, 1.0]), square).tolist() == [1.0]


def test_points_in_non_convex_polygons_and_holes_agree_with_shapely():
    areas = areas_of([STAR * 4.0], [SQUARE * 3.0, HOLE * 3.0])
    draw = torch.Generator().manual_seed(9)
    points = torch.cat((6.0 * torch.randn(4000, 2, generator=draw, dtype=torch.float64), torch.from_numpy(STAR * 4.0)))
    for number, shape in enumerate((Polygon(STAR * 4.0), Polygon(SQUARE * 3.0, [HOLE * 3.0]))):
        wanted = shapely.contains_xy(shape, *points.numpy().T)
        np.testing.assert_array_equal(holds(areas, points, number).numpy(), wanted)
        assert 100 < wanted.sum() < 3900


def test_boundaries_belong_to_no_polygon():
    areas = areas_of([SQUARE, HOLE], [SQUARE + np.array([4.0, 0.0])])
    on_it = tensor([0.0, 2.0], [2.0, 0.0], [4.0, 2.0], [4.0, 4.0], [0.0, 0.0], [1.0, 2.0], [2.0, 3.0], [3.0, 3.0])
    for number in range(2):
        assert not holds(areas, on_it, number).any()
    beside = tensor([0.5, 2.0], [2.0, 2.0], [4.0 + 1e-12, 2.0], [4.0 - 1e-12, 2.0])
    assert holds(areas, beside, 0).tolist() == [True, False, False, True]
    assert holds(areas, beside, 1).tolist() == [False, False, True, False]


def test_edges_on_cell_borders_and_rays_through_vertices():
    # Half-metre vertices and points, so that grid lines, edges, vertices and heights coincide in every way.
    rings = [np.array([[0, 0], [6, 0], [6, 2], [4, 4], [6, 6], [0, 6], [2, 4], [0, 2.0]]), SQUARE * 0.5 + [2.0, 2.0]]
    areas = areas_of(rings, [STAR])
    grid = np.stack(np.meshgrid(np.arange(-4, 8, 0.25), np.arange(-4, 8, 0.25)), axis=-1).reshape(-1, 2)
    for number, shape in enumerate((Polygon(rings[0], [rings[1]]), Polygon(STAR))):
        wanted = shapely.contains_xy(shape, *grid.T)
        np.testing.assert_array_equal(holds(areas, torch.from_numpy(grid), number).numpy(), wanted)


def test_more_polygons_than_bits_of_a_word():
    squares = [[SQUARE + np.array([3.0 * number, 0.0])] for number in range(70)]
    areas = areas_of(*squares)
    points = tensor([9.5, 2.0], [3.0 * 66 + 0.5, 1.0], [1e6, 1.0], [-1e6, -1e6])
    counts = torch.stack([holds(areas, points, number) for number in range(70)])
    assert counts.sum(0).tolist() == [2, 2, 0, 0]
    assert torch.nonzero(counts[:, 1])[:, 0].tolist() == [65, 66]


def test_areas_of_a_batch_answer_as_alone():
    parts = [
        areas_of([STAR]),
        areas_of(*[[SQUARE + np.array([number, 0.0])] for number in range(66)]),
        areas_of([HOLE]),
    ]
    together = Areas.concatenate(parts)
    draw = torch.Generator().manual_seed(10)
    x, y = 3.0 * torch.randn(2, 3, 50, generator=draw, dtype=torch.float64)
    bits = together.polygons_at(x, y, torch.arange(3)[:, None])
    for row, part in enumerate(parts):
        alone = part.polygons_at(x[row], y[row])
        assert torch.equal(bits[: len(alone), row], alone)
        assert not bits[len(alone) :, row].any()
        assert alone.any()


def test_no_polygons_hold_no_point():
    areas = Areas.build(np.zeros((0, 2)), np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64), 0)
    assert not areas.polygons_at(tensor(0.0, 1.0), tensor(0.0, 1.0)).any()


def test_near_segments_name_every_segment_within_the_margin():
    draw = np.random.default_rng(11)
    segments = draw.normal(size=(60, 4)) * 8
    segments[:5, 2:] = segments[:5, :2] + 40.0  # long ones cross many cells
    near = NearSegments.build(segments, np.arange(60), margin=1.5, cell_m=0.7, max_cells=20_000)
    points = torch.from_numpy(draw.normal(size=(200, 2)) * 8)
    found = torch.zeros(200, 60, dtype=torch.int64)
    for which, found_segments, owner in near.candidates(points[:, 0], points[:, 1], None):
        np.testing.assert_array_equal(found_segments.numpy(), segments[owner.numpy()])
        found[which.expand_as(owner), owner] += 1
    lines = shapely.linestrings(segments.reshape(-1, 2, 2))
    within = shapely.distance(shapely.points(points.numpy())[:, None], lines[None]) <= 1.5
    assert found.max() == 1
    assert (found.bool().numpy() | ~within).all()
    assert within.any()
    assert found.double().mean() < 0.5
