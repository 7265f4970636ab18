"""Submissions: what the server would stumble over."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from omegaconf import OmegaConf

from cache_tools.validate_submission import read_tokens
from navsim_agents.data.submission import ExpectedTokens, SubmissionReport, check_submission, load_submission
from navsim_agents.errors import InputError, WorldDataError

DATACLASSES = "navsim.common.dataclasses"
SAMPLING = "nuplan.planning.simulation.trajectory.trajectory_sampling"
TEAM = {"team_name": "t", "authors": ["a"], "email": "e", "institution": "i", "country / region": "c"}
ONE_STAGE = ExpectedTokens(frozenset({"a", "b", "c"}), frozenset())
EXPECTED = ExpectedTokens(ONE_STAGE.first_stage, frozenset({"s"}))


class Trajectory:
    def __init__(self, poses: Any, sampling: Any) -> None:
        self.poses, self.trajectory_sampling = poses, sampling


class TrajectorySampling:
    def __init__(self, num_poses: int, interval_length: float) -> None:
        self.num_poses, self.interval_length = num_poses, interval_length
        self.time_horizon = num_poses * interval_length


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two classes, importable by the devkit's names while pickling."""
    for name, cls in ((DATACLASSES, Trajectory), (SAMPLING, TrajectorySampling)):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
        monkeypatch.setattr(sys.modules[name], cls.__name__, cls, raising=False)
        monkeypatch.setattr(cls, "__module__", name)


def plan(seed: int = 0, num_poses: int = 8, interval_s: float = 0.5, scale: float = 10.0) -> Trajectory:
    """An arc of 4 s to the left or right, at up to ``scale`` m/s."""
    share, turn = np.random.default_rng(seed).uniform((0.5, -0.8), (1.0, 0.8))
    heading = turn * np.arange(1, num_poses + 1) / num_poses
    radius = share * scale * 4.0 / turn
    poses = np.stack((radius * np.sin(heading), radius * (1.0 - np.cos(heading)), heading), axis=-1)
    return Trajectory(poses.astype(np.float32), TrajectorySampling(num_poses, interval_s))


def predictions() -> dict[str, Any]:
    return {token: plan(seed) for seed, token in enumerate("abc")}


def v1() -> dict[str, Any]:
    return {**TEAM, "predictions": [predictions()]}


def check(tmp_path: Path, content: Any, expected: Optional[ExpectedTokens] = None) -> SubmissionReport:
    """By default the split has the stages of the content's version."""
    path = tmp_path / "submission.pkl"
    path.write_bytes(pickle.dumps(content))
    usual = ONE_STAGE if isinstance(content, dict) and "predictions" in content else EXPECTED
    return check_submission(load_submission(path), usual if expected is None else expected)


def texts(report: SubmissionReport) -> str:
    return "\n".join(map(str, report.problems))


def test_good_submissions_of_both_versions(tmp_path: Path) -> None:
    first = check(tmp_path, v1())
    assert (first.problems, first.version, first.num_trajectories, first.is_valid) == ([], "v1.1", 3, True)
    two_seeds = check(tmp_path, {**TEAM, "predictions": [predictions(), predictions()]})
    assert (two_seeds.problems, two_seeds.num_trajectories) == ([], 6)
    stages = {"first_stage_predictions": [predictions()], "second_stage_predictions": [{"s": plan(5, 40, 0.1)}]}
    second = check(tmp_path, {**TEAM, **stages})
    assert (second.problems, second.version, second.num_trajectories) == ([], "v2.2", 4)


def test_authors_as_the_devkits_script_stores_them(tmp_path: Path) -> None:
    """A node of OmegaConf, which carries the whole configuration with it."""
    config = OmegaConf.create({"authors": ["a", "b"], "agent": {"lr": 1e-3, "path": "${env}/x"}, "none": []})
    assert check(tmp_path, {**v1(), "authors": config.authors}).problems == []
    assert "authors: is []" in texts(check(tmp_path, {**v1(), "authors": config.none}))


def test_missing_and_foreign_scenes(tmp_path: Path) -> None:
    content = v1()
    content["predictions"][0]["x"] = content["predictions"][0].pop("b")
    report = check(tmp_path, content)
    assert not report.is_valid
    assert "predictions: lacks 1 of 3 scenes (b)" in texts(report)
    assert "predictions: has 1 scenes that the split does not have (x)" in texts(report)
    assert check(tmp_path, content, ExpectedTokens()).is_valid


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((8, 3)), "holds a ndarray, but must be a navsim Trajectory"),
        (Trajectory([[0.0] * 3] * 8, TrajectorySampling(8, 0.5)), "poses are list, but must be a floating-point NumPy"),
        (
            Trajectory(np.zeros((8, 3), int), TrajectorySampling(8, 0.5)),
            "poses are int64, but must be a floating-point",
        ),
        (Trajectory(np.zeros((8, 2)), TrajectorySampling(8, 0.5)), r"poses have shape (8, 2), but must be [P, 3]"),
        (Trajectory(np.zeros((8, 3)), None), "with a TrajectorySampling"),
        (Trajectory(np.zeros((7, 3)), TrajectorySampling(8, 0.5)), "7 poses with sampling num_poses=8"),
        (Trajectory(np.zeros((6, 3)), TrajectorySampling(6, 0.5)), "and cover 4 s"),
        (Trajectory(np.full((8, 3), np.nan), TrajectorySampling(8, 0.5)), "poses are not finite"),
        (Trajectory(np.full((8, 3), -2e12), TrajectorySampling(8, 0.5)), "poses lie beyond 1e+12 m, which is no place"),
    ],
)
def test_each_bad_prediction_is_named(tmp_path: Path, bad: Any, message: str) -> None:
    content = v1()
    content["predictions"][0]["b"] = bad
    report = check(tmp_path, content)
    (problem,) = report.problems
    assert problem.is_error
    assert message in problem.text
    assert problem.text.endswith("(1 scenes: b)")


def test_wrong_layouts(tmp_path: Path) -> None:
    assert "holds a list, but a submission is a dict" in texts(check(tmp_path, [1]))
    assert "team_name: is '', but must be text" in texts(check(tmp_path, {**v1(), "team_name": ""}))
    assert "authors: is []" in texts(check(tmp_path, {**v1(), "authors": []}))
    assert "must be a list of at least one" in texts(check(tmp_path, {**TEAM, "predictions": predictions()}))
    half = {**TEAM, "first_stage_predictions": [predictions()]}
    assert "file: has no second_stage_predictions" in texts(check(tmp_path, half))
    assert "has both predictions (v1.1) and first_stage_predictions" in texts(check(tmp_path, {**v1(), **half}))
    twice = {**half, "second_stage_predictions": [{"s": plan()}, {"s": plan()}]}
    assert "has 2 dicts, but v2.2 evaluates one" in texts(check(tmp_path, twice))


def test_implausible_plans_are_warnings(tmp_path: Path) -> None:
    content = v1()
    far, turned = plan(7, scale=5000.0), plan(8)
    turned.poses[:, 2] = 90.0
    content["predictions"][0].update(a=far, b=turned)
    report = check(tmp_path, content)
    assert report.is_valid
    assert "1 plans leave 300 m (a)" in texts(report)
    assert "1 plans have headings beyond 2 pi (b): are they degrees?" in texts(report)
    same = check(tmp_path, {**TEAM, "predictions": [dict.fromkeys("abc", plan())]})
    assert "all 3 plans are the same" in texts(same)
    empty = {**TEAM, "first_stage_predictions": [predictions()], "second_stage_predictions": [{}]}
    assert "second_stage_predictions: is empty" in texts(check(tmp_path, empty, ExpectedTokens()))


def test_slips_of_the_whole_set_are_warnings_of_each_list(tmp_path: Path) -> None:
    content = v1()
    content["predictions"].append(predictions())
    for value in content["predictions"][1].values():
        value.poses[:, 2] += np.pi / 2
    report = check(tmp_path, content)
    (problem,) = report.problems
    assert (problem.is_error, problem.where) == (False, "predictions[1]")
    assert "3 of 3 moving plans have headings +90° off their direction of motion" in problem.text


def test_zeros_of_both_signs_are_the_same_plan(tmp_path: Path) -> None:
    content = v1()
    for sign, token in zip((1.0, -1.0, 1.0), "abc"):
        content["predictions"][0][token] = Trajectory(sign * np.zeros((8, 3)), TrajectorySampling(8, 0.5))
    assert "all 3 plans are zeros: the car stands in every one" in texts(check(tmp_path, content))


def test_the_scope_says_what_is_there(tmp_path: Path) -> None:
    content = v1()
    assert check(tmp_path, content).scope == "all 3 scenes of the split"
    assert check(tmp_path, content, ExpectedTokens()).scope == "completeness not checked: give tokens=…"
    del content["predictions"][0]["b"]
    content["predictions"][0]["x"] = plan()
    assert check(tmp_path, content).scope == "2 of 3 scenes of the split"
    content["predictions"].append(predictions())
    assert check(tmp_path, content).scope == "5 of 6 scenes of the split"
    stages = {**TEAM, "first_stage_predictions": [predictions()], "second_stage_predictions": [{}]}
    assert check(tmp_path, stages).scope == "3 of 4 scenes of the split"
    only_first = ExpectedTokens(EXPECTED.first_stage, None)
    assert check(tmp_path, stages, only_first).scope == "all 3 scenes of the split; other lists not checked"


def test_missing_tokens_that_look_like_numbers_are_pointed_out(tmp_path: Path) -> None:
    wanted = ExpectedTokens(frozenset({"a", "b", "c", "12345678901234e5", "0123456701234567", "d"}))
    (error, hint) = check(tmp_path, v1(), wanted).problems
    assert "lacks 3 of 6 scenes" in error.text
    assert (hint.is_error, "2 missing tokens look like numbers (0123456701234567, 12345678901234e5)" in hint.text) == (
        False,
        True,
    )
    assert "write them in quotes" in hint.text


def test_files_that_are_no_submission(tmp_path: Path) -> None:
    path = tmp_path / "s.pkl"
    with pytest.raises(WorldDataError, match=r"cannot be read .* give the path of submission.pkl"):
        load_submission(path)
    path.write_bytes(b"cposix\nsystem\n(S'true'\ntR.")
    with pytest.raises(WorldDataError, match=r"it asks for posix.system, which is not data.* convert tensors"):
        load_submission(path)
    path.write_bytes(pickle.dumps(v1())[:-30])
    with pytest.raises(WorldDataError, match="is not a readable submission"):
        load_submission(path)


def test_the_command(tmp_path: Path) -> None:
    content = v1()
    del content["predictions"][0]["b"]
    (tmp_path / "submission.pkl").write_bytes(pickle.dumps(content))
    (tmp_path / "tokens.txt").write_text("a b c")
    command = [sys.executable, "-m", "cache_tools.validate_submission", "submission=submission.pkl"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    for overrides, code in (([], 0), (["tokens=tokens.txt"], 1)):
        done = subprocess.run(
            [*command, *overrides], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        scope = "2 of 3 scenes of the split" if overrides else "completeness not checked: give tokens=…"
        assert f"format v1.1, 2 trajectories ({scope})" in done.stdout
    assert "ERROR    predictions: lacks 1 of 3 scenes (b)" in done.stdout
    assert "not valid: mend the errors above" in done.stderr


def test_tokens_from_a_scene_filter_or_a_list(tmp_path: Path) -> None:
    path = tmp_path / "navhard.yaml"
    path.write_text("_target_: x\ntokens: [a, '0e12']\nreactive_synthetic_initial_tokens: [s]\n")
    assert read_tokens(path) == ExpectedTokens(frozenset({"a", "0e12"}), frozenset({"s"}))
    listed = tmp_path / "tokens.txt"
    listed.write_text("a\nb\n")
    assert read_tokens(listed) == ExpectedTokens(frozenset({"a", "b"}), frozenset())
    assert read_tokens(None) == ExpectedTokens()
    with pytest.raises(InputError, match="is not a file"):
        read_tokens(tmp_path / "none.yaml")
    listed.write_text("")
    with pytest.raises(InputError, match="lists no tokens"):
        read_tokens(listed)


FIRST, SECOND = [f"a{number:015x}" for number in range(4)], [f"a{number:016x}" for number in range(6)]
GROUPS = [[FIRST[0], FIRST[1], [SECOND[0:2], SECOND[2:4]]], [FIRST[2], FIRST[3], [SECOND[4:6]]]]


def two_stages(first: Sequence[str] = FIRST, second: Sequence[str] = SECOND) -> dict[str, Any]:
    """As run_create_submission_pickle and its variant for the challenge write it, authors as a node of OmegaConf."""
    plans = [{token: plan(7 * index + len(token)) for index, token in enumerate(tokens)} for tokens in (first, second)]
    authors = OmegaConf.create({"authors": ["a"], "agent": {"lr": 1.0}}).authors
    stages = {"first_stage_predictions": [plans[0]], "second_stage_predictions": [plans[1]]}
    return {**TEAM, "authors": authors, **stages}


def split_file(tmp_path: Path, with_mapping: bool) -> Path:
    """A split as the devkit has it, its scene filter beside it; the private one leaves the mapping empty."""
    path, folder = tmp_path / "two_stage.yaml", tmp_path / "scene_filter"
    folder.mkdir()
    lists = {"tokens": FIRST, "reactive_synthetic_initial_tokens": SECOND}
    (folder / "two_stage_filter.yaml").write_text(OmegaConf.to_yaml({"_target_": "x", **lists}))
    defaults = [{"scene_filter": "two_stage_filter"}]
    mapping = GROUPS if with_mapping else None
    path.write_text(OmegaConf.to_yaml({"defaults": defaults, "data_split": "d", "reactive_all_mapping": mapping}))
    return path


@pytest.mark.parametrize("with_mapping", [True, False])
def test_two_stages_of_a_splits_file(tmp_path: Path, with_mapping: bool) -> None:
    expected = read_tokens(split_file(tmp_path, with_mapping))
    assert (expected.first_stage, expected.second_stage) == (frozenset(FIRST), frozenset(SECOND))
    assert (expected.mapping is not None) == with_mapping
    good = check(tmp_path, two_stages(), expected)
    assert (good.problems, good.version, good.scope) == ([], "v2.2", "all 10 scenes of the split")
    report = check(tmp_path, two_stages(FIRST[1:], [*SECOND[:4], SECOND[5]]), expected)
    lines = [str(problem) for problem in report.problems]
    assert lines[0].startswith(f"ERROR    first_stage_predictions: lacks 1 of 4 scenes ({FIRST[0]})")
    assert lines[1].startswith(f"ERROR    second_stage_predictions: lacks 1 of 6 scenes ({SECOND[4]})")
    broken = f"ERROR    both stages: leave 2 of 2 groups of scenes incomplete (those of {FIRST[0]}, {FIRST[2]})"
    assert [line[: len(broken)] for line in lines[2:]] == ([broken] if with_mapping else [])


@pytest.mark.parametrize("with_mapping", [True, False])
def test_one_stage_is_not_enough_for_two(tmp_path: Path, with_mapping: bool) -> None:
    expected = read_tokens(split_file(tmp_path, with_mapping))
    content = {**TEAM, "predictions": two_stages()["first_stage_predictions"]}
    (problem,) = check(tmp_path, content, expected).problems
    assert (problem.is_error, problem.where) == (True, "file")
    assert problem.text.startswith("is of one stage (v1.1), but the split has 6 scenes of a second one")
    assert check(tmp_path, content, ExpectedTokens(frozenset(FIRST))).is_valid


@pytest.mark.parametrize("is_known", [True, False])
def test_scenes_in_the_list_of_the_other_stage(tmp_path: Path, is_known: bool) -> None:
    expected = read_tokens(split_file(tmp_path, True)) if is_known else ExpectedTokens()
    content = two_stages([*FIRST, SECOND[0]], SECOND[1:])
    found = texts(check(tmp_path, content, expected))
    hint = f"first_stage_predictions: has 1 scenes of the other stage ({SECOND[0]}); put them into second_stage"
    assert hint in found
    assert ("second_stage_predictions: lacks 1 of 6" in found) == is_known
    assert "that the split does not have" not in found
    twice = texts(check(tmp_path, two_stages(FIRST, [*SECOND, FIRST[3]]), expected))
    assert f"both stages: have 1 scenes in common ({FIRST[3]}); keep one" in twice
    assert ("second_stage_predictions: has 1 scenes of the other stage" in twice) == is_known


@pytest.mark.parametrize("stage", ["first_stage_predictions", "second_stage_predictions"])
def test_both_stages_are_checked_alike(tmp_path: Path, stage: str) -> None:
    """Types, shapes and values, strangers, plausibility, and lists that are none."""
    expected = read_tokens(split_file(tmp_path, True))
    bad = two_stages()
    plans = bad[stage][0]
    tokens = list(plans)
    plans[tokens[0]] = Trajectory(np.full((8, 3), np.nan), TrajectorySampling(8, 0.5))
    plans[tokens[1]] = Trajectory(np.zeros((7, 3)), TrajectorySampling(8, 0.5))
    plans[tokens[2]] = plan(3, scale=5000.0)
    plans["x"] = plan(4)
    found = texts(check(tmp_path, bad, expected))
    assert f"{stage}: poses are not finite; clean the plans (1 scenes: {tokens[0]})" in found
    assert f"{stage}: 7 poses with sampling num_poses=8" in found
    assert f"{stage}: 1 plans leave 300 m ({tokens[2]})" in found
    assert f"{stage}: has 1 scenes that the split does not have (x)" in found
    assert "must be a list of at least one" in texts(check(tmp_path, {**two_stages(), stage: {"a": plan()}}, expected))
    assert f"{stage}: has 2 dicts" in texts(check(tmp_path, {**two_stages(), stage: [{}, {}]}, expected))


def test_split_files_that_help_nobody(tmp_path: Path) -> None:
    path = tmp_path / "split.yaml"
    path.write_text("defaults: [{scene_filter: none}]\n")
    with pytest.raises(InputError, match=r"scene_filter/none.yaml is not a file"):
        read_tokens(path)
    path.write_text("defaults: [_self_]\n")
    with pytest.raises(InputError, match="lists no tokens"):
        read_tokens(path)
    path.write_text(OmegaConf.to_yaml({"reactive_all_mapping": [[*FIRST[:2], []]]}))
    with pytest.raises(InputError, match=r"mapping\[0\] has no follow-ups of a0+, .* leave the group out"):
        read_tokens(path)
