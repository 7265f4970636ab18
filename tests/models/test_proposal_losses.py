"""Losses of the perception-based planner, each against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from navsim_agents.errors import InputError
from navsim_agents.models.config import PAPER_LOSSES, ProposalLossConfig
from navsim_agents.models.losses import (
    area_loss,
    closest_distance,
    collision_loss,
    score_loss,
    trajectory_and_distillation_loss,
    weighted_total,
)

RELEASED = ProposalLossConfig()


def line(x: float, heading: float = 0.0) -> list[list[float]]:
    """Two poses."""
    return [[x, 0.0, heading], [2 * x, 0.0, heading]]


# B=2, L=3, N=2, T=2. Distance of line(a) to line(b): (|a - b| + 2 |a - b|) / 2.
PROPOSALS = torch.tensor(
    [
        [[line(0), line(10)], [line(1), line(5)], [line(2), line(4)]],
        [[line(0), line(1)], [line(0), line(1)], [line(0), line(1)]],
    ],
    requires_grad=True,
)
HUMAN = torch.tensor([line(2), line(0, heading=0.5)])
TEACHERS = torch.tensor([[line(4), line(6), line(100)], [line(100)] * 3])
VALID = torch.tensor([[True, True, False], [False, False, False]])
IMITATION = [(3.0 + 0.5) / 2, (1.5 + 0.5) / 2, (0.0 + 0.5) / 2]  # of each stage, mean over both scenes


def loss(config: ProposalLossConfig = RELEASED, valid: Tensor = VALID) -> Tensor:
    return trajectory_and_distillation_loss(PROPOSALS, HUMAN, TEACHERS, valid, config).total


def test_distance_to_the_closest_proposal() -> None:
    distance = closest_distance(PROPOSALS[0, 0], torch.tensor(line(9, heading=-0.25)))
    assert distance.item() == pytest.approx(1.5 + 0.25)


def test_released_trajectory_loss() -> None:
    terms = trajectory_and_distillation_loss(PROPOSALS, HUMAN, TEACHERS, VALID, RELEASED)
    # Scene 0: teachers 4 and 6 are (6, 6), (1.5, 1.5) and (0, 3) away from the closest; scene 1 has none and counts.
    distillation = [6.0 / 2, 1.5 / 2, 1.5 / 2]
    assert terms.imitation.tolist() == pytest.approx(IMITATION)
    assert terms.distillation.tolist() == pytest.approx(distillation)
    stages = [i + 0.5 * d for i, d in zip(IMITATION, distillation)]
    assert terms.total.item() == pytest.approx(stages[2] + 0.1 * stages[1] + 0.01 * stages[0])


def test_paper_trajectory_loss_sums_the_teachers() -> None:
    distillation = [12.0 / 2, 3.0 / 2, 3.0 / 2]
    stages = [i + d for i, d in zip(IMITATION, distillation)]
    assert loss(PAPER_LOSSES).item() == pytest.approx(stages[2] + 0.1 * stages[1] + 0.01 * stages[0])


def test_teachers_may_be_drawn_for_each_stage() -> None:
    """Equal draws are as good as one draw; another draw for the first stage changes that stage alone."""
    each = TEACHERS.unsqueeze(1).repeat(1, 3, 1, 1, 1)
    each_valid = VALID.unsqueeze(1).repeat(1, 3, 1)
    once = trajectory_and_distillation_loss(PROPOSALS, HUMAN, TEACHERS, VALID, RELEASED)
    same = trajectory_and_distillation_loss(PROPOSALS, HUMAN, each, each_valid, RELEASED)
    assert torch.equal(same.total, once.total)
    each_valid[0, 0, 0] = False
    other = trajectory_and_distillation_loss(PROPOSALS, HUMAN, each, each_valid, RELEASED)
    assert torch.equal(other.distillation[1:], once.distillation[1:])
    each[0, 0, 1] = torch.tensor(line(9))
    other = trajectory_and_distillation_loss(PROPOSALS, HUMAN, each, each_valid, RELEASED)
    assert other.distillation[0].item() == pytest.approx(1.5 / 2)


def test_without_teachers_imitation_is_left() -> None:
    imitation = IMITATION[2] + 0.1 * IMITATION[1] + 0.01 * IMITATION[0]
    assert loss(valid=torch.zeros_like(VALID)).item() == pytest.approx(imitation)
    empty = trajectory_and_distillation_loss(PROPOSALS, HUMAN, TEACHERS[:, :0], VALID[:, :0], RELEASED)
    assert empty.total.item() == pytest.approx(imitation)
    assert empty.distillation.tolist() == [0.0, 0.0, 0.0]


def test_garbage_in_empty_places_is_not_read() -> None:
    torn = TEACHERS.masked_fill(~VALID[..., None, None], math.nan)
    total = trajectory_and_distillation_loss(PROPOSALS, HUMAN, torn, VALID, RELEASED).total
    assert torch.equal(total, loss())
    (gradient,) = torch.autograd.grad(total, PROPOSALS)
    assert gradient.isfinite().all()


def test_fewer_scenes_than_stages_lose_no_stage() -> None:
    """The released code pairs stages with scenes, and so drops stages of small batches."""
    total = trajectory_and_distillation_loss(PROPOSALS[:1], HUMAN[:1], TEACHERS[:1], VALID[:1], RELEASED).total
    stages = [3.0 + 0.5 * 6.0, 1.5 + 0.5 * 1.5, 0.0 + 0.5 * 1.5]
    assert total.item() == pytest.approx(stages[2] + 0.1 * stages[1] + 0.01 * stages[0])


def binary_cross_entropy(logit: float, target: float) -> float:
    probability = 1 / (1 + math.exp(-logit))
    return -target * math.log(probability) - (1 - target) * math.log(1 - probability)


def test_score_loss_reads_the_last_logit() -> None:
    logits = torch.full((1, 2, 6), 50.0)
    logits[0, :, -1] = torch.tensor([0.7, -2.0])
    expected = (binary_cross_entropy(0.7, 0.9) + binary_cross_entropy(-2.0, 0.0)) / 2
    assert score_loss(logits, torch.tensor([[0.9, 0.0]])).item() == pytest.approx(expected)


def test_area_loss() -> None:
    logits = torch.tensor([[[[1.0, -1.0], [2.0, 0.0], [0.5, -3.0]]]])
    areas = torch.tensor([[[[True, False], [False, True], [True, True]]]])
    pairs = [(1, 1), (-1, 0), (2, 0), (0, 1), (0.5, 1), (-3, 1)]
    expected = sum(binary_cross_entropy(*pair) for pair in pairs) / 6
    assert area_loss(logits, areas).item() == pytest.approx(expected)


def test_collision_loss_reads_corners_of_valid_agents() -> None:
    logits = torch.tensor([[[[1.0, -2.0, 0.0], [3.0, 0.5, -1.0]]]])  # B=1, N=1, 2 agents, S=3
    is_valid = torch.tensor([[[[True, False, False], [False, False, True]]]])
    corners = torch.zeros(1, 1, 2, 3, 4, 2)
    true_corners = torch.full_like(corners, math.nan)
    true_corners[0, 0, 0, 0] = 1.0
    true_corners[0, 0, 1, 2] = torch.tensor([[-2.0, 4.0]] * 4)
    presence, distance = collision_loss(corners, logits, true_corners, is_valid)
    pairs = [(1, 1), (-2, 0), (0, 0), (3, 0), (0.5, 0), (-1, 1)]
    assert presence.item() == pytest.approx(sum(binary_cross_entropy(*pair) for pair in pairs) / 6)
    assert distance.item() == pytest.approx((1.0 + 3.0) / 2)


def test_corners_without_agents_give_zero_and_a_gradient_of_zero() -> None:
    corners = torch.ones(1, 2, 2, 3, 4, 2, requires_grad=True)
    nobody = torch.zeros(1, 2, 2, 3, dtype=torch.bool)
    _, distance = collision_loss(corners, torch.zeros(1, 2, 2, 3), torch.full_like(corners, math.nan), nobody)
    distance.backward()
    assert distance.item() == 0.0
    assert corners.grad.abs().max() == 0.0


TERMS = {
    "trajectory": torch.tensor(1.0),
    "score": torch.tensor(10.0),
    "area": torch.tensor(100.0),
    "collision_validity": torch.tensor(1000.0),
    "collision_corners": torch.tensor(10000.0),
}


def test_weights_of_the_released_code_and_of_the_paper() -> None:
    assert weighted_total(TERMS, RELEASED).item() == pytest.approx(1 + 10 + 200 + 1000 + 1000)
    assert weighted_total(TERMS, PAPER_LOSSES).item() == pytest.approx(1 + 10 + 200 + 100 + 10000)


def test_a_term_without_a_weight_is_refused() -> None:
    with pytest.raises(InputError, match=r"\['comfort'\] have none"):
        weighted_total({"comfort": torch.tensor(1.0)}, RELEASED)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"area_weight": -1.0}, "area_weight=-1.0 must not be negative"),
        ({"stage_decay": math.nan}, "stage_decay=nan must not be negative"),
        ({"teacher_reduction": "max"}, "teacher_reduction='max' must be one of mean, sum"),
    ],
)
def test_weights_are_checked(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(RELEASED, **wrong)
