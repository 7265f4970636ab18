"""Which pixels look at the sky and which at the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from navsim_agents.world.camera.view import View
from navsim_agents.world.types import Z


@dataclass(frozen=True, eq=False)
class Horizon:
    """Rows [0, num_sky_rows) hold sky, rows [first_ground_row, height) ground; they overlap where the camera rolls."""

    num_sky_rows: int
    first_ground_row: int
    is_ground: Bool[np.ndarray, "rows W"]  # [num_sky_rows - first_ground_row, width], of the rows that hold both


def find_horizon(view: View) -> Horizon:
    """Split the picture of ``view`` where its rays turn from rising to falling."""
    width, height = view.camera.width, view.camera.height
    # A ray's climb is affine in the pixel: per_u * u + per_v * v + constant.
    per_u, per_v, constant = (view.rotation @ np.linalg.inv(view.camera.intrinsics))[Z]
    if per_v < -1e-9:
        rows = -(per_u * np.array([0.0, width - 1.0]) + constant) / per_v
        first, last = int(np.clip(np.ceil(rows.min()), 0, height)), int(np.clip(np.ceil(rows.max()), 0, height))
    else:  # upside down, or straight up or down: no row is known to be one or the other
        first, last = 0, height
    climb = per_u * np.arange(width)[None, :] + (per_v * np.arange(first, last) + constant)[:, None]
    return Horizon(last, first, climb < 0.0)
