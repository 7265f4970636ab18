"""Outlines of stretches of paths, their touching and their distances, against shapely's."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from navsim_agents.scoring.traffic.fast.outlines import BOX_POINTS, box_outline, chunk_boxes, stretch_outline
from navsim_agents.scoring.traffic.fast.touching import outline_gap, outlines_touch, places_touch
from navsim_agents.scoring.traffic.fast.ways import are_tame, ways_of
from navsim_agents.scoring.traffic.rails import Rail, box_polygon, strip
from tests.scoring.traffic.fast.parts import compiled

stretch, box, bounds, gap, touch, boxes_touch = (
    compiled(part) for part in (stretch_outline, box_outline, chunk_boxes, outline_gap, outlines_touch, places_touch)
)


def bent_path(draw, points, bend, spacing=0.5):
    """Poses [P, 3] and progress [P] of a path whose heading wanders by ``bend`` a vertex, and turns as much."""
    headings = np.cumsum(draw.normal(0.0, bend, points - 1) + draw.normal(0.0, bend)) + draw.uniform(-3.0, 3.0)
    steps = spacing * draw.uniform(0.9, 1.1, points - 1)
    moves = steps[:, None] * np.stack((np.cos(headings), np.sin(headings)), axis=1)
    xy = np.concatenate((draw.uniform(-50.0, 50.0, (1, 2)), moves)).cumsum(axis=0)
    return np.column_stack((xy, np.append(headings, headings[-1]))), np.concatenate(([0.0], np.cumsum(steps)))


class Ground:
    """An outline with its boxes: of a stretch, of a box, or of both."""

    def __init__(self, ways=None, half_width=0.0, span=None, place=None, half_size=None):
        room = BOX_POINTS if ways is None else BOX_POINTS + 16 + ways.corner.shape[1] * 2
        self.points = np.zeros((room, 2))
        self.boxes, self.hull = np.zeros((len(self.points), 4)), np.zeros(4)
        self.begin, self.size = int(place is None), BOX_POINTS
        if place is not None:
            box(place, *half_size, self.points)
        if span is not None:
            self.size = stretch(ways, 0, half_width, *span, self.points)
        self.end = bounds(self.points, self.size, self.begin, self.boxes, self.hull)

    @property
    def table(self):
        return self.points, self.size, self.boxes, self.begin, self.end

    def touches(self, other):
        return touch(*self.table, *other.table)

    def gap(self, other):
        """Both with their box."""
        return gap(self.points, self.size, self.boxes, self.end, other.points, other.size, other.boxes, other.end)


def place_of(pose):
    return np.array([pose[0], pose[1], np.cos(pose[2]), np.sin(pose[2])])


@pytest.mark.parametrize("bend", [0.0, 1e-4, 0.02, 0.06, 0.2])
def test_a_stretch_covers_what_shapely_s_buffer_covers(bend):
    """Also where it ends just behind a vertex, at the path's end, and beyond it."""
    draw, num_cut, touched = np.random.default_rng(int(1e4 * bend)), 0, []
    for case in range(150):
        poses, along = bent_path(draw, draw.integers(2, 40), bend, draw.choice([0.5, 1.5]))
        half = draw.uniform(0.4, 1.25)
        ways = ways_of([poses], [along], np.array([half]))
        if not are_tame(ways, np.array([[2.0 * half, half]])):
            continue
        start = draw.uniform(0.0, along[-1])
        if case % 3 == 0:
            start = max(0.0, along[draw.integers(len(along))] - draw.uniform(0.0, 0.03))
        end = along[-1] if case % 2 else min(along[-1], start + 4.0 * half + draw.exponential(5.0))
        if case % 10 == 0:
            start = end = along[-1]
        rail = Rail.of(poses, along)
        line = rail.line_from(start) if case % 4 == 1 else rail.line_between(start, end)
        wanted = strip(line, 2.0 * half)
        found = Ground(ways, half, (start, end))
        assert found.hull == pytest.approx(wanted.bounds, abs=1e-9)
        num_cut += found.size > BOX_POINTS + 1 + len(wanted.exterior.coords)
        for _ in range(4):
            near = found.points[draw.integers(BOX_POINTS, found.size)] + draw.normal(0.0, 2.0, 2)
            pose, half_size = np.array([*near, draw.uniform(-3.0, 3.0)]), draw.uniform(0.3, 4.0, 2)
            other, polygon = Ground(place=place_of(pose), half_size=half_size), box_polygon(pose, *(2.0 * half_size))
            touched.append(found.touches(other))
            assert touched[-1] == other.touches(found) == wanted.intersects(polygon)
    assert 0.3 < np.mean(touched) < 0.9
    assert (num_cut > 0) == (bend >= 0.02)  # ends cut inner bends off


@pytest.mark.parametrize("bend", [0.0, 0.02, 0.06])
def test_grounds_are_as_far_apart_as_shapely_says(bend):
    draw, zeros = np.random.default_rng(int(1e3 * bend) + 1), []
    for _ in range(150):
        grounds, polygons = [], []
        for _ in range(2):
            poses, along = bent_path(draw, 40, bend)
            poses[:, :2] += draw.normal(0.0, 6.0, 2) - poses[20, :2]
            half_size = np.array([draw.uniform(1.0, 4.0), draw.uniform(0.4, 1.25)])
            ways = ways_of([poses], [along], half_size[1:])
            span = np.sort(draw.uniform(0.0, along[-1], 2))
            pose = Rail.of(poses, along).pose_at(span[0])
            grounds.append(Ground(ways, half_size[1], span, place_of(pose), half_size))
            stretch_there = strip(Rail.of(poses, along).line_between(*span), 2.0 * half_size[1])
            polygons.append(shapely.unary_union([stretch_there, box_polygon(pose, *(2.0 * half_size))]))
        wanted = polygons[0].distance(polygons[1])
        touches = grounds[0].touches(grounds[1])
        zeros.append(touches)
        assert touches == (wanted == 0.0)
        if not touches:
            assert grounds[0].gap(grounds[1]) == pytest.approx(wanted, abs=1e-9)
    assert 0.05 < np.mean(zeros) < 0.9


def test_one_that_lies_within_another_touches_it():
    road = np.column_stack((np.arange(40.0), np.zeros(40), np.zeros(40)))
    ways = ways_of([road], [np.arange(40.0)], np.array([2.0]))
    wide = Ground(ways, 2.0, (3.2, 30.0))
    inside, beside = (Ground(place=np.array([15.0, y, 1.0, 0.0]), half_size=(2.0, 0.5)) for y in (0.3, 2.6))
    assert wide.touches(inside)
    assert inside.touches(wide)
    assert not wide.touches(beside)
    assert Ground(ways, 2.0, (39.0, 39.0)).touches(Ground(place=np.array([38.0, 0.0, 1.0, 0.0]), half_size=(9.0, 9.0)))


def test_two_of_one_width_on_one_path_touch_where_they_overlap():
    """Their long edges lie in each other, so that rounding alone says whether these cross."""
    draw = np.random.default_rng(3)
    for _ in range(50):
        poses, along = bent_path(draw, 60, 0.01)
        ways = ways_of([poses], [along], np.array([1.0]))
        one, overlapping, behind = (Ground(ways, 1.0, span) for span in ((2.0, 12.3), (9.1, 20.0), (12.5, 20.0)))
        assert one.touches(overlapping)
        assert not one.touches(behind)


def test_boxes_touch_as_shapely_says():
    draw, found = np.random.default_rng(4), []
    for _ in range(400):
        poses = np.concatenate((draw.normal(0.0, 3.0, (2, 2)), draw.uniform(-4.0, 4.0, (2, 1))), axis=1)
        sizes = draw.uniform(0.5, 4.0, (2, 2))
        one, other = (box_polygon(pose, *(2.0 * size)) for pose, size in zip(poses, sizes))
        found.append(boxes_touch(place_of(poses[0]), sizes[0], place_of(poses[1]), sizes[1]))
        assert found[-1] == one.intersects(other)
    assert 0.2 < np.mean(found) < 0.8


@pytest.mark.parametrize(
    ("spacing", "turn", "half_length", "tame"),
    [(0.5, 0.2, 2.0, True), (0.5, 0.6, 2.0, False), (0.01, 0.0, 2.0, False), (0.5, 0.2, 0.1, False)],
)
def test_paths_that_shapely_s_buffer_smooths_or_folds_are_not_tame(spacing, turn, half_length, tame):
    steps, headings = np.array([0.5, 0.5, spacing, 0.5]), np.array([0.0, 0.0, 0.0, turn])
    xy = np.cumsum(steps[:, None] * np.stack((np.cos(headings), np.sin(headings)), axis=1), axis=0)
    poses = np.column_stack((np.concatenate(([[0.0, 0.0]], xy)), np.append(headings, turn)))
    ways = ways_of([poses], [np.concatenate(([0.0], np.cumsum(steps)))], np.array([1.0]))
    assert are_tame(ways, np.array([[half_length, 1.0]])) == tame
