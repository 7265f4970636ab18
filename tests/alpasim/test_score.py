"""AlpaSim's score of a rollout."""

from __future__ import annotations

import pytest

from navsim_agents.alpasim.score import scene_score


@pytest.mark.parametrize(
    ("progress", "collided", "off_road", "way_m", "score"),
    [
        (0.6, False, False, 90.0, 0.75),  # case 16
        (0.6, True, False, 90.0, 0.0),
        (0.1, False, False, 4.9, 1.0),
        (0.1, False, True, 4.9, 0.0),
        (0.9, False, False, 90.0, 1.0),
        (-0.2, False, False, 90.0, 0.0),
    ],
)
def test_by_hand(progress: float, collided: bool, off_road: bool, way_m: float, score: float) -> None:
    assert scene_score(progress, collided, off_road, way_m) == pytest.approx(score)
