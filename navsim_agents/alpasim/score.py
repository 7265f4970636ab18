"""AlpaSim's score of one rollout, as its challenge of 2026 has it (``eval/aggregation/scene_score.py``)."""

from __future__ import annotations

SATURATION = 0.8
"""Share of the logged way that counts as all of it."""
SHORT_LOG_M = 5.0
"""Of a log that goes less far everybody has driven enough."""


def scene_score(progress: float, has_collided_at_fault: bool, has_left_road: bool, logged_distance_m: float) -> float:
    """0 to 1.

    Args:
        progress: share of the logged way that was driven.
        has_collided_at_fault: at any time.
        has_left_road: at any time.
        logged_distance_m: how far the recorded car went.
    """
    if has_collided_at_fault or has_left_road:
        return 0.0
    if logged_distance_m < SHORT_LOG_M:
        return 1.0
    return min(max(progress, 0.0) / SATURATION, 1.0)
