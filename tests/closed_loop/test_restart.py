"""Agents that stand because they stand: when they drive on, on which plan, and when not."""

from __future__ import annotations

import numpy as np
import torch

from navsim_agents.closed_loop.restart import Patience, drives_on, driving_on
from navsim_agents.drive_jepa.selection import Proposals


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
