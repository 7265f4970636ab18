"""The one curve along which rates and decays are lowered."""

from __future__ import annotations

import math


def cosine(start: float, end: float, progress: float) -> float:
    """Half a wave from ``start`` (progress 0) to ``end`` (progress 1), and constant after that."""
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
