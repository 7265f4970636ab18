"""A scene of the world that is turned by any angle and moved anywhere scores the same."""

from __future__ import annotations

import numpy as np
import pytest

from tests.scoring.turned import (
    assert_same_scores,
    elsewhere_in_its_frame,
    elsewhere_on_the_map,
    moved_poses,
    plans_for,
)

TURNS = np.random.default_rng(5).uniform(-10.0, 10.0, 4)  # beyond one turn, too
SHIFT = (-1e5, 6e4)


@pytest.mark.parametrize("turn", TURNS.tolist())
@pytest.mark.parametrize("metric", ["epdms", "pdms"])
def test_a_scene_elsewhere_scores_the_same(turn, metric, driven):
    scenes, plans = driven.scenes, plans_for(driven.scenes)
    there = [elsewhere_on_the_map(scene, turn, SHIFT) for scene in scenes]
    assert_same_scores(scenes, plans, there, plans, metric)
    there = [elsewhere_in_its_frame(scene, turn, SHIFT) for scene in scenes]
    assert_same_scores(scenes, plans, there, moved_poses(plans, turn, SHIFT), metric)
