"""One training step's loss of the full planner: labels, teachers, terms, and what is logged beside them."""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor

from navsim_agents.common.conventions import POSE_INTERVAL_S
from navsim_agents.distillation.teachers import (
    sample_teachers,
    sample_teachers_per_stage,
    scene_generator,
    teacher_poses,
)
from navsim_agents.drive_jepa.label_source import open_vocabulary
from navsim_agents.drive_jepa.online_scoring import ProposalLabels
from navsim_agents.drive_jepa.proposal_config import PER_STAGE, ProposalAgentConfig
from navsim_agents.models.losses import (
    area_loss,
    collision_loss,
    displacement,
    score_loss,
    trajectory_and_distillation_loss,
    weighted_total,
)
from navsim_agents.models.proposals import ProposalOutput

Terms = dict[str, Tensor]
Key = tuple[Any, ...]


def key_generator(purpose: str, key: Key, seed: int) -> torch.Generator:
    """A generator on the CPU that depends on the purpose, the step and the seed only."""
    return scene_generator("/".join((purpose, *map(str, key))), seed)


def draw_teachers(rows: Tensor, config: ProposalAgentConfig, key: Key) -> tuple[Tensor, Tensor]:
    """Pseudo-teachers of a step from each scene's rows [B, cap]: poses [B, L or none, M, T, 3] and validity.

    Args:
        rows: of the vocabulary, padded with -1.
        config: how many, and whether each stage gets its own.
        key: names the step.
    """
    generator = key_generator("teachers", key, config.seed)
    rows_cpu = rows.cpu()
    if config.teacher_draw == PER_STAGE:
        drawn = sample_teachers_per_stage(rows_cpu, config.num_teachers, config.num_stages, generator)
        drawn = drawn.transpose(0, 1)  # [B, L, M]
    else:
        drawn = sample_teachers(rows_cpu, config.num_teachers, generator)  # [B, M]
    planned = open_vocabulary(str(config.vocabulary)).planned(config.num_poses, POSE_INTERVAL_S)
    poses, is_real = teacher_poses(planned, drawn)
    return poses.to(rows.device), is_real.to(rows.device)


def step_loss(
    output: ProposalOutput,
    human: Tensor,
    labels: ProposalLabels,
    teachers: Optional[tuple[Tensor, Tensor]],
    config: ProposalAgentConfig,
) -> tuple[Tensor, Terms]:
    """The scalar to minimise, and its terms before their weights.

    Args:
        output: of the planner; without auxiliary answers (in evaluation) their terms are left out.
        human: driven trajectory [B, T, 3].
        labels: of the last stage's proposals.
        teachers: poses and validity of the pseudo-teachers, where there is distillation.
        config: weights.
    """
    poses, is_real = teachers if teachers is not None else _nobody(human)
    trajectory = trajectory_and_distillation_loss(output.proposals, human, poses, is_real, config.losses)
    weighted = {"trajectory": trajectory.total, "score": score_loss(output.score_logits, labels.score)}
    if output.area_logits is not None:
        weighted["area"] = area_loss(output.area_logits, labels.areas)
    if output.collision_corners is not None and output.collision_validity_logits is not None:
        weighted["collision_validity"], weighted["collision_corners"] = collision_loss(
            output.collision_corners, output.collision_validity_logits, labels.corners, labels.is_valid
        )
    terms = {f"{name}_loss": value for name, value in weighted.items()}
    stages = {"imitation": trajectory.imitation}
    if teachers is not None:
        stages["distillation"] = trajectory.distillation
    for name, values in stages.items():
        terms.update({f"{name}_loss_stage{stage}": value for stage, value in enumerate(values)})
    return weighted_total(weighted, config.losses), terms


@torch.no_grad()
def step_metrics(output: ProposalOutput, human: Tensor, labels: ProposalLabels) -> Terms:
    """What the proposals are worth: means over the batch.

    ``score`` and ``selected_<sub-score>`` are the simulator's of the proposal that would be driven, ``best_score`` the
    best one's of N, ``score_error`` the difference between foreseen and true score of the former.
    """
    best = output.best[:, None]
    chosen = output.final[torch.arange(len(human), device=human.device), output.best]
    distance = displacement(chosen, human)  # [B, T]
    selected = labels.score.gather(1, best)
    metrics = {
        "score": selected.mean(),
        "best_score": labels.score.amax(1).mean(),
        "mean_score": labels.score.mean(),
        "score_error": (output.scores.gather(1, best) - selected).abs().mean(),
        "ade_m": distance.mean(),
        "fde_m": distance[:, -1].mean(),
    }
    parts = {f"selected_{name}": value.gather(1, best).float().mean() for name, value in labels.sub_scores.items()}
    return {**metrics, **parts}


def _nobody(human: Tensor) -> tuple[Tensor, Tensor]:
    """No pseudo-teacher for any scene."""
    return human.new_zeros(len(human), 0, *human.shape[1:]), human.new_zeros(len(human), 0, dtype=torch.bool)
