"""Parts of a scoring scene from arrays on the map, for whoever builds scenes without a devkit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from navsim_agents.common.poses import POSE, FloatArray, points_to_local, poses_to_local


def as_tensor(values: FloatArray) -> Tensor:
    """A tensor of its own memory, float64."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))


def ring_offsets(rings: Sequence[FloatArray]) -> Tensor:
    """First vertex of each ring, and the end."""
    return torch.from_numpy(np.cumsum([0, *(len(ring) for ring in rings)], dtype=np.int64))


def local_states(
    states: Float64[np.ndarray, "*batch 11"], origin: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "*batch 11"]:
    """``states`` with their poses in the frame of the pose ``origin``."""
    moved = states.copy()
    moved[..., POSE] = poses_to_local(states[..., POSE], origin)
    return moved


def area_fields(
    layers: Sequence[str],
    tokens: Sequence[str],
    rings: Sequence[FloatArray],
    on_route: Sequence[bool],
    origin: Float64[np.ndarray, "3"],
) -> dict[str, Any]:
    """The fields of P polygons of one ring each, without holes.

    Args:
        layers: of the map, P of them.
        tokens: their names in the map.
        rings: [V, 2] each, on the map [m].
        on_route: whether the route leads over them.
        origin: the ego's rear axle on the map, the frame of the scene.
    """
    count = len(rings)
    return {
        "ring_xy": as_tensor(points_to_local(np.concatenate(rings), origin)),
        "ring_offsets": ring_offsets(rings),
        "ring_polygon": torch.arange(count),
        "ring_is_hole": torch.zeros(count, dtype=torch.bool),
        "polygon_layer": tuple(layers),
        "polygon_token": tuple(tokens),
        "polygon_on_route": torch.tensor(on_route, dtype=torch.bool),
    }
