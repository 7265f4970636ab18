"""Plans that are shorter than the scorer's horizon, and the states that heads foresee."""

from __future__ import annotations

import math

import pytest
import torch

from navsim_agents.drive_jepa.continued import continued
from navsim_agents.drive_jepa.training_step import foreseen_steps
from navsim_agents.errors import InputError
from navsim_agents.models.config import BENCH2DRIVE_SAMPLING, NAVSIM_SAMPLING, PlanSampling


def arc(radius_m: float, turn: float, count: int) -> torch.Tensor:
    """Poses on a circle to the left, ``turn`` [rad] apart."""
    angle = turn * torch.arange(1, count + 1, dtype=torch.float64)
    return torch.stack((radius_m * angle.sin(), radius_m * (1 - angle.cos()), angle), dim=-1)


def test_a_plan_goes_on_along_its_arc() -> None:
    whole = arc(20.0, 0.12, 8)
    torch.testing.assert_close(continued(whole[:6], 8), whole)
    batch = torch.stack((whole, torch.zeros_like(whole)))[None]
    torch.testing.assert_close(continued(batch[..., :6, :], 8), batch)


def test_one_pose_goes_on_from_the_origin() -> None:
    torch.testing.assert_close(continued(torch.tensor([[2.0, 0.0, 0.0]]), 3)[:, 0], torch.tensor([2.0, 4.0, 6.0]))
    quarter = continued(torch.tensor([[1.0, 1.0, math.pi / 2]]), 2)
    torch.testing.assert_close(quarter[1], torch.tensor([0.0, 2.0, math.pi]), atol=1e-6, rtol=0.0)


def test_a_long_plan_stays() -> None:
    whole = arc(9.0, -0.2, 8)
    assert torch.equal(continued(whole, 8), whole)


def test_states_that_are_foreseen() -> None:
    states = list(range(40))
    assert states[foreseen_steps(NAVSIM_SAMPLING)] == states
    assert states[foreseen_steps(BENCH2DRIVE_SAMPLING)] == [4, 9, 14, 19, 24, 29]
    with pytest.raises(InputError, match="steps_per_pose=3"):
        foreseen_steps(PlanSampling(6, 3))
