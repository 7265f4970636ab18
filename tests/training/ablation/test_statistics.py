"""Differences between rows by hand: mean, standard error over seeds and over drives, order of the seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.ablation.statistics import Comparison, compare, drives_error, seeds_error

DRIVES = ["a", "a", "b", "c"]


def compared(metric: str, values: list[list[float]], others: list[list[float]]) -> Comparison:
    return compare(metric, "row", "other", np.array(values, dtype=float), np.array(others, dtype=float), DRIVES)


def test_the_error_over_seeds_is_that_of_a_mean() -> None:
    assert seeds_error([1.0, 2.0, 6.0]) == pytest.approx(math.sqrt((4 + 1 + 9) / 2) / math.sqrt(3))
    assert seeds_error([1.0]) == 0.0


def test_scenes_of_a_drive_count_as_one() -> None:
    """Mean 2; sums of deviations by drive: a -1 - 1, b 0, c 2."""
    assert drives_error(np.array([1.0, 1.0, 2.0, 4.0]), DRIVES) == pytest.approx(math.sqrt(3 / 2 * (4 + 0 + 4)) / 4)
    assert math.isnan(drives_error(np.array([1.0, 2.0]), ["a", "a"]))


def test_with_one_scene_a_drive_the_error_is_the_usual_one() -> None:
    values = np.array([0.3, 0.1, 0.8, 0.4, 0.9])
    assert drives_error(values, list("abcde")) == pytest.approx(float(values.std(ddof=1)) / math.sqrt(5))


def test_a_comparison_by_hand() -> None:
    """Differences of two seeds: (2, 2, 2, 2) and (0, 0, 4, 8); their means are 2 and 3, by scene 1, 1, 3, 5."""
    found = compared("epdms", [[3, 3, 3, 3], [1, 1, 5, 9]], [[1, 1, 1, 1], [1, 1, 1, 1]])
    assert found.difference == pytest.approx(2.5)
    over_seeds = math.sqrt(0.5) / math.sqrt(2)
    over_drives = math.sqrt(3 / 2 * ((-1.5 - 1.5) ** 2 + 0.5**2 + 2.5**2)) / 4
    assert found.standard_error == pytest.approx(math.hypot(over_seeds, over_drives))
    assert (found.seeds_better, found.seeds_worse, found.seeds) == (2, 0, 2)
    assert found.is_better
    assert found.is_noise  # 2.5 is less than twice 1.32


def test_less_is_better_of_errors() -> None:
    values, others = [[1, 1, 1, 1], [2, 2, 2, 2], [9, 9, 9, 9]], [[2, 2, 2, 2]] * 3
    error, score = (compared(metric, values, others) for metric in ("ade_m", "epdms"))
    assert (error.seeds_better, error.seeds_worse) == (1, 1)  # the second seed's is the same
    assert (score.seeds_better, score.seeds_worse) == (1, 1)
    assert error.difference == score.difference == pytest.approx(2.0)
    assert not error.is_better
    assert score.is_better


def test_a_steady_difference_is_none_of_chance() -> None:
    found = compared("epdms", [[0.5, 0.6, 0.7, 0.8]] * 2, [[0.4, 0.5, 0.6, 0.7]] * 2)
    assert found.difference == pytest.approx(0.1)
    assert found.standard_error == pytest.approx(0.0, abs=1e-12)
    assert not found.is_noise


def test_the_same_plans_are_within_the_noise() -> None:
    found = compared("epdms", [[0.5, 0.6, 0.7, 0.8]], [[0.5, 0.6, 0.7, 0.8]])
    assert (found.difference, found.seeds_better, found.seeds_worse) == (0.0, 0, 0)
    assert found.is_noise


def test_a_scene_that_lacks_a_value_in_one_seed_is_left_out_of_all() -> None:
    found = compared("epdms", [[1, 1, 1, 1], [1, math.nan, 1, 1]], [[0, -9, 0, 0], [0, -9, 0, 0]])
    assert found.difference == pytest.approx(1.0)


def test_rows_that_share_no_scene_cannot_be_told_apart() -> None:
    found = compared("epdms", [[math.nan] * 4], [[1, 1, 1, 1]])
    assert math.isnan(found.difference)
    assert found.is_noise
