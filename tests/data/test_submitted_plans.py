"""The plans of a submission's file, of either version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from navsim_agents.data.submitted_plans import read_submitted_plans
from navsim_agents.errors import InputError, WorldDataError
from tests.data.foreign import write_submission


def plan(number: int = 8, speed: float = 5.0) -> np.ndarray:
    return np.stack((speed * np.linspace(4.0 / number, 4.0, number), np.zeros(number), np.zeros(number)), axis=-1)


def test_both_versions_in_the_order_of_the_file(tmp_path: Path) -> None:
    one = read_submitted_plans(write_submission(tmp_path / "one.pkl", {"b": plan(), "a": plan(40)}))
    assert (one.is_two_stage, list(one.plans), one.faults) == (False, ["b", "a"], {})
    assert [(len(found.poses), found.interval_s) for found in one.plans.values()] == [(8, 0.5), (40, 0.1)]
    np.testing.assert_allclose(one.plans["b"].poses, plan(), atol=1e-6)
    assert one.plans["b"].poses.dtype == np.float64
    two = read_submitted_plans(write_submission(tmp_path / "two.pkl", {"b": plan()}, {"a": plan()}))
    assert (two.is_two_stage, list(two.plans)) == (True, ["b", "a"])


def test_a_useless_plan_is_named_and_costs_itself(tmp_path: Path) -> None:
    plans = {"a": plan(), "b": plan() * np.nan, "c": plan()[:, :2]}
    found = read_submitted_plans(write_submission(tmp_path / "x.pkl", plans, {"a": plan(), "e": plan()}))
    assert list(found.plans) == ["e"]
    assert found.faults["a"] == "is in both stages, but a scene is of one; keep one"
    assert found.faults["b"] == "poses are not finite; clean the plans"
    assert found.faults["c"].startswith("poses have shape (8, 2), but must be [P, 3]")


def test_a_plan_in_the_list_of_the_other_stage_is_of_no_use(tmp_path: Path) -> None:
    first, second = "a" * 16, "b" * 17
    swapped = read_submitted_plans(write_submission(tmp_path / "x.pkl", {second: plan()}, {first: plan()}))
    assert swapped.plans == {}
    words = "is in {}_stage_predictions, but its scene is of the other stage; put it into {}_stage_predictions"
    assert swapped.faults == {second: words.format("first", "second"), first: words.format("second", "first")}
    right = read_submitted_plans(write_submission(tmp_path / "x.pkl", {first: plan()}, {second: plan()}))
    assert (list(right.plans), right.faults) == ([first, second], {})
    assert list(read_submitted_plans(write_submission(tmp_path / "x.pkl", {second: plan()})).plans) == [second]


@pytest.mark.parametrize(
    ("stages", "changes", "words"),
    [
        (
            ({},),
            {"first_stage_predictions": [{}]},
            r"has \['predictions', 'first_stage_predictions'\], but a submission",
        ),
        (({},), {"predictions": {}}, "predictions of .* is a dict, but must be a list of one dict of token and traj"),
        (
            ({}, {}),
            {"second_stage_predictions": [{}, {}]},
            "second_stage_predictions of .* is a list of 2, but must be",
        ),
        (
            (),
            {},
            r"has no predictions, but a submission has predictions \(v1.1\), or first_stage_predictions and second",
        ),
    ],
)
def test_refusals(stages: Any, changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    if not stages:
        path = tmp_path / "x.pkl"
        path.write_bytes(b"\x80\x04}.")
    else:
        path = write_submission(tmp_path / "x.pkl", *stages, **changes)
    with pytest.raises(InputError, match=words):
        read_submitted_plans(path)
    path.write_bytes(b"\x80\x04].")
    with pytest.raises(InputError, match="holds a list, but a submission is a dict"):
        read_submitted_plans(path)
    path.write_bytes(b"")
    with pytest.raises(WorldDataError, match=r"x\.pkl is not a readable submission"):
        read_submitted_plans(path)
