"""The outline of one box; boxes as arrays are those of :mod:`navsim_agents.common.planar`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from navsim_agents.common.planar import corners


def box_outline(
    center: Float64[np.ndarray, "2"], heading: float, length_m: float, width_m: float
) -> Float64[np.ndarray, "4 2"]:
    """Corners of one box around ``center``, counter-clockwise from front left."""
    return corners(np.array([*center, heading, length_m, width_m]))
