"""The one curve along which rates and decays are brought down."""

from __future__ import annotations

import math


def cosine(start: float, end: float, progress: float) -> float:
    """Half a wave from ``start`` (progress 0) to ``end`` (progress 1), which it keeps from there on."""
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
