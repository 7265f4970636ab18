"""Which of several at the same distance comes first, against shapely's search tree."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely import STRtree

from navsim_agents.scoring.traffic.fast.ties import UNKNOWN, Tree, first_of_nearest
from tests.scoring.traffic.fast.parts import compiled

first = compiled(first_of_nearest)


@pytest.mark.parametrize(("low", "high"), [(1, 11), (11, 21), (21, 91)])
def test_it_is_the_one_that_shapely_s_tree_gives(low, high):
    draw, num_ties, not_lowest = np.random.default_rng(low), 0, 0
    for _ in range(400):
        count = int(draw.integers(low, high))
        centers, sizes = draw.uniform(0.0, 30.0, (count, 2)), draw.uniform(0.5, 12.0, (count, 2))
        hulls = np.concatenate((centers - sizes / 2.0, centers + sizes / 2.0), axis=1)
        boxes, mine = shapely.box(*hulls.T), shapely.box(9.0, 8.0, 17.0, 14.0)
        gaps = shapely.distance(boxes, mine)
        tree = Tree.room_for(count + 3)
        tree.hull[:count] = hulls
        found = first(tree, gaps, count, np.array(mine.bounds))
        assert found == STRtree(boxes).nearest(mine)
        zeros = np.flatnonzero(gaps == 0.0)
        num_ties += len(zeros) > 1
        not_lowest += len(zeros) > 0 and found != zeros[np.argmin(hulls[zeros, 1] + hulls[zeros, 3])]
    assert num_ties > 100
    assert (not_lowest > 0) == (low > 10)


def test_more_than_the_tree_has_room_for_in_two_levels_are_not_decided():
    tree = Tree.room_for(95)
    assert first(tree, np.zeros(95), 95, np.zeros(4)) == UNKNOWN
    assert first(tree, np.zeros(95), 90, np.zeros(4)) != UNKNOWN
