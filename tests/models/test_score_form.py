"""A score put together of foreseen sub-scores, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from navsim_agents.errors import InputError
from navsim_agents.models.score_form import ScoreForm

FORM = ScoreForm(("gate", "other gate"), (("progress", 5.0), ("comfort", 3.0)))


def logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def test_score_is_gates_times_the_weighted_mean() -> None:
    logits = torch.tensor([logit(0.9), logit(0.5), logit(0.2), logit(0.8)])
    assert FORM.whole_logit(logits).sigmoid().item() == pytest.approx(0.9 * 0.5 * (5 * 0.2 + 3 * 0.8) / 8, rel=1e-5)


def test_order_of_names_is_that_of_logits() -> None:
    assert FORM.names == ("gate", "other gate", "progress", "comfort")
    values = {name: torch.tensor([float(place), 9.0]) for place, name in enumerate(FORM.names)}
    assert FORM.stacked({"unused": torch.zeros(2), **values})[0].tolist() == [0.0, 1.0, 2.0, 3.0]


def test_certain_scores_stay_finite_and_keep_apart() -> None:
    """Where sigmoids round to 0 or 1, logits and gradients are numbers, and a worse gate is still worse."""
    logits = torch.tensor([[60.0] * 4, [-60.0] * 4, [-70.0, -60.0, -60.0, -60.0]], requires_grad=True)
    whole = FORM.whole_logit(logits)
    assert whole.isfinite().all()
    assert whole[0] > 10.0
    assert whole[1] > whole[2]
    whole.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_every_logit_raises_the_score() -> None:
    logits = torch.zeros(4, requires_grad=True)
    FORM.whole_logit(logits).backward()
    assert logits.grad is not None
    assert (logits.grad > 0.0).all()
    assert (logits.grad[2] / logits.grad[3]).item() == pytest.approx(5 / 3)


def test_what_makes_no_score_is_refused() -> None:
    with pytest.raises(InputError, match="weights above 0"):
        ScoreForm(("gate",), (("progress", 0.0),))
    with pytest.raises(InputError, match="needs both"):
        ScoreForm((), (("progress", 1.0),))
    with pytest.raises(InputError, match=r"lack .'comfort'."):
        FORM.stacked({name: torch.zeros(1) for name in FORM.names[:-1]})
