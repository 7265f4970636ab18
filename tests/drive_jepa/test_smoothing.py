"""Scores averaged over near proposals before one is chosen."""

from __future__ import annotations

import math
from typing import Any, Callable

import pytest
import torch

from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.drive_jepa.checkpoints import training_record
from navsim_agents.drive_jepa.selection import smoothed
from navsim_agents.errors import SettingError
from tests.drive_jepa.planner_scenes import Drive

MakePlanner = Callable[..., ProposalAgent]


def lines(*ahead: float) -> torch.Tensor:
    """Plans of two poses that lie ``ahead`` metres away; headings differ, which counts nothing."""
    return torch.tensor([[[x, 0.0, x], [x, 3.0, -x]] for x in ahead])


def test_near_proposals_share_their_scores() -> None:
    """Distances 1, 4 and 5 m at a scale of 2 m."""
    found = smoothed(torch.tensor([0.2, 0.8, 0.6]), lines(0.0, 1.0, 5.0), 2.0)
    one, four, five = (math.exp(-metres / 2.0) for metres in (1.0, 4.0, 5.0))
    first = (0.2 + 0.8 * one + 0.6 * five) / (1 + one + five)
    last = (0.2 * five + 0.8 * four + 0.6) / (1 + five + four)
    assert found[0].item() == pytest.approx(first)
    assert found[2].item() == pytest.approx(last)


def test_a_lonely_peak_gives_way_to_a_group() -> None:
    scores, poses = torch.tensor([0.80, 0.75, 0.30, 0.78, 0.74]), lines(50.0, 0.0, 49.0, 0.5, 1.0)
    assert scores.argmax() == 0
    assert smoothed(scores, poses, 2.0).argmax() == 3
    assert smoothed(scores, poses, 1e-3).argmax() == 0


def test_scenes_are_apart_and_far_proposals_keep_their_scores() -> None:
    scores = torch.rand(2, 3, generator=torch.Generator().manual_seed(1))
    poses = torch.stack((lines(0.0, 1.0, 2.0), lines(0.0, 900.0, 1800.0)))
    found = smoothed(scores, poses, 2.0)
    torch.testing.assert_close(found[0], smoothed(scores[0], poses[0], 2.0))
    torch.testing.assert_close(found[1], scores[1])
    assert smoothed(scores, poses, 0.0) is scores


def test_an_agent_chooses_by_them(make_planner: MakePlanner) -> None:
    plain, agent = make_planner(), make_planner(selection={"smoothing_m": 3.0})
    agent_input = Drive().agent_input(4)
    raw, found = plain.propose(agent_input), agent.propose(agent_input)
    assert torch.equal(raw.poses, found.poses)
    torch.testing.assert_close(found.scores, smoothed(raw.scores, raw.poses, 3.0))
    assert not torch.allclose(found.scores, raw.scores, atol=1e-5)
    features = {name: value[None] for name, value in agent.build_features(agent_input).items()}
    with torch.no_grad():
        forward = agent(features)["trajectory"][0]
    torch.testing.assert_close(forward, found.poses[int(found.scores.argmax())])
    assert training_record(agent.config) == training_record(plain.config)  # any weights will do


def test_a_scale_below_zero_is_refused(make_planner: MakePlanner) -> None:
    settings: dict[str, Any] = {"selection": {"smoothing_m": -1.0}}
    with pytest.raises(SettingError, match=r"smoothing_m=-1.0, but must be 0 or more"):
        make_planner(**settings)
