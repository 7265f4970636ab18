from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon

from navsim_agents.common.planar import corners, overlaps
from navsim_agents.world.boxes import box_outline


def test_corners_by_hand():
    assert np.allclose(corners(np.array([1.0, 2.0, 0.0, 4.0, 2.0])), [[3, 3], [-1, 3], [-1, 1], [3, 1]])


def test_box_outline_turned_by_a_quarter():
    outline = box_outline(np.array([10.0, 5.0]), np.pi / 2, 4.0, 2.0)
    assert np.allclose(outline, [[9, 7], [9, 3], [11, 3], [11, 7]])


def test_overlap_agrees_with_shapely():
    rng = np.random.default_rng(0)
    boxes = rng.uniform((-3, -3, -4, 1, 1), (3, 3, 4, 5, 2), (2, 300, 5))
    expected = [Polygon(a).intersects(Polygon(b)) for a, b in zip(corners(boxes[0]), corners(boxes[1]))]
    assert 0.1 < np.mean(expected) < 0.9
    assert np.array_equal(overlaps(boxes[0], boxes[1]), expected)
