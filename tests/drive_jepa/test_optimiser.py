"""Groups, freezing and schedule."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from navsim_agents.drive_jepa.config import OptimiserConfig
from navsim_agents.drive_jepa.optimiser import build_optimiser, lr_factor, parameter_groups
from navsim_agents.errors import InputError


class Planner(nn.Module):
    """Two matrices, two vectors, one embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(2, 3)
        self.head = nn.Linear(3, 5)
        self.query_embedding = nn.Parameter(torch.zeros(7, 3))


def shapes(group: dict[str, Any]) -> set[tuple[int, ...]]:
    return {tuple(parameter.shape) for parameter in group["params"]}


def test_without_factor_and_decay_there_is_one_group() -> None:
    (group,) = parameter_groups(Planner(), OptimiserConfig(lr=0.5))
    assert len(group["params"]) == 5
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.0)


def test_encoder_learns_at_its_factor() -> None:
    slow, fast = parameter_groups(Planner(), OptimiserConfig(lr=0.5, encoder_lr_factor=0.1))[::-1]
    if slow["lr"] > fast["lr"]:
        slow, fast = fast, slow
    assert (slow["lr"], shapes(slow)) == (0.05, {(3, 2), (3,)})
    assert (fast["lr"], shapes(fast)) == (0.5, {(5, 3), (5,), (7, 3)})


def test_only_matrices_decay() -> None:
    groups = parameter_groups(Planner(), OptimiserConfig(weight_decay=0.2))
    by_decay = {group["weight_decay"]: shapes(group) for group in groups}
    assert by_decay == {0.2: {(3, 2), (5, 3)}, 0.0: {(3,), (5,), (7, 3)}}
    assert isinstance(build_optimiser(Planner(), OptimiserConfig(weight_decay=0.2), None), torch.optim.AdamW)


def test_frozen_parameters_are_in_no_group() -> None:
    planner = Planner()
    planner.encoder.requires_grad_(False)
    (group,) = parameter_groups(planner, OptimiserConfig())
    assert len(group["params"]) == 3


def test_default_is_plain_adam() -> None:
    optimiser = build_optimiser(Planner(), OptimiserConfig(), None)
    assert type(optimiser) is torch.optim.Adam
    assert optimiser.param_groups[0]["lr"] == 1e-4


def test_cosine_worked_by_hand() -> None:
    config = OptimiserConfig(schedule="cosine", warmup_steps=3, final_lr_factor=0.2)
    factors = [lr_factor(step, config, 11) for step in (0, 1, 2, 3, 7, 11, 15)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1.0, 0.6, 0.2, 0.2])


def test_warm_up_alone_stays_at_the_full_rate() -> None:
    config = OptimiserConfig(warmup_steps=1)
    assert [lr_factor(step, config, None) for step in (0, 1, 50)] == [0.5, 1.0, 1.0]


def test_schedule_has_lightnings_form_and_steps_every_group() -> None:
    config = OptimiserConfig(lr=0.4, encoder_lr_factor=0.5, schedule="cosine")
    built = build_optimiser(Planner(), config, total_steps=2)
    optimiser, schedule = built["optimizer"], built["lr_scheduler"]["scheduler"]
    assert built["lr_scheduler"]["interval"] == "step"
    optimiser.step()
    schedule.step()
    assert sorted(group["lr"] for group in optimiser.param_groups) == pytest.approx([0.1, 0.2])


def test_cosine_without_an_end_is_refused() -> None:
    with pytest.raises(InputError, match=r"schedule='cosine' needs the number of optimiser steps.*total_steps"):
        build_optimiser(Planner(), OptimiserConfig(schedule="cosine"), None)


def test_warm_up_longer_than_the_training_is_refused() -> None:
    with pytest.raises(InputError, match="warmup_steps=5 must be fewer than the 5 optimiser steps"):
        build_optimiser(Planner(), OptimiserConfig(schedule="cosine", warmup_steps=5), 5)
