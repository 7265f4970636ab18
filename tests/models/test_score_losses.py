"""What teaches scores beside the released cross-entropy, each against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from navsim_agents.errors import InputError
from navsim_agents.models.config import ProposalLossConfig
from navsim_agents.models.losses import list_wise_loss, pair_wise_loss, sub_score_loss


def logits_of(*scores: float) -> torch.Tensor:
    return torch.tensor([[math.log(score / (1 - score)) for score in scores]])


def test_sub_scores_are_all_logits_but_the_last() -> None:
    logits = torch.tensor([[[0.7, -2.0, 50.0]]])
    first = -0.5 * math.log(1 / (1 + math.exp(-0.7))) - 0.5 * math.log(1 - 1 / (1 + math.exp(-0.7)))
    second = -math.log(1 - 1 / (1 + math.exp(2.0)))
    assert sub_score_loss(logits, torch.tensor([[[0.5, 0.0]]])).item() == pytest.approx((first + second) / 2)


def test_list_wise_loss_is_a_divergence() -> None:
    true = torch.tensor([[0.8, 0.2]])
    wanted = [1 / (1 + math.exp(-3)), 1 / (1 + math.exp(3))]  # (0.8 - 0.2) / 0.2 = 3
    found = [1 / (1 + math.exp(1)), 1 / (1 + math.exp(-1))]  # (0.4 - 0.6) / 0.2 = -1
    expected = sum(w * math.log(w / f) for w, f in zip(wanted, found))
    assert list_wise_loss(logits_of(0.4, 0.6), true, 0.2).item() == pytest.approx(expected, rel=1e-5)
    assert list_wise_loss(logits_of(0.8, 0.2), true, 0.2).item() == pytest.approx(0.0, abs=1e-6)
    assert list_wise_loss(logits_of(0.7, 0.1), true, 0.2).item() == pytest.approx(0.0, abs=1e-6)  # differences count


def test_pair_wise_loss_weighs_pairs_by_their_difference() -> None:
    """Pairs (1, 0), (1, 0.5), (0.5, 0) of true scores; foreseen (0.5, 0.4, 0.6)."""
    true, found = torch.tensor([[1.0, 0.5, 0.0]]), logits_of(0.5, 0.4, 0.6)
    terms = [(1.0, -0.1), (0.5, 0.1), (0.5, -0.2)]
    expected = sum(weight * math.log(1 + math.exp(-margin / 0.1)) for weight, margin in terms) / 2.0
    assert pair_wise_loss(found, true, 0.1).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [list_wise_loss, pair_wise_loss])
def test_scenes_are_ranked_apart(loss: object) -> None:
    """A scene's own order counts alone: what another scene is worth changes nothing; ties teach no order."""
    logits = torch.cat((logits_of(0.9, 0.2), logits_of(0.3, 0.1))).requires_grad_()
    loss(logits, torch.tensor([[0.2, 0.9], [0.5, 0.5]]), 0.1).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0] > 0.0 > logits.grad[0, 1]
    if loss is pair_wise_loss:
        assert logits.grad[1].tolist() == [0.0, 0.0]


def test_ties_alone_are_no_nan() -> None:
    logits = logits_of(0.5, 0.3).requires_grad_()
    loss = pair_wise_loss(logits, torch.tensor([[0.4, 0.4]]), 0.1)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0, 0.0]]


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="ranking='best' must be one of none, list_wise, pair_wise"):
        ProposalLossConfig(ranking="best")
    with pytest.raises(InputError, match=r"ranking_temperature=0.0 must be positive"):
        ProposalLossConfig(ranking_temperature=0.0)
    with pytest.raises(InputError, match=r"given_weight=-1.0 must not be negative"):
        ProposalLossConfig(given_weight=-1.0)
