"""Losses of both planners, as pure functions of tensors in the ego frame of now [m, rad].

The perception-free planner imitates the driven trajectory; the full one has imitation with distillation, score, areas
and collisions. Defaults are the released code's; the paper's variants are ``PAPER_LOSSES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from navsim_agents.common.poses import XY
from navsim_agents.errors import InputError
from navsim_agents.models.config import LIST_WISE, PAIR_WISE, TRAJECTORY_LOSS_NAMES, ProposalLossConfig

ARC_OFFSET_M = 5.0
"""Released Drive-JEPA code: keeps the weight of a scene in which the ego stands still finite."""
WEIGHT_EPS = 1e-6
"""Released Drive-JEPA code: added to the sum of the weights before dividing by it."""


def arc_length(trajectory: Float[Tensor, "*batch T 3"]) -> Float[Tensor, "*batch"]:
    """Length [m] of the polyline through the T poses; the way from the origin to the first one does not count."""
    steps = trajectory[..., XY].diff(dim=-2)  # [*batch, T - 1, 2]
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


TRAJECTORY_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = dict(
    zip(TRAJECTORY_LOSS_NAMES, (length_normalised_l1, mean_squared_error))
)
"""Name in the agent's config → loss."""


def displacement(
    predicted: Float[Tensor, "*batch T 3"], human: Float[Tensor, "*batch T 3"]
) -> Float[Tensor, "*batch T"]:
    """Distance [m] between planned and driven position at each time."""
    return torch.linalg.vector_norm(predicted[..., XY] - human[..., XY], dim=-1)


class TrajectoryLoss(NamedTuple):
    """Imitation and distillation, per stage, and their weighted total."""

    total: Float[Tensor, ""]
    imitation: Float[Tensor, " L"]
    distillation: Float[Tensor, " L"]  # before its weight


def closest_distance(
    proposals: Float[Tensor, "*batch N T 3"], trajectory: Float[Tensor, "*#batch T 3"]
) -> Float[Tensor, "*batch"]:
    """Distance of ``trajectory`` to the closest proposal: mean over time of |dx| + |dy| [m] + |dheading| [rad]."""
    return (proposals - trajectory.unsqueeze(-3)).abs().sum(-1).mean(-1).amin(-1)


def trajectory_and_distillation_loss(
    proposals: Float[Tensor, "B L N T 3"],
    human: Float[Tensor, "B T 3"],
    teachers: Float[Tensor, "B *stages M T 3"],
    teacher_valid: Bool[Tensor, "B *stages M"],
    config: ProposalLossConfig,
) -> TrajectoryLoss:
    """Every stage should have one proposal near the human's trajectory and one near each pseudo-teacher.

    Args:
        proposals: of every stage.
        human: driven trajectory.
        teachers: pseudo-teachers drawn for the scene, M places; with an axis of L before it, drawn anew for each stage.
        teacher_valid: which places hold one. A scene without any adds 0, but counts in the mean over scenes.
        config: weights and reduction.
    """
    if teachers.ndim == human.ndim + 1:
        teachers, teacher_valid = teachers.unsqueeze(1), teacher_valid.unsqueeze(1)
    teachers = teachers.masked_fill(~teacher_valid[..., None, None], 0.0)  # whatever empty places hold
    imitation = closest_distance(proposals, human.unsqueeze(1)).mean(0)  # [L]
    # One place at a time: all at once would hold M times the proposals.
    distances = [closest_distance(proposals, teacher) for teacher in teachers.unbind(2)]
    if not distances:
        return TrajectoryLoss(_over_stages(imitation, config.stage_decay), imitation, torch.zeros_like(imitation))
    valid = teacher_valid.to(proposals.dtype)
    per_scene = torch.stack(distances, dim=2).masked_fill(~teacher_valid, 0.0).sum(2)  # [B, L]
    if config.teacher_reduction == "mean":
        per_scene = per_scene / valid.sum(2).clamp(min=1.0)
    distillation = per_scene.mean(0)
    total = _over_stages(imitation + config.teacher_weight * distillation, config.stage_decay)
    return TrajectoryLoss(total, imitation, distillation)


def _over_stages(per_stage: Float[Tensor, " L"], decay: float) -> Float[Tensor, ""]:
    """Sum with weight 1 for the last stage and ``decay`` times less for every one before it."""
    ages = torch.arange(len(per_stage) - 1, -1, -1, device=per_stage.device, dtype=per_stage.dtype)
    return (per_stage * decay**ages).sum()


def score_loss(score_logits: Float[Tensor, "B N K"], scores: Float[Tensor, "B N"]) -> Float[Tensor, ""]:
    """Cross-entropy between the last logit and the simulator's score in [0, 1]; the other logits are not trained."""
    return binary_cross_entropy_with_logits(score_logits[..., -1], scores.to(score_logits.dtype))


def sub_score_loss(score_logits: Float[Tensor, "B N K"], sub_scores: Float[Tensor, "B N parts"]) -> Float[Tensor, ""]:
    """Cross-entropy between the logits before the last and the simulator's sub-scores in [0, 1], in that order."""
    return binary_cross_entropy_with_logits(score_logits[..., :-1], sub_scores.to(score_logits.dtype))


def list_wise_loss(logits: Float[Tensor, "B N"], scores: Float[Tensor, "B N"], temperature: float) -> Float[Tensor, ""]:
    """Divergence [nats] of softmax(foreseen / temperature) from softmax(true / temperature), over a scene's N.

    ``logits`` are of foreseen scores, which are compared in the unit of scores.
    """
    wanted = (scores.to(logits.dtype) / temperature).log_softmax(dim=-1)
    found = (logits.sigmoid() / temperature).log_softmax(dim=-1)
    return (wanted.exp() * (wanted - found)).sum(-1).mean()


def pair_wise_loss(logits: Float[Tensor, "B N"], scores: Float[Tensor, "B N"], temperature: float) -> Float[Tensor, ""]:
    """Each pair of a scene in the true order: -log sigmoid(foreseen difference / temperature), by true difference.

    A pair counts by how much its true scores differ, so that ties count nothing; 0 where all are tied.
    """
    wanted = scores.unsqueeze(-1) - scores.unsqueeze(-2)  # [B, N, N]
    found = logits.sigmoid()
    margins = (found.unsqueeze(-1) - found.unsqueeze(-2)) / temperature
    weights = wanted.clamp(min=0.0).to(logits.dtype)
    return (weights * softplus(-margins)).sum() / weights.sum().clamp(min=WEIGHT_EPS)


RANKING_LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    LIST_WISE: list_wise_loss,
    PAIR_WISE: pair_wise_loss,
}
"""Name in the agent's config → loss."""


def area_loss(area_logits: Float[Tensor, "B N S 2"], ego_areas: Bool[Tensor, "B N S 2"]) -> Float[Tensor, ""]:
    """Cross-entropy between the logits and whether the simulated ego is (off the drivable area, off the route)."""
    return binary_cross_entropy_with_logits(area_logits, ego_areas.to(area_logits.dtype))


def collision_loss(
    corners: Float[Tensor, "B N 2 S 4 2"],
    validity_logits: Float[Tensor, "B N 2 S"],
    true_corners: Float[Tensor, "B N 2 S 4 2"],
    is_valid: Bool[Tensor, "B N 2 S"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Of the two key agents: cross-entropy of their presence, and mean |difference| [m] of their corners.

    Args:
        corners: foreseen corners (x, y).
        validity_logits: foreseen presence.
        true_corners: read only where ``is_valid``.
        is_valid: whether the proposal has this key agent, and it is there at this state.

    Returns:
        Presence and corners; corners give 0 where no agent is valid.
    """
    presence = binary_cross_entropy_with_logits(validity_logits, is_valid.to(validity_logits.dtype))
    difference = torch.where(is_valid[..., None, None], corners - true_corners, torch.zeros_like(corners)).abs()
    num_numbers = is_valid.sum() * corners.shape[-2] * corners.shape[-1]
    return presence, difference.sum() / num_numbers.clamp(min=1)


def weighted_total(terms: Mapping[str, Tensor], config: ProposalLossConfig) -> Float[Tensor, ""]:
    """Sum of ``terms`` by their weights: trajectory, score, area, collision_validity, collision_corners.

    Raises:
        InputError: a term has no weight.
    """
    unknown = [name for name in terms if f"{name}_weight" not in config.__dataclass_fields__]
    if unknown or not terms:
        raise InputError(f"loss terms {list(terms)}: each needs a weight in ProposalLossConfig, {unknown} have none")
    return torch.stack([getattr(config, f"{name}_weight") * value for name, value in terms.items()]).sum()
