"""Displacement metrics, worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from navsim_agents.errors import InputError
from navsim_agents.evaluation.metrics import (
    COLUMN_GROUPS,
    PlannedScenes,
    average_displacement,
    columns,
    compute_columns,
    final_displacement,
    heading_error,
)
from tests.training.fakes import FakeSource

HUMAN = np.array([[[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, 0.0, 3.1]]])  # B=1, T=3
PLANNED = HUMAN + np.array([[[0.0, 0.0, 0.0], [3.0, 4.0, 0.1], [0.0, -1.0, -0.2]]])


def planned_scenes(planned: np.ndarray = PLANNED) -> PlannedScenes:
    return PlannedScenes(["t"], ["log"], planned, HUMAN, FakeSource())


def test_displacements_by_hand() -> None:
    assert average_displacement(PLANNED, HUMAN) == pytest.approx([(0 + 5 + 1) / 3])
    assert final_displacement(PLANNED, HUMAN) == pytest.approx([1.0])


def test_heading_error_goes_the_shorter_way_round() -> None:
    planned = HUMAN.copy()
    planned[0, 2, 2] = -3.1  # 3.1 and -3.1 are 0.083 apart
    assert heading_error(planned, HUMAN) == pytest.approx([(2 * np.pi - 6.2) / 3])


def test_displacement_is_invariant_under_a_common_rigid_motion() -> None:
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    moved = [np.concatenate((p[..., :2] @ turn.T + 7.0, p[..., 2:]), axis=-1) for p in (PLANNED, HUMAN)]
    assert average_displacement(*moved) == pytest.approx(average_displacement(PLANNED, HUMAN))


def test_nan_plan_gives_nan_and_not_zero() -> None:
    values = compute_columns(["displacement"], planned_scenes(np.full_like(HUMAN, np.nan)))
    assert list(values) == ["ade_m", "fde_m", "heading_error_rad"]
    assert all(np.isnan(value).all() for value in values.values())


def test_a_new_group_adds_its_columns_after_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("navsim_agents.evaluation.metrics.COLUMN_GROUPS", dict(COLUMN_GROUPS))

    @columns("length")
    def length(scenes: PlannedScenes) -> dict[str, np.ndarray]:
        return {"length_m": scenes.planned[:, -1, 0]}

    values = compute_columns(["displacement", "length"], planned_scenes())
    assert list(values)[-1] == "length_m"
    assert values["length_m"] == pytest.approx([3.0])


def test_unknown_group_and_different_times_are_refused() -> None:
    with pytest.raises(InputError, match=r"columns \['pdm'\] are unknown; choose from"):
        compute_columns(["pdm"], planned_scenes())
    with pytest.raises(InputError, match=r"shape \(1, 2, 3\), the human's \(1, 3, 3\); plan the same times"):
        average_displacement(PLANNED[:, :2], HUMAN)


def test_diversity_is_of_agents_that_propose_and_of_scenes_that_were_planned() -> None:
    assert compute_columns(["diversity"], planned_scenes()) == {}
    along = np.zeros((8, 3))
    along[:, 0] = np.arange(1, 9)
    aside = along + np.array([0.0, 50.0, 0.0])
    proposals = np.stack((np.stack((along, along)), np.stack((along, aside)), np.full((2, 8, 3), np.nan)))
    still = np.zeros((3, 8, 3))
    scenes = replace(
        planned_scenes(), tokens=["alike", "apart", "failed"], planned=still, human=still, proposals=proposals
    )
    found = compute_columns(["diversity"], scenes)
    # Two corridors that coincide are one; two that are apart have half of the union each, and share nothing.
    np.testing.assert_allclose(found["diversity"], [0.0, 0.5, np.nan], atol=1e-9)
    np.testing.assert_allclose(found["diversity.pairwise"], [0.0, 1.0, np.nan], atol=1e-9)
