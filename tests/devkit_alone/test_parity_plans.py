"""The trajectories of the parity run."""

from __future__ import annotations

import numpy as np

from navsim_agents.devkit.parity_plans import arcs, parity_plans, plans_among_others

HUMAN = np.stack((np.arange(1.0, 9.0), np.zeros(8), np.zeros(8)), axis=1)


def test_a_quarter_circle() -> None:
    radius = 10.0
    speed = radius * np.pi / 2.0 / 4.0
    (poses,) = arcs(np.array([speed]), np.zeros(1), np.array([1.0 / radius]))
    np.testing.assert_allclose(poses[-1], [radius, radius, np.pi / 2.0], atol=0.1)
    np.testing.assert_allclose(poses[3, 2], np.pi / 4.0, atol=1e-3)


def test_braking_ends_in_standing() -> None:
    (poses,) = arcs(np.array([4.0]), np.array([-2.0]), np.zeros(1))
    np.testing.assert_allclose(poses[3:, 0], 4.0, atol=1e-2)  # v^2 / 2a after 2 s


def test_count_and_repeatability() -> None:
    vocabulary = np.random.default_rng(2).random((7, 40, 3))
    plans = [parity_plans(HUMAN, 6.0, 30, np.random.default_rng(1), vocabulary) for _ in range(2)]
    assert plans[0].shape == (30, 8, 3)
    np.testing.assert_array_equal(plans[0], plans[1])
    rows = {tuple(row) for row in vocabulary[:, 4::5].reshape(7, -1)}
    assert sum(tuple(plan.reshape(-1)) in rows for plan in plans[0]) == 7
    assert any((plan == HUMAN).all() for plan in plans[0])


def test_unknown_human_leaves_no_gap() -> None:
    plans = parity_plans(np.full((8, 3), np.nan), 6.0, 20, np.random.default_rng(1), None)
    assert np.isfinite(plans).all()
    assert len(plans) == 20


def test_plans_among_others_keep_on_stand_and_brake() -> None:
    plans = plans_among_others(8.0, 14, np.random.default_rng(3))
    assert plans.shape == (14, 8, 3)
    for kind in (0, 7):
        steady, standing, braking = plans[kind : kind + 3]
        np.testing.assert_allclose(np.diff(steady[:, 0]), steady[0, 0])
        assert 3.0 <= steady[0, 0] <= 5.0  # 6 to 10 m/s
        assert not standing.any()
        assert (np.diff(braking[:, 0]) >= 0.0).all()
        assert braking[-1, 0] < 8.0 * 4.0
    np.testing.assert_allclose(abs(plans[3, -1, 1]), 3.5)  # a lane farther
    assert not np.array_equal(plans[0], plans[7])
