"""The expert's futures in every town are plans as they should be, and spoilt ones are warned of, each by its slip."""

from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.data.plan_slips import likely_slips
from navsim_agents.poses import poses_to_local
from navsim_agents.world.types import Drive


@pytest.fixture(scope="module")
def futures(drives: list[Drive]) -> np.ndarray:
    """4 s at 0.1 s [N, 40, 3] from every half second of every drive."""
    return np.stack(
        [
            poses_to_local(drive.ego.poses[start + 1 : start + 41], drive.ego.poses[start])
            for drive in drives
            for start in range(0, len(drive.ego.poses) - 40, 5)
        ]
    )


@pytest.mark.parametrize(("first", "step", "interval_s"), [(0, 1, 0.1), (4, 5, 0.5)])
def test_nothing_is_said_of_the_expert_in_sets_large_and_small(futures, first, step, interval_s) -> None:
    plans = list(futures[:, first::step])
    assert likely_slips(plans, [interval_s] * len(plans)) == []
    for start in range(0, len(plans), 10):
        few = plans[start : start + 10]
        assert [text for text in likely_slips(few, [interval_s] * len(few)) if "zeros" not in text] == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda plans: plans + np.array((0.0, 0.0, np.pi / 2)), "headings +90° off"),
        (lambda plans: plans * (1, 1, 0), "headings that do not turn with them"),
        (lambda plans: plans[..., [1, 0, 2]], "are x and y swapped?"),
        (lambda plans: plans * (1, -1, 1), "is y mirrored"),
        (lambda plans: np.pad(plans[:, :-1], ((0, 0), (1, 0), (0, 0))), "first pose at the start"),
    ],
)
def test_each_slip_shows_in_them(futures, spoil, message) -> None:
    plans = spoil(futures[:, 4::5])
    (text,) = likely_slips(list(plans), [0.5] * len(plans))
    assert message in text
