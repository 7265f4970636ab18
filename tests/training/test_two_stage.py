"""drive-jepa evaluate protocol=two_stage: tables, averages, what a missing item costs, and refusals."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from navsim_agents.errors import InputError, TrajectoryError
from navsim_agents.evaluation.two_stage import SceneScores, aggregate_two_stage
from navsim_agents.scoring import score_trajectories
from tests.evaluation import split_on_disk as split
from training.config import EvaluateConfig
from training.evaluate import evaluate
from training.report.results import read_results

SLOWER = {"_target_": "tests.evaluation.split_on_disk.Slower"}
FIRST, SECOND = split.mapping().groups


def config(root: Path, **changes: Any) -> EvaluateConfig:
    base = EvaluateConfig(
        output=str(root / "out"),
        data_root=str(root),
        protocol="two_stage",
        tokens=str(root / "split.yaml"),
        baselines=["constant_velocity", "human"],
        agent=SLOWER,
        agent_name="slower",
    )
    return replace(base, **changes)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two_stages")
    split.write_split(folder)
    return folder


@pytest.fixture(scope="module")
def summary(root: Path) -> dict[str, Any]:
    evaluate(config(root))
    found: dict[str, Any] = json.loads((root / "out" / "summary.json").read_text())
    return found


def table_of(root: Path, agent: str) -> pd.DataFrame:
    return pd.read_csv(root / "out" / f"{agent}.two_stage.csv", index_col=0, dtype={"token": str}).set_index("token")


def scored_alone(speed: float, traffic: str) -> SceneScores:
    """Each scene by itself, human filter included."""
    where = split.places()
    scenes = {token: place.scene(token) for token, place in where.items()}
    poses = np.stack((speed * 0.5 * np.arange(1, 9), np.zeros(8), np.zeros(8)), axis=-1)[None]
    answers = [
        score_trajectories(scene, torch.from_numpy(poses), human_penalty_filter=True, traffic=traffic)
        for scene in scenes.values()
    ]
    columns = {
        name: np.array([float(answer[name][0]) for answer in answers])
        for name in answers[0]
        if name not in ("simulated_states", "collision_step", "ttc_step", "pdm_score")
    }
    states = torch.cat([answer["simulated_states"] for answer in answers])
    return SceneScores.of_scenes(list(scenes.values()), np.repeat(poses, len(scenes), axis=0), columns, states)


@pytest.mark.parametrize(("agent", "speed"), [("constant_velocity", 6.0), ("slower", 3.0)])
def test_the_table_is_that_of_scenes_scored_one_by_one(
    root: Path, summary: dict[str, Any], agent: str, speed: float
) -> None:
    """In traffic that reacts, as NAVSIM's script has it in both stages."""
    found = table_of(root, agent)
    expected = aggregate_two_stage(scored_alone(speed, "reactive"), split.mapping()).table().set_index("token")
    assert set(found.index) == set(expected.index)
    pd.testing.assert_frame_equal(found.loc[expected.index], expected, check_exact=False, rtol=0.0, atol=1e-12)
    averages = summary["agents"][agent]
    for stage in ("stage_one", "stage_two", "combined"):
        row = found.loc[f"extended_pdm_score_{stage}"]
        assert averages[f"epdms_{stage}"] == pytest.approx(row["score"], abs=1e-6)
    one = found.loc["extended_pdm_score_stage_one"]
    name = "time_to_collision_within_bound_stage_one"
    assert averages[f"epdms.{name}"] == pytest.approx(one[name], abs=1e-6)
    assert 0.0 < averages["epdms_combined"] < 1.0


def test_the_log_can_be_replayed_instead_and_the_summary_says_so(
    root: Path, summary: dict[str, Any], tmp_path: Path
) -> None:
    replayed = evaluate(config(root, output=str(tmp_path / "out"), traffic="log_replay"))
    assert (summary["two_stage"]["traffic"], replayed["two_stage"]["traffic"]) == ("reactive", "log_replay")
    found = table_of(tmp_path, "constant_velocity")
    expected = aggregate_two_stage(scored_alone(6.0, "log_replay"), split.mapping()).table().set_index("token")
    pd.testing.assert_frame_equal(found.loc[expected.index], expected, check_exact=False, rtol=0.0, atol=1e-12)
    name = "no_at_fault_collisions_stage_two"
    assert found.loc["extended_pdm_score_stage_two", name] < table_of(root, "constant_velocity")[name].iloc[-2]
    with pytest.raises(TrajectoryError, match="traffic is 'calm', but must be one of log_replay, reactive"):
        evaluate(config(root, output=str(tmp_path / "out"), traffic="calm"))


def test_the_human_excuses_in_the_first_stage_alone(root: Path, summary: dict[str, Any]) -> None:
    """Scenes of number 2 have a red light: one of them is logged, and there the human ran it too."""
    found, where = table_of(root, "constant_velocity"), split.places()
    lit = [token for token, place in where.items() if place.number % 3 == 2]
    lights = {len(token): found.loc[token].filter(like="traffic_light").dropna().tolist() for token in lit}
    assert lights == {16: [1.0], 17: [0.0]}


def test_what_the_summary_says(root: Path, summary: dict[str, Any]) -> None:
    assert list(summary["agents"]) == ["constant_velocity", "slower"]  # nobody drove on in the second stage
    assert summary["scenes"]["num_scenes"] == len(split.mapping().tokens)
    assert summary["scenes"]["failures"] == []
    assert summary["two_stage"]["num_groups"] == 2
    assert summary["two_stage"]["left_out"] == {"constant_velocity": {}, "slower": {}}
    assert summary["agents"]["slower"]["num_planned"] == len(split.mapping().tokens)
    rows = pd.read_csv(root / "out" / "slower.csv", dtype={"token": str}).set_index("token")
    for token in rows.index:  # displacement is told where somebody drove
        assert np.isfinite(rows.loc[token, "ade_m"]) == (len(token) == 16)
    assert set(rows.loc[[pair[0] for pair in SECOND.follow_ups], "log_name"]) == {split.LOGS[1]}


def changed_split(folder: Path, changes: dict[str, Any]) -> Path:
    split.write_split(folder, changes)
    return folder


NO_TRAFFIC = {SECOND.follow_ups[0][0]: {"has_traffic": False}}
GAP = {SECOND.follow_ups[0][1]: {"timestamp_us": np.asarray(split.T0_US)}}


@pytest.mark.parametrize(
    ("changes", "lost", "words"),
    [
        (GAP, "", r"starts 16.5 s after .*, its pair in the mapping, but extended comfort needs more than 0 and less"),
        (
            NO_TRAFFIC,
            "",
            r"1 of its 4 scenes have no score \(.*\): SceneError: scene .* lacks traffic_role.*; export its",
        ),
        ({}, "scene", r"1 of its 4 scenes have no score \(.*\): WorldDataError: scene .* is none of the 7 in"),
        ({}, "pickle", r"1 of its 4 scenes have no score \(.*\): WorldDataError: .* is not a readable synthetic scene"),
        ({}, "log", r"4 of its 4 scenes have no score \(.*\): its logs do not hold such a scene; check data_root"),
        ({}, "plan", r"2 of its 4 scenes have no score \(.*\): ValueError: 7.0 m/s is too much"),
        ({}, "place", r"2 of its 4 scenes have no score \(.*\): InputError: plan .* beyond 1e\+12 m.*: mend the agent"),
        ({}, "scoring", r"1 of its 4 scenes have no score \(.*\): InputError: scene .* is not among the 11 of"),
    ],
)
def test_one_bad_item_costs_its_group_and_is_named(
    changes: dict[str, Any], lost: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = changed_split(tmp_path, changes)
    pickles = root / "navhard_two_stage" / "synthetic_scene_pickles"
    token = SECOND.follow_ups[0][0]
    if lost == "scene":
        (pickles / f"{token}.pkl").unlink()
    elif lost == "pickle":
        (pickles / f"{token}.pkl").write_bytes(b"torn")
    elif lost == "log":
        (root / "navsim_logs" / "test" / f"{split.LOGS[1]}.pkl").unlink()
    elif lost in ("plan", "place"):
        monkeypatch.setattr(split.Slower, "fails_at" if lost == "plan" else "strays_at", (7.0,))
        monkeypatch.setattr(split, "SPEED_MPS", 7.0)
        for pair_token in SECOND.follow_ups[0]:
            (pickles / f"{pair_token}.pkl").write_bytes(split.dump_portable(split.synthetic_scene(pair_token, 1)))
    elif lost == "scoring":
        left = [name for name in split.mapping().second_stage if name != token]
        with split.SceneStoreWriter(root / "store") as writer:
            for name in (*split.mapping().first_stage, *left):
                writer.add(split.places()[name].scene(name))
    store = str(root / "store") if lost == "scoring" else None
    traffic = "reactive" if changes is NO_TRAFFIC else "log_replay"  # which is quicker
    summary = evaluate(config(root, scenes=store, traffic=traffic))
    left_out = summary["two_stage"]["left_out"]
    assert list(left_out["slower"]) == [SECOND.now]
    assert re.search(words, left_out["slower"][SECOND.now]), left_out["slower"]
    others = left_out["constant_velocity"]
    assert list(others) == ([] if lost in ("plan", "place") else [SECOND.now])
    assert set(FIRST.tokens) < set(table_of(root, "slower").index)
    assert not set(SECOND.tokens) & set(table_of(root, "slower").index)


def test_the_report_shows_one_stage_alone(root: Path, summary: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is of two stages, whose synthetic scenes have no human to be shown beside"):
        read_results(root / "out")


def test_logs_that_are_named_choose_groups(root: Path, tmp_path: Path) -> None:
    summary = evaluate(config(root, output=str(tmp_path), log_names=[split.LOGS[1]], traffic="log_replay"))
    assert summary["two_stage"]["num_groups"] == 1
    assert summary["two_stage"]["left_out"] == {"constant_velocity": {}, "slower": {}}
    assert summary["scenes"]["num_scenes"] == 4


def test_without_any_whole_group_the_reason_is_said(tmp_path: Path) -> None:
    root = changed_split(tmp_path, {})
    for path in (root / "navhard_two_stage" / "synthetic_scene_pickles").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"not one of 2 groups can be scored; that of 0+5: 6 of its 8 scenes have no"):
        evaluate(config(root))


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("pickles", r"6 of its 8 scenes have no score \(.*\): WorldDataError: scene .* is none of the 0 in"),
        ("scenes", r"6 of its 8 scenes have no score \(.*\): InputError: scene .* is not among the 4 of"),
        ("traffic", r"8 of its 8 scenes have no score \(.*\): SceneError: scene .* lacks traffic_role.*; export its"),
    ],
)
def test_what_no_group_has_is_said_before_anything_is_planned(
    lost: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = split.mapping().tokens
    bare = tokens if lost == "traffic" else ()
    root = changed_split(tmp_path, {token: {"has_traffic": False} for token in bare})
    if lost == "pickles":
        for path in (root / "navhard_two_stage" / "synthetic_scene_pickles").iterdir():
            path.unlink()
    monkeypatch.setattr("training.evaluate.plan_scenes", lambda *_: pytest.fail("something is planned"))
    scenes = str(root / "scoring_scenes" / "test") if lost == "scenes" else None
    with pytest.raises(InputError, match=f"not one of 2 groups can be scored; that of {FIRST.now}: {words}"):
        evaluate(config(root, scenes=scenes))
    assert not (root / "out").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": "three_stage"}, "protocol='three_stage', but must be one_stage or two_stage"),
        ({"tokens": None}, "protocol=two_stage needs to know which scenes belong together: tokens=<the split's YAML>"),
        (
            {"protocol": "one_stage"},
            r"tokens=.*split.yaml, but only protocol=two_stage reads it; add that, or leave it",
        ),
        (
            {"protocol": "one_stage", "tokens": None, "synthetic_sensor_path": "x"},
            "synthetic_sensor_path=x, but only protocol=two_stage reads it",
        ),
        ({"columns": ["epdms", "displacement"]}, r"columns=\['epdms'\]: protocol=two_stage scores EPDMS of itself"),
        ({"max_scenes": 3}, r"max_scenes=3 and frame_interval=1, but the mapping says which scenes there are"),
        ({"frame_interval": 2}, r"max_scenes=0 and frame_interval=2, but the mapping says"),
        ({"sequential": ["slower"]}, r"sequential=\['slower'\], but scenes of the second stage have no frame before"),
    ],
)
def test_settings_without_meaning_are_refused(root: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        config(root, **changes)


def test_the_human_alone_is_nobody_to_evaluate(root: Path) -> None:
    with pytest.raises(
        InputError, match=r"baselines=\['human'\] alone, but nobody drove on .*; name constant_velocity"
    ):
        config(root, baselines=["human"], agent=None)
    with pytest.raises(InputError, match="nothing to evaluate; name baselines, runs, checkpoints or an agent"):
        evaluate(config(root, baselines=[], agent=None))
    (root / "split.txt").write_text("a\n")
    with pytest.raises(InputError, match=r"split\.txt has no reactive_all_mapping, so nothing says"):
        evaluate(config(root, tokens=str(root / "split.txt")))
