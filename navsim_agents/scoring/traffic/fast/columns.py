"""Names of columns that several tables here have; those of a table alone stand beside it."""

from __future__ import annotations

LOW_X, LOW_Y, HIGH_X, HIGH_Y = range(4)
"""Of a bounding box [m]."""
BEGIN, END = range(2)
"""Of a range of chunks; the end is behind the last."""
