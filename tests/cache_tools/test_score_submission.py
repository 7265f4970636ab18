"""drive-jepa score-submission: the server's table from scene records, and words where the server has none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cache_tools.score_submission import ScoreSubmissionConfig, score_submission
from navsim_agents.data.split_mapping import TwoStageMapping
from navsim_agents.errors import InputError, TrajectoryError
from navsim_agents.scoring import SceneStoreWriter, score_trajectories
from tests.common.commands import COMMANDS, assert_one_line
from tests.data.foreign import write_submission
from tests.evaluation import split_on_disk as split
from training.config import EvaluateConfig
from training.evaluate import evaluate

MAPPING = split.mapping()
SECOND = MAPPING.groups[1]
Plans = dict[str, np.ndarray]


def steady(speed: float = split.SPEED_MPS, number: int = 8) -> np.ndarray:
    """What ``constant_velocity`` plans."""
    return np.stack((speed * np.linspace(4.0 / number, 4.0, number), np.zeros(number), np.zeros(number)), axis=-1)


def plans_of(mapping: TwoStageMapping) -> tuple[Plans, Plans]:
    first, second = (dict.fromkeys(tokens, steady()) for tokens in (mapping.first_stage, mapping.second_stage))
    return first, second


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two_stages")
    split.write_split(folder)
    return folder


def config(root: Path, folder: Path, **changes: Any) -> ScoreSubmissionConfig:
    submission, output = folder / "submission.pkl", folder / "scores.csv"
    if not submission.exists():
        write_submission(submission, *plans_of(MAPPING))
    settings = {
        "submission": str(submission),
        "scenes": str(root / "scoring_scenes"),
        "output": str(output),
        "tokens": str(root / "split.yaml"),
    }
    return ScoreSubmissionConfig(**{**settings, **changes})


def table_of(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, index_col=0, dtype={"token": str}).set_index("token")


def test_two_stages_score_as_the_evaluation_scores_the_same_plans(root: Path, tmp_path: Path) -> None:
    found = score_submission(config(root, tmp_path))
    settings = {"protocol": "two_stage", "tokens": str(root / "split.yaml"), "baselines": ["constant_velocity"]}
    evaluate(EvaluateConfig(output=str(tmp_path / "out"), data_root=str(root), **settings))
    ours, theirs = table_of(tmp_path / "scores.csv"), table_of(tmp_path / "out" / "constant_velocity.two_stage.csv")
    assert list(ours.index[:4]) == list(MAPPING.first_stage)  # in the order of the file
    pd.testing.assert_frame_equal(ours, theirs.loc[ours.index], check_exact=False, rtol=0.0, atol=1e-9)
    assert found.averages["combined"] == pytest.approx(ours.loc["extended_pdm_score_combined", "score"], abs=1e-12)
    assert found.left_out == {}


def test_the_log_can_be_replayed_instead(root: Path, tmp_path: Path) -> None:
    reacting = score_submission(config(root, tmp_path)).averages
    replayed = score_submission(config(root, tmp_path, traffic="log_replay")).averages
    assert replayed["stage_two"] < reacting["stage_two"]
    write_submission(tmp_path / "submission.pkl", plans_of(MAPPING)[0])
    with pytest.raises(TrajectoryError, match=r"traffic is reactive, but pdms .* replays the log alone"):
        score_submission(config(root, tmp_path, tokens=None, traffic="reactive"))


def test_plans_may_be_sampled_in_both_ways_at_once(root: Path, tmp_path: Path) -> None:
    first, second = plans_of(MAPPING)
    fine = {token: steady(number=40) for token in second}
    write_submission(tmp_path / "submission.pkl", first, fine)
    score_submission(config(root, tmp_path, traffic="log_replay"))
    mixed = table_of(tmp_path / "scores.csv")
    write_submission(tmp_path / "submission.pkl", first, second)
    score_submission(config(root, tmp_path, traffic="log_replay"))
    pd.testing.assert_frame_equal(mixed, table_of(tmp_path / "scores.csv"), check_exact=False, rtol=0.0, atol=1e-6)


def test_one_stage_is_v11s_table(root: Path, tmp_path: Path) -> None:
    plans = {token: steady(3.0 + number) for number, token in enumerate(MAPPING.first_stage)}
    write_submission(tmp_path / "submission.pkl", plans)
    found = score_submission(config(root, tmp_path, scenes=str(root / "scoring_scenes" / "test"), tokens=None))
    table = table_of(tmp_path / "scores.csv")
    assert list(table.index) == [*MAPPING.first_stage, "average"]
    for token, poses in plans.items():
        alone = score_trajectories(
            split.places()[token].scene(token), torch.from_numpy(poses.astype(np.float32)[None]).double(), metric="pdms"
        )
        for name in table.columns[1:]:
            assert table.loc[token, name] == pytest.approx(float(alone[name][0]), abs=1e-12), (token, name)
    assert list(table.columns[:2]) == ["valid", "no_at_fault_collisions"]
    assert table.loc["average", "score"] == pytest.approx(table["score"][:-1].mean(), abs=1e-12)
    assert found.averages == {"pdms": pytest.approx(table.loc["average", "score"])}
    (tmp_path / "some.txt").write_text(f"{MAPPING.first_stage[2]}\n")
    score_submission(config(root, tmp_path, tokens=str(tmp_path / "some.txt")))
    assert list(table_of(tmp_path / "scores.csv").index) == [MAPPING.first_stage[2], "average"]


def lose(name: str, root: Path, folder: Path) -> dict[str, Any]:
    """Spoil one scene of the second group; settings that differ."""
    token, (first, second) = SECOND.follow_ups[0][1], plans_of(MAPPING)
    changes: Mapping[str, Any] = {}
    tokens = [*MAPPING.tokens]
    if name == "plan":
        del second[token]
    elif name == "nan":
        second[token] = steady() * np.nan
    elif name == "scene":
        tokens.remove(token)
    elif name == "gap":
        changes = {"timestamp_us": np.asarray(split.T0_US)}
    elif name == "traffic":
        changes = {"has_traffic": False}
    write_submission(folder / "submission.pkl", first, second)
    with SceneStoreWriter(folder / "store") as writer:
        for own in tokens:
            writer.add(split.places()[own].scene(own, **(changes if own == token else {})))
    return {"scenes": str(folder / "store")}


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (
            "plan",
            r"1 of its 4 scenes have no score \(.*\): the submission has no plan of it, as where the agent failed",
        ),
        ("nan", r"1 of its 4 scenes have no score \(.*\): its plan poses are not finite; clean the plans"),
        (
            "scene",
            r"1 of its 4 scenes have no score \(.*\): there is no scoring scene of it; export it from the metric",
        ),
        (
            "gap",
            r"starts 16.5 s after .*, its pair in the mapping, but extended comfort needs more than 0 and less than",
        ),
    ],
)
def test_what_the_server_ends_at_is_named(lost: str, words: str, root: Path, tmp_path: Path) -> None:
    changes = {**lose(lost, root, tmp_path), "traffic": "reactive" if lost == "traffic" else "log_replay"}
    first_words = f"1 of 2 groups, that of {SECOND.now} first: "
    with pytest.raises(InputError, match=f"{first_words}.*{words}.*NAVSIM's script ends without any score then: mend"):
        score_submission(config(root, tmp_path, **changes))
    assert not (tmp_path / "scores.csv").exists()
    found = score_submission(config(root, tmp_path, incomplete=True, **changes))
    assert list(found.left_out) == [SECOND.now]
    assert re.search(words, found.left_out[SECOND.now])
    assert set(table_of(tmp_path / "scores.csv").index) > set(MAPPING.groups[0].tokens)


def test_scenes_of_one_stage_that_have_no_score_are_named(root: Path, tmp_path: Path) -> None:
    write_submission(tmp_path / "submission.pkl", dict.fromkeys(MAPPING.first_stage[1:], steady()))
    settings = config(root, tmp_path, scenes=str(root / "scoring_scenes" / "test"), tokens=None)
    with pytest.raises(
        InputError, match=rf"1 of 4 scenes have no score, {MAPPING.first_stage[0]} first: the submission"
    ):
        score_submission(settings)
    found = score_submission(config(root, tmp_path, scenes=settings.scenes, tokens=None, incomplete=True))
    assert list(found.left_out) == [MAPPING.first_stage[0]]
    write_submission(tmp_path / "submission.pkl", {})
    with pytest.raises(InputError, match="4 of 4 scenes have no score"):
        score_submission(config(root, tmp_path, scenes=settings.scenes, tokens=None, incomplete=True))


@pytest.mark.parametrize("is_first_list_right", [True, False])
def test_plans_of_the_other_stage_have_no_score(is_first_list_right: bool, root: Path, tmp_path: Path) -> None:
    """NAVSIM's script looks at groups whose first-stage scenes it finds among the first-stage predictions."""
    first, second = plans_of(MAPPING)
    one = {token: first[token] for token in MAPPING.groups[0].tokens[:2]}
    write_submission(tmp_path / "submission.pkl", one if is_first_list_right else {}, {**first, **second})
    words = "of the other stage; put it into first" if not is_first_list_right else "in both stages"
    with pytest.raises(InputError, match=f"2 of 2 groups, that of {MAPPING.groups[0].now} first: 2 of its 8 .*{words}"):
        score_submission(config(root, tmp_path))


def test_one_stage_of_a_split_of_two_is_refused(root: Path, tmp_path: Path) -> None:
    write_submission(tmp_path / "submission.pkl", dict.fromkeys(MAPPING.first_stage, steady()))
    with pytest.raises(
        InputError, match=r"is of one stage \(v1.1\), but .*split.yaml has 8 scenes of a second one; wri"
    ):
        score_submission(config(root, tmp_path))


def test_a_plan_that_is_nowhere_costs_its_group(root: Path, tmp_path: Path) -> None:
    first, second = plans_of(MAPPING)
    second[SECOND.follow_ups[0][0]] = steady() * 1e30
    write_submission(tmp_path / "submission.pkl", first, second)
    found = score_submission(config(root, tmp_path, incomplete=True, traffic="log_replay"))
    assert list(found.left_out) == [SECOND.now]
    assert "its plan poses lie beyond 1e+12 m" in found.left_out[SECOND.now]


def test_plans_without_group_and_mappings_without_scenes(root: Path, tmp_path: Path) -> None:
    one = split.write_mapping(tmp_path / "one.yaml", TwoStageMapping(MAPPING.groups[:1]))
    with pytest.raises(InputError, match=r"4 plans of scenes that the mapping does not name .*, so they have neither"):
        score_submission(config(root, tmp_path, tokens=str(one)))
    found = score_submission(config(root, tmp_path, tokens=str(one), incomplete=True, traffic="log_replay"))
    assert found.left_out == {}
    with pytest.raises(
        InputError, match="is of two stages, but nothing says which of its scenes belong together; give"
    ):
        score_submission(config(root, tmp_path, tokens=None))
    with pytest.raises(InputError, match=r"2 of 2 groups, that of 0+5 first: 6 of its 8 scenes have no score"):
        score_submission(config(root, tmp_path, scenes=str(root / "scoring_scenes" / "test"), incomplete=True))


def test_the_command_prints_averages_and_what_is_left_out(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = lose("plan", root, tmp_path)
    settings = vars(config(root, tmp_path, **changes))
    line = [f"{key}={value}" for key, value in settings.items() if key in ("submission", "scenes", "output", "tokens")]
    line.append("traffic=log_replay")
    command = COMMANDS["cache_tools.score_submission"]
    assert_one_line(command.run(*line), capsys, "InputError: ", SECOND.now)
    assert command.run(*line, "incomplete=true").code == 0
    printed = capsys.readouterr().out
    for words in (
        "stage_one  1.",
        "stage_two  0.",
        "combined  0.",
        f"left out: {SECOND.now}: ",
        "1 left out: NAVSIM's",
    ):
        assert words in printed
