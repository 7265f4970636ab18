"""Scoring and submission by NAVSIM's own scripts: every scene gets a score."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from navsim_agents.data.logs import SceneLoader
from navsim_agents.data.submission import ExpectedTokens, check_submission, load_submission
from navsim_agents.devkit.variant import Variant
from tests.devkit.scripts import AGENT, RAY, SEQUENTIAL, SUBMITTER, TEST_SPLIT, Devkit


@pytest.fixture(scope="module")
def tokens(devkit: Devkit) -> set[str]:
    return set(SceneLoader(devkit.world, "test", frame_interval=1).tokens)


def assert_every_scene_is_scored(rows: pd.DataFrame, tokens: set[str]) -> None:
    assert set(rows.index) == tokens
    assert rows["valid"].all()
    assert np.isfinite(rows["score"]).all()


@pytest.mark.parametrize("agent", ["constant_velocity_agent", "human_agent"])
@pytest.mark.usefixtures("metric_cache")
def test_baselines(devkit: Devkit, tokens: set[str], agent: str) -> None:
    rows = devkit.score(agent, f"agent={agent}", SEQUENTIAL)
    assert_every_scene_is_scored(rows, tokens)
    if agent == "human_agent":
        assert rows["no_at_fault_collisions"].mean() > 0.9
        assert rows["drivable_area_compliance"].mean() > 0.9


@pytest.mark.usefixtures("metric_cache")
def test_our_agent_alone_and_on_ray(devkit: Devkit, tokens: set[str], checkpoint: Path) -> None:
    ours = (AGENT, f"agent.checkpoint_path={checkpoint}")
    alone = devkit.score("ours", *ours, SEQUENTIAL)
    assert_every_scene_is_scored(alone, tokens)
    spread = devkit.score("ours_ray", *ours, RAY)
    assert_every_scene_is_scored(spread, tokens)
    np.testing.assert_allclose(spread.loc[alone.index, "score"], alone["score"], atol=1e-4)


def test_submission_has_every_scene(devkit: Devkit, tokens: set[str], checkpoint: Path) -> None:
    overrides = [*TEST_SPLIT, AGENT, f"agent.checkpoint_path={checkpoint}", "experiment_name=submission", *SUBMITTER]
    if devkit.variant is Variant.V2_2:
        overrides.append("+train_test_split.scene_filter.reactive_synthetic_initial_tokens=[]")
    devkit.run("run_create_submission_pickle", *overrides)
    (path,) = devkit.outputs("submission", "submission.pkl")
    report = check_submission(load_submission(path), ExpectedTokens(frozenset(tokens), frozenset()))
    assert [str(problem) for problem in report.problems if problem.is_error] == []  # after one epoch, warnings are due
    assert (report.version, report.num_trajectories) == (devkit.variant.value, len(tokens))
    submission = pickle.loads(path.read_bytes())
    key = "predictions" if devkit.variant is Variant.V1_1 else "first_stage_predictions"
    (predictions,) = submission[key]
    assert set(predictions) == tokens
    for trajectory in predictions.values():
        assert trajectory.poses.shape == (8, 3)
        assert np.isfinite(trajectory.poses).all()
