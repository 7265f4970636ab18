"""Submissions of two stages, written by both of v2.2's scripts: the validator knows them, whole and not."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from navsim_agents.data.submission import ExpectedTokens, SubmissionReport, check_submission, load_submission
from navsim_agents.devkit.variant import Host, Variant
from tests.evaluation.staged import mapping_of

MAPPING = mapping_of(3, 1)
EXPECTED = ExpectedTokens(frozenset(MAPPING.first_stage), frozenset(MAPPING.second_stage), "", MAPPING)
SCRIPTS = ("run_create_submission_pickle", "run_create_submission_pickle_challenge")
FOLDERS = ("navsim_log_path", "original_sensor_path", "synthetic_sensor_path", "synthetic_scenes_path", "output_dir")


class TurningAgent:
    """Plans an arc of its own in every scene, and fails in some."""

    requires_scene = False

    def __init__(self, fails_in: tuple[str, ...]) -> None:
        self.fails_in = fails_in

    def initialize(self) -> None:
        """Nothing to load."""

    def get_sensor_config(self) -> None:
        """No sensors."""

    def compute_trajectory(self, token: str) -> Any:
        from navsim.common.dataclasses import Trajectory

        if token in self.fails_in:
            raise ValueError("no picture")
        turn = 0.2 + 0.05 * int(token, 16)
        headings = turn * np.arange(1, 9) / 8.0
        xy = 20.0 / turn * np.stack((np.sin(headings), 1.0 - np.cos(headings)), axis=-1)
        return Trajectory(np.concatenate((xy, headings[:, None]), axis=1).astype(np.float32))


@pytest.fixture(params=SCRIPTS)
def script(host: Host, request: pytest.FixtureRequest) -> Any:
    if host.variant is not Variant.V2_2:
        pytest.skip(f"{host.variant.value} has no two stages")
    return import_module(f"navsim.planning.script.{request.param}")


def submitted(module: Any, output: Path, patch: pytest.MonkeyPatch, fails_in: tuple[str, ...] = ()) -> SubmissionReport:
    """What the validator says to the file that the script writes; a scene's input is its token."""
    from omegaconf import OmegaConf

    loader = SimpleNamespace(
        tokens_stage_one=list(MAPPING.first_stage),
        reactive_tokens_stage_two=list(MAPPING.second_stage),
        get_agent_input_from_token=lambda token: token,
    )
    patch.setattr(module, "SceneLoader", lambda **arguments: loader)
    patch.setattr(module, "instantiate", lambda what: TurningAgent(fails_in) if what == "agent" else None)
    team = {"team_name": "t", "authors": ["a", "b"], "email": "e", "institution": "i", "country": "c"}
    split = {"train_test_split": {"scene_filter": "filter"}, "agent": "agent"}
    module.main.__wrapped__(OmegaConf.create({**dict.fromkeys(FOLDERS, str(output)), **team, **split}))
    return check_submission(load_submission(output / "submission.pkl"), EXPECTED)


def test_both_scripts_write_what_is_known(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = submitted(script, tmp_path, monkeypatch)
    assert [str(problem) for problem in report.problems] == []
    assert (report.version, report.num_trajectories) == ("v2.2", len(MAPPING.tokens))
    assert report.scope == f"all {len(MAPPING.tokens)} scenes of the split"


def test_scenes_that_an_agent_failed_in_are_named_by_stage(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = MAPPING.groups[1].previous, MAPPING.second_stage[2]
    errors = [str(found) for found in submitted(script, tmp_path, monkeypatch, (one, two)).problems if found.is_error]
    assert [line.split(":")[0] for line in errors] == [
        "ERROR    first_stage_predictions",
        "ERROR    second_stage_predictions",
        "ERROR    both stages",
    ]
    assert f"lacks 1 of 4 scenes ({one})" in errors[0]
    assert f"lacks 1 of 8 scenes ({two})" in errors[1]
    assert "leave 2 of 2 groups of scenes incomplete" in errors[2]
