"""Types of the kernels' arrays, and the names of their columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from navsim_agents.common.poses import HEADING as HEADING
from navsim_agents.common.poses import X as X
from navsim_agents.common.poses import Y as Y

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
END_X, END_Y = 2, 3
"""Behind X and Y: the other end of a segment."""
RADIUS = 2
"""Behind X and Y of a circle."""
COS, SIN = 0, 1
LENGTH, WIDTH = 0, 1
NUM_COLUMNS, NUM_ROWS = 0, 1
"""Columns of the shape of cells."""
