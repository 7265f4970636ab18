"""Boxes and segments in the plane for kernels; for tensors see ``geometry/boxes.py`` and ``rules/centerline.py``."""

from __future__ import annotations

from navsim_agents.scoring.machine_code import pasted


@pasted
def boxes_intersect(
    x: float,
    y: float,
    cosine: float,
    sine: float,
    length: float,
    width: float,
    other: tuple[float, float, float, float],
) -> bool:
    """Whether two boxes share a point, by separating axes; touching counts.

    Args:
        x: to the other's centre from the first's [m], with ``y``.
        cosine: of the first's heading, with ``sine``.
        length: half of it [m], with half the ``width``.
        other: the same four of the other box.
    """
    other_cos, other_sin, other_length, other_width = other
    cos_turn = abs(cosine * other_cos + sine * other_sin)
    sin_turn = abs(cosine * other_sin - sine * other_cos)
    return (
        (abs(cosine * x + sine * y) <= length + other_length * cos_turn + other_width * sin_turn)
        & (abs(cosine * y - sine * x) <= width + other_length * sin_turn + other_width * cos_turn)
        & (abs(other_cos * x + other_sin * y) <= other_length + length * cos_turn + width * sin_turn)
        & (abs(other_cos * y - other_sin * x) <= other_width + length * sin_turn + width * cos_turn)
    )


@pasted
def squared_distance(x: float, y: float, x1: float, y1: float, x2: float, y2: float) -> float:
    """From a point to a closed segment [m^2], which may be a single point."""
    edge_x, edge_y, reach_x, reach_y = x2 - x1, y2 - y1, x - x1, y - y1
    length_sq = edge_x * edge_x + edge_y * edge_y
    share = (reach_x * edge_x + reach_y * edge_y) / (length_sq if length_sq > 0.0 else 1.0)
    share = min(max(share, 0.0), 1.0)
    gap_x, gap_y = reach_x - share * edge_x, reach_y - share * edge_y
    return gap_x * gap_x + gap_y * gap_y
