"""Imitation losses between planned and driven trajectories, in the ego frame of now."""

from __future__ import annotations

from typing import Callable

import torch
from jaxtyping import Float
from torch import Tensor

ARC_OFFSET_M = 5.0
"""Released Drive-JEPA code: keeps the weight of a scene in which the ego stands still finite."""
WEIGHT_EPS = 1e-6
"""Released Drive-JEPA code: added to the sum of the weights before dividing by it."""


def arc_length(trajectory: Float[Tensor, "*batch T 3"]) -> Float[Tensor, "*batch"]:
    """Length [m] of the polyline through the T poses; the way from the origin to the first one does not count."""
    steps = trajectory[..., :2].diff(dim=-2)  # [*batch, T - 1, 2]
    return torch.linalg.vector_norm(steps, dim=-1).sum(dim=-1)


def length_normalised_weights(human: Float[Tensor, "B T 3"]) -> Float[Tensor, " B"]:
    """One weight a scene, mean 1, that falls with the driven distance (released Drive-JEPA code)."""
    weights = 1.0 / (ARC_OFFSET_M + arc_length(human))
    return weights * (weights.numel() / (weights.sum() + WEIGHT_EPS))


def length_normalised_l1(predicted: Float[Tensor, "B T 3"], human: Float[Tensor, "B T 3"]) -> Float[Tensor, ""]:
    """Mean over scenes of weight · mean |x, y, heading difference| (released Drive-JEPA code; its default here)."""
    per_scene = (predicted - human).abs().mean(dim=(1, 2))  # [B]
    return (length_normalised_weights(human) * per_scene).mean()


def mean_squared_error(predicted: Float[Tensor, "B T 3"], human: Float[Tensor, "B T 3"]) -> Float[Tensor, ""]:
    """Mean of squared differences of x, y [m] and heading [rad] (the loss that the paper states)."""
    return torch.nn.functional.mse_loss(predicted, human)


TRAJECTORY_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "length_normalised_l1": length_normalised_l1,
    "mse": mean_squared_error,
}
"""Name in the agent's config → loss."""


def displacement(
    predicted: Float[Tensor, "*batch T 3"], human: Float[Tensor, "*batch T 3"]
) -> Float[Tensor, "*batch T"]:
    """Distance [m] between planned and driven position at each time."""
    return torch.linalg.vector_norm(predicted[..., :2] - human[..., :2], dim=-1)
