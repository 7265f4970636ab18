"""The choice among trajectories: worked by hand, against an obvious loop, and what it must not depend on."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from navsim_agents.drive_jepa.proposal_config import MomentumConfig
from navsim_agents.evaluation.choice import (
    averages,
    best_fixed,
    calibration,
    calibration_table,
    choose_in_sequence,
    chosen_scores,
    kendall,
    lost_to,
    mean_ranks,
    regret,
    scene_columns,
    spearman,
)
from navsim_agents.scoring.axes import State
from navsim_agents.scoring.rules.comfort import extended_comfort

FORESEEN = np.array([[0.9, 0.2, 0.5, 0.4], [0.1, 0.1, 0.3, 0.2]])
TRUE = np.array([[0.6, 0.0, 1.0, 0.0], [0.5, 0.7, 0.7, 0.1]])


def test_the_chosen_one_and_what_the_best_has_more() -> None:
    assert chosen_scores(FORESEEN, TRUE).tolist() == [0.6, 0.7]
    assert regret(FORESEEN, TRUE).tolist() == pytest.approx([0.4, 0.0])


def test_ranks_of_equal_values_are_shared() -> None:
    assert mean_ranks(TRUE).tolist() == [[2.0, 0.5, 3.0, 0.5], [1.0, 2.5, 2.5, 0.0]]


def test_rank_correlations_worked_by_hand() -> None:
    """Ranks of the first scene: (3, 0, 2, 1) foreseen, (2, 0.5, 3, 0.5) true, mean 1.5 each."""
    above = 1.5 * 0.5 + 1.5 * 1.0 + 0.5 * 1.5 + 0.5 * 1.0
    assert spearman(FORESEEN, TRUE)[0] == pytest.approx(above / math.sqrt(5.0 * (0.25 + 1 + 2.25 + 1)))
    # Of 6 pairs 4 agree, 1 (of the first and the third) disagrees, 1 is tied in truth.
    assert kendall(FORESEEN, TRUE)[0] == pytest.approx((4 - 1) / math.sqrt(6 * 5))


def test_kendall_equals_an_obvious_loop() -> None:
    rng = np.random.default_rng(3)
    foreseen, true = rng.integers(0, 5, (2, 7, 9)) / 5.0
    for scene, found in enumerate(kendall(foreseen, true)):
        agreeing = distinct_foreseen = distinct_true = 0
        for one, other in combinations(range(9), 2):
            a, b = foreseen[scene, one] - foreseen[scene, other], true[scene, one] - true[scene, other]
            agreeing += int(np.sign(a) * np.sign(b))
            distinct_foreseen += int(a != 0)
            distinct_true += int(b != 0)
        assert found == pytest.approx(agreeing / math.sqrt(distinct_foreseen * distinct_true))


def test_correlations_are_scipys() -> None:
    foreseen, true = np.random.default_rng(8).integers(0, 6, (2, 11, 8)) / 6.0
    pairs = list(zip(foreseen, true))
    np.testing.assert_allclose(spearman(foreseen, true), [stats.spearmanr(*pair)[0] for pair in pairs])
    np.testing.assert_allclose(kendall(foreseen, true), [stats.kendalltau(*pair)[0] for pair in pairs])


def test_correlations_reach_from_minus_one_to_one_and_ties_have_none() -> None:
    rows = np.array([[0.1, 0.2, 0.9]] * 3)
    others = np.array([[0.3, 0.4, 0.5], [0.5, 0.4, 0.3], [0.4, 0.4, 0.4]])
    for measure in (spearman, kendall):
        assert measure(rows, others).tolist() == pytest.approx([1.0, -1.0, math.nan], nan_ok=True)


@pytest.mark.parametrize("measure", [spearman, kendall, regret])
def test_the_order_alone_counts(measure: object) -> None:
    rng = np.random.default_rng(5)
    foreseen, true = rng.random((2, 4, 6))
    order = rng.permutation(6)
    np.testing.assert_allclose(measure(foreseen**3, true), measure(foreseen, true))
    np.testing.assert_allclose(measure(foreseen[:, order], true[:, order]), measure(foreseen, true))


def test_calibration_worked_by_hand() -> None:
    foreseen, true = np.array([[0.1, 0.2, 0.8], [1.0, 0.3, 0.75]]), np.array([[0.0, 0.6, 1.0], [0.5, 0.2, 0.4]])
    found = calibration(foreseen, true, num_bins=4)
    assert found.number.tolist() == [2, 1, 0, 3]
    assert found.foreseen.tolist() == pytest.approx([0.15, 0.3, math.nan, 0.85], nan_ok=True)
    assert found.true.tolist() == pytest.approx([0.3, 0.2, math.nan, 1.9 / 3], nan_ok=True)
    table = calibration_table(found)
    assert table["number"] == [2, 1, 3]
    assert table["true"] == pytest.approx([0.3, 0.2, 1.9 / 3])


def test_columns_and_their_means_leave_out_what_is_no_number() -> None:
    columns = scene_columns(np.array([[0.5, 0.3], [0.4, 0.4]]), np.array([[0.2, 1.0], [0.6, 0.6]]))
    found = averages({**columns, "never": np.full(2, np.nan)})
    assert found["spearman"] == found["kendall"] == -1.0  # of the first scene; the second is tied
    assert found["error"] == pytest.approx((0.3 + 0.7 + 0.2 + 0.2) / 4)
    assert found["bias"] == pytest.approx((0.3 - 0.7 - 0.2 - 0.2) / 4)
    assert (found["chosen"], found["best"], found["regret"]) == pytest.approx((0.4, 0.8, 0.4))
    assert "never" not in found


def test_the_best_place_that_is_always_chosen() -> None:
    assert best_fixed(TRUE) == pytest.approx((1.0 + 0.7) / 2)


def test_lost_by_sub_score() -> None:
    chosen = {"gate": np.array([1.0, 0.0]), "progress": np.array([0.5, 0.9])}
    best = {"gate": np.array([1.0, 1.0]), "progress": np.array([0.7, 0.6])}
    assert lost_to(chosen, best) == pytest.approx({"gate": 0.5, "progress": -0.05})


def states(accelerations: list[list[float]]) -> torch.Tensor:
    """[B, N, 41, 11] of cars that keep one acceleration each; 0.5 s on, an equal one is steady."""
    result = torch.zeros(len(accelerations), len(accelerations[0]), 41, 11, dtype=torch.float64)
    result[..., State.ACCELERATION_X] = torch.tensor(accelerations, dtype=torch.float64)[..., None]
    return result


ACCELERATIONS = [[0.0, 3.0], [3.0, 0.0], [0.0, 3.0], [0.0, 3.0]]
SCORES = torch.tensor([[0.5, 0.4], [0.50, 0.45], [0.45, 0.50], [0.45, 0.50]])
TIMES = np.array([0, 500_000, 1_000_000, 1_600_000])


def test_momentum_goes_on_from_what_was_chosen() -> None:
    """Frame 0 keeps its speed, so 1 and 2 do although they score less; 3 comes 0.6 s later and starts afresh."""
    found = states(ACCELERATIONS)
    assert extended_comfort(found[1], found[0, :1].expand_as(found[1]), 0.5).tolist() == [False, True]
    assert choose_in_sequence(SCORES, found, TIMES, ["a"] * 4, MomentumConfig()).tolist() == [0, 1, 0, 1]
    assert choose_in_sequence(SCORES, found, TIMES, ["a"] * 4, None).tolist() == [0, 0, 1, 1]


def test_logs_are_apart_and_rows_may_come_in_any_order() -> None:
    found = states(ACCELERATIONS)
    assert choose_in_sequence(SCORES, found, TIMES, ["a", "b", "a", "a"], MomentumConfig()).tolist() == [0, 0, 1, 1]
    order = [2, 0, 3, 1]
    shuffled = choose_in_sequence(SCORES[order], found[order], TIMES[order], ["a"] * 4, MomentumConfig())
    assert shuffled.tolist() == [[0, 1, 0, 1][row] for row in order]
