"""Oriented boxes: closed intersection tests (touching counts), by separating axes."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def boxes_intersect(
    offset: Float[Tensor, "*#batch 2"],
    direction: Float[Tensor, "*#batch 2"],
    half_size: Float[Tensor, "*#batch 2"],
    other_direction: Float[Tensor, "*#batch 2"],
    other_half_size: Float[Tensor, "*#batch 2"],
) -> Bool[Tensor, "*batch"]:
    """Whether two boxes share a point.

    ``offset`` [m] leads from the first centre to the other; directions are (cos, sin) of the headings.
    """
    length, width = half_size.unbind(-1)
    other_length, other_width = other_half_size.unbind(-1)
    cos_turn, sin_turn = (part.abs() for part in _in_frame(other_direction, direction))
    along, left = _in_frame(offset, direction)
    other_along, other_left = _in_frame(offset, other_direction)
    return (
        (along.abs() <= length + other_length * cos_turn + other_width * sin_turn)
        & (left.abs() <= width + other_length * sin_turn + other_width * cos_turn)
        & (other_along.abs() <= other_length + length * cos_turn + width * sin_turn)
        & (other_left.abs() <= other_width + length * sin_turn + width * cos_turn)
    )


def segment_intersects_box(
    start: Float[Tensor, "*#batch 2"],
    end: Float[Tensor, "*#batch 2"],
    center: Float[Tensor, "*#batch 2"],
    direction: Float[Tensor, "*#batch 2"],
    half_size: Float[Tensor, "*#batch 2"],
) -> Bool[Tensor, "*batch"]:
    """Whether a closed segment and a closed box share a point (m, one frame); ``direction`` is (cos, sin)."""
    middle_x, middle_y = _in_frame((start + end) * 0.5 - center, direction)
    reach_x, reach_y = _in_frame((end - start) * 0.5, direction)
    length, width = half_size.unbind(-1)
    across = (middle_x * reach_y - middle_y * reach_x).abs()
    return (
        (middle_x.abs() <= length + reach_x.abs())
        & (middle_y.abs() <= width + reach_y.abs())
        & (across <= length * reach_y.abs() + width * reach_x.abs())
    )


def _in_frame(vector: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Components of ``vector`` [..., 2] along the unit vector ``direction`` [..., 2] and to its left."""
    (x, y), (cos, sin) = vector.unbind(-1), direction.unbind(-1)
    return cos * x + sin * y, cos * y - sin * x
