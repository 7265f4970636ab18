"""Agents that stand because they stand: when they drive on, on which plan, and when not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.planners import AgentPlanner, Plan, Planner
from navsim_agents.closed_loop.restart import Patience, RestartingPlanner, drives_on, driving_on
from navsim_agents.closed_loop.stage import Stage
from navsim_agents.common.poses import X
from navsim_agents.drive_jepa.selection import Proposals
from navsim_agents.evaluation.baselines import ConstantVelocity
from tests.closed_loop.given import Standing, stage_of


def proposals(*reaches_m: float) -> Proposals:
    """Straight plans that end so far ahead; the first one is foreseen the best score."""
    ends = torch.tensor(reaches_m)[:, None] * torch.arange(1, 9) / 8.0
    poses = torch.stack((ends, torch.zeros_like(ends), torch.zeros_like(ends)), dim=-1)
    return Proposals(poses, torch.linspace(0.9, 0.1, len(reaches_m)), torch.zeros(11))


def asked(after_s: float, speeds: list[float]) -> list[bool]:
    """Each half second."""
    patience = Patience(after_s)
    return [patience.is_over(0.5 * index, speed) for index, speed in enumerate(speeds)]


def test_who_has_stood_for_two_seconds_drives_on_for_four() -> None:
    assert asked(2.0, [3.0, *[0.0] * 5, *[1.0] * 10]) == [False] * 5 + [True] * 8 + [False] * 3


def test_who_moves_in_between_waits_anew() -> None:
    assert asked(2.0, [0.0] * 4 + [0.5] + [0.0] * 5) == [False] * 9 + [True]


def test_who_moves_never_drives_on() -> None:
    assert not any(asked(1.0, [0.2] * 20))


def test_the_best_of_the_proposals_that_drive_on() -> None:
    assert driving_on(proposals(0.0, 5.0, 9.0))[-1].tolist() == [5.0, 0.0, 0.0]
    assert drives_on(driving_on(proposals(0.0, 3.5)))


def test_it_creeps_straight_ahead_where_none_does() -> None:
    for nothing in (None, proposals(0.0, 2.9)):
        np.testing.assert_array_equal(driving_on(nothing), [[metres, 0.0, 0.0] for metres in range(1, 9)])


class Choosing(AgentPlanner):
    """Stays as well, and has proposals."""

    def __init__(self) -> None:
        super().__init__(ConstantVelocity())

    def plan(self, stage: Stage, witness: Witness, decision: Any) -> Plan:
        return np.zeros((8, 3))

    def proposals(self, witness: Witness) -> Proposals:
        return proposals(0.0, 5.0)


def reaches(planner: RestartingPlanner, stage: Stage, num_plans: int) -> list[float]:
    """How far each plan leads of a car that stands, half a second apart."""
    stage.hand_over(is_expert=False)
    stage.car.stop()
    witness, decision, found = Witness(stage, {}, None, 0), stage.decide(), []
    for _ in range(num_plans):
        found.append(float(planner.plan(stage, witness, decision)[-1, X]))
        stage.step += 5
    return found


@pytest.mark.parametrize(("planner", "metres"), [(Choosing(), 5.0), (Standing(), 8.0)])
def test_who_stands_drives_on_by_its_proposals_or_creeps(planner: Planner, metres: float) -> None:
    """After 1 s; on the next route it waits anew, though the first one ended while it drove on."""
    restarting = RestartingPlanner(planner, 1.0)
    for _ in range(2):
        assert reaches(restarting, stage_of("light_straight"), 4) == [0.0, 0.0, metres, metres]


def test_a_plan_of_its_own_that_drives_on_is_kept() -> None:
    own = Choosing()
    own.plan = lambda *given: driving_on(proposals(7.0))  # type: ignore[method-assign]
    assert reaches(RestartingPlanner(own, 1.0), stage_of("light_straight"), 4) == [7.0] * 4
