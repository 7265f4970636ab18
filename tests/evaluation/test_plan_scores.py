"""Scores of the evaluation: the devkit's columns, pairs of frames, aggregation by hand, failures."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from navsim_agents.errors import InputError, TrajectoryError
from navsim_agents.evaluation import two_stage_scores
from navsim_agents.evaluation.metrics import PlannedScenes, compute_columns
from navsim_agents.evaluation.plan_scores import PlanScorer, two_frame_comfort
from navsim_agents.evaluation.table import metric_names, sub_score_names, summary_table
from navsim_agents.evaluation.two_stage_scores import scenes_at_once
from navsim_agents.scoring import SceneStoreWriter, ScoringScene, extended_comfort, score_trajectories
from navsim_agents.scoring.config import EPDMS
from navsim_agents.scoring.engines import WORTH_COMPILED
from navsim_agents.scoring.traffic import scored as in_traffic
from navsim_agents.sources import LoggedScenes
from tests.scoring.tiny import light, plan, rectangle, scene, track
from tests.scoring.traffic.roads import scene_of, vehicle, way
from tests.training.fakes import FakeSource
from training.config import EvaluateConfig
from training.evaluate import evaluate

STEP_US = 500_000
START_US = 1_600_000_000_000_000


@dataclass(frozen=True)
class ScoredSource(FakeSource):
    """The fakes' logs with a tiny scoring scene for each; traffic differs from scene to scene."""

    unscored: tuple[str, ...] = ()
    loaded: list[str] = field(default_factory=list)

    def scoring_scene(self, token: str) -> ScoringScene:
        if token in self.unscored:
            raise InputError(f"scene {token} was not exported")
        self.loaded.append(token)
        number = int(token[-1])
        tracks = [track(20.0 + 6.0 * number, 0.0)] if number % 2 else []
        lights = [light(rectangle(6.0, 12.0, -2.0, 2.0))] if number == 4 else []
        times = np.asarray(START_US + number * STEP_US)
        return scene(tracks=tracks, lights=lights, speed=6.0, timestamp_us=times, token=np.asarray(token))


TOKENS = ["log_a_0", "log_a_1", "log_a_2", "log_a_4", "log_b_0"]
LOG_NAMES = [token[:5] for token in TOKENS]
PLANS = {
    "steady": np.stack([plan(6.0)] * 5),  # goes on as the ego does
    "slow": np.stack([plan(3.0), plan(3.2), plan(3.0), plan(6.0), plan(3.0)]),
    "wild": np.stack([plan(6.0, 0.0), plan(12.0, 3.0), plan(6.0), plan(12.0), plan(6.0)]),
}
PLANS["wild"][2, 3] = np.nan


def scorer(metrics: tuple[str, ...] = ("pdms", "epdms"), source: ScoredSource = ScoredSource()) -> PlanScorer:
    return PlanScorer(source, metrics, TOKENS, LOG_NAMES, PLANS)


@pytest.fixture(scope="module")
def scored() -> PlanScorer:
    return scorer()


@pytest.mark.parametrize("agent", list(PLANS))
def test_columns_are_those_of_each_plan_alone(scored: PlanScorer, agent: str) -> None:
    for metric in ("pdms", "epdms"):
        found = scored.columns(agent, metric)
        for row, token in enumerate(TOKENS):
            if agent == "wild" and row == 2:
                assert all(np.isnan(values[row]) for values in found.values())
                continue
            poses = torch.from_numpy(PLANS[agent][row][None])
            alone = score_trajectories(
                ScoredSource().scoring_scene(token), poses, metric=metric, human_penalty_filter=metric == "epdms"
            )
            names = set(alone) & set(found) - {"score"} if metric == "epdms" else set(alone) & set(found)
            assert len(names) >= 7
            for name in names:
                assert found[name][row] == pytest.approx(float(alone[name][0]), abs=1e-12), (metric, name, token)


def test_epdms_is_aggregated_as_in_the_one_stage_script_by_hand(scored: PlanScorer) -> None:
    found = scored.columns("slow", "epdms")
    gates = np.prod(
        [found[f"{name}_compliance"] for name in ("drivable_area", "driving_direction", "traffic_light")], 0
    )
    gates = gates * found["no_at_fault_collisions"]
    comfort = found["two_frame_extended_comfort"]
    parts = 5 * found["ego_progress"] + 5 * found["time_to_collision_within_bound"]
    parts = parts + 2 * found["lane_keeping"] + 2 * found["history_comfort"]
    for row in range(len(TOKENS)):
        missing = np.isnan(comfort[row])
        expected = gates[row] * (parts[row] / 14 if missing else (parts[row] + 2 * comfort[row]) / 16)
        assert found["score"][row] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(comfort).tolist() == [True, False, False, True, True]


def test_epdms_star_keeps_what_the_human_excuses(scored: PlanScorer) -> None:
    found = scored.columns("slow", "epdms")
    row = TOKENS.index("log_a_4")  # where the human runs the red light too
    poses = torch.from_numpy(PLANS["slow"][row][None])
    plain = score_trajectories(ScoredSource().scoring_scene("log_a_4"), poses)
    assert plain["traffic_light_compliance"].tolist() == [0.0]
    assert found["traffic_light_compliance"][row] == 1.0
    assert (found["epdms_star"][row], found["score"][row] > 0.5) == (0.0, True)


def test_comfort_compares_each_plan_with_its_own_of_the_frame_before(scored: PlanScorer) -> None:
    for agent in PLANS:
        comfort = scored.columns(agent, "epdms")["two_frame_extended_comfort"]
        states = [
            score_trajectories(ScoredSource().scoring_scene(token), torch.from_numpy(poses[None]))["simulated_states"]
            for token, poses in zip(TOKENS[:2], PLANS[agent])
        ]
        assert comfort[1] == float(extended_comfort(states[1], states[0], 0.5)[0])
    assert scored.columns("steady", "epdms")["two_frame_extended_comfort"][1] == 1.0
    assert scored.columns("slow", "epdms")["two_frame_extended_comfort"][1] == 0.0  # brakes from 6 m/s in each frame
    assert scored.columns("wild", "epdms")["two_frame_extended_comfort"][1] == 0.0
    assert np.isnan(scored.columns("wild", "epdms")["two_frame_extended_comfort"][2:]).all()


def test_pairs_are_frames_of_one_log_at_most_055_s_apart_whatever_their_order() -> None:
    times = np.array([1_000_000, 500_000, 0, 1_600_000, 500_000, 0])
    logs = ["x", "x", "x", "x", "y", "y"]
    states = torch.zeros(6, 1, 41, 11, dtype=torch.float64)
    states[1, :, :, 5] = 3.0  # another acceleration: uncomfortable against both neighbours
    planned = np.array([[True], [True], [True], [True], [True], [False]])
    found = two_frame_comfort(states, times, logs, planned)[:, 0].numpy()
    np.testing.assert_array_equal(found, [0.0, 0.0, np.nan, np.nan, np.nan, np.nan])


def test_a_scene_that_cannot_be_scored_costs_itself_and_is_named() -> None:
    partly = scorer(source=ScoredSource(unscored=("log_a_1",)))
    found = partly.columns("slow", "epdms")
    assert np.isnan(found["score"]).tolist() == [False, True, False, False, False]
    assert np.isnan(found["two_frame_extended_comfort"]).all()  # its neighbours are a second apart now
    assert [(item["token"], item["reason"]) for item in partly.failures] == [
        ("log_a_1", "InputError: scene log_a_1 was not exported")
    ]
    with pytest.raises(InputError, match="none of 5 scenes can be scored: InputError: scene log_a_0 was not exported"):
        scorer(source=ScoredSource(unscored=tuple(TOKENS))).columns("slow", "pdms")


def test_every_scene_is_loaded_once_for_all_agents_and_metrics() -> None:
    source = ScoredSource()
    both = scorer(source=source)
    for agent in PLANS:
        both.columns(agent, "pdms"), both.columns(agent, "epdms")
    assert source.loaded == TOKENS


def test_what_was_not_asked_for_is_refused(scored: PlanScorer) -> None:
    with pytest.raises(InputError, match=r"epdms was not asked for, only \['pdms'\]; name it among the columns"):
        scorer(metrics=("pdms",)).columns("slow", "epdms")
    bare = PlannedScenes(TOKENS, LOG_NAMES, PLANS["slow"], PLANS["slow"], ScoredSource())
    with pytest.raises(InputError, match="pdms needs a PlanScorer, but these scenes have none"):
        compute_columns(["pdms"], bare)


@dataclass(frozen=True)
class ReactingSource(ScoredSource):
    """One follows the ego closely, and one stands ahead in the log that drives in traffic; some scenes lack traffic."""

    def scoring_scene(self, token: str) -> ScoringScene:
        if token in self.unscored:
            return scene(token=np.asarray(token))
        number = int(token[-1])
        times = np.asarray(START_US + number * STEP_US)
        road = way(-40.0, 0.0, 200.0, 0.0, points=241)
        others = [vehicle(road, progress=60.0 + number, speed=6.0), vehicle(road, progress=32.0, speed=7.0)]
        tracks = [track(20.0 + number, 0.0)]
        return scene_of(*others, tracks=tracks, speed=6.0, timestamp_us=times, token=np.asarray(token))


def test_plans_and_human_are_scored_in_traffic_that_reacts() -> None:
    source, tokens, plans = ReactingSource(), TOKENS[1:3], {name: poses[1:3] for name, poses in PLANS.items()}
    reacts, replays = (
        PlanScorer(source, ("pdms", "epdms"), tokens, LOG_NAMES[1:3], plans, traffic=traffic)
        for traffic in ("reactive", "log_replay")
    )
    for agent, row in (("steady", 0), ("steady", 1), ("slow", 1), ("wild", 0)):
        found, poses = reacts.columns(agent, "epdms"), torch.from_numpy(plans[agent][row][None])
        made = source.scoring_scene(tokens[row])
        alone = score_trajectories(made, poses, human_penalty_filter=True, traffic="reactive")
        for name in set(alone) & set(found) - {"score"}:
            assert found[name][row] == pytest.approx(alone[name].item()), (agent, row, name)
    assert (replays.columns("steady", "epdms")["epdms_star"] == 0.0).all()
    assert (reacts.columns("steady", "epdms")["epdms_star"] > 0.9).all()
    for name, values in reacts.columns("wild", "pdms").items():
        np.testing.assert_array_equal(values, replays.columns("wild", "pdms")[name])


def test_everybody_drives_in_own_traffic_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each scene the plans and the human, all together."""
    driven, simulate = [], in_traffic.plans_traffic

    def counted(scene: ScoringScene, states: Any, *rest: int) -> Any:
        driven.append(len(states))
        return simulate(scene, states, *rest)

    monkeypatch.setattr(in_traffic, "plans_traffic", counted)
    plans = {name: poses[1:3] for name, poses in PLANS.items()}
    PlanScorer(ReactingSource(), ("epdms",), TOKENS[1:3], LOG_NAMES[1:3], plans, "reactive").columns("slow", "epdms")
    assert driven == [len(PLANS) + 1] * 2


@pytest.mark.parametrize(("plans", "scenes"), [(1, 256), (3, 86), (256, 1), (10_000, 1)])
def test_so_many_scenes_are_scored_together_that_compiling_pays(plans: int, scenes: int) -> None:
    assert scenes_at_once(plans) == scenes
    assert scenes * plans >= WORTH_COMPILED


def test_a_scene_that_fails_costs_itself_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that cannot be scored together are scored half by half."""
    source = ReactingSource(unscored=("log_a_2",))
    calls, score = [], two_stage_scores.score_scenes
    plans, reasons = np.stack([PLANS["slow"]], axis=1), {}

    def counted(scenes: list[ScoringScene], *rest: Any, **more: Any) -> Any:
        calls.append(len(scenes))
        return score(scenes, *rest, **more)

    monkeypatch.setattr(two_stage_scores, "score_scenes", counted)
    found = list(two_stage_scores.scored_batches(source.scoring_scene, TOKENS, plans, 0.5, EPDMS, reasons, "reactive"))
    assert list(reasons) == ["log_a_2"]
    assert sorted(row for batch in found for row in batch.rows) == [0, 1, 3, 4]
    assert calls[0] == len(TOKENS)


def test_a_scene_without_traffic_costs_itself() -> None:
    plans = {"slow": PLANS["slow"][1:3]}
    source = ReactingSource(unscored=("log_a_2",))
    reacts = PlanScorer(source, ("epdms",), TOKENS[1:3], LOG_NAMES[1:3], plans, "reactive")
    assert [row["token"] for row in reacts.failures] == ["log_a_2"]
    assert "lacks traffic_role" in reacts.failures[0]["reason"]
    assert np.isnan(reacts.columns("slow", "epdms")["score"]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"traffic": "idm"}, TrajectoryError, "traffic is 'idm', but must be one of log_replay, reactive"),
        (
            {"traffic": "reactive", "columns": ["displacement", "pdms"]},
            InputError,
            r"traffic=reactive, but of columns=\['displacement', 'pdms'\] none is scored in it; add epdms to columns",
        ),
    ],
)
def test_traffic_that_nothing_is_scored_in_is_refused(
    changes: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        evaluate(replace(config(tmp_path), **changes), ScoredSource())


def test_evaluation_in_traffic_that_reacts(tmp_path: Path) -> None:
    """The log's car is run into; in traffic it drives. PDMS is of the log whatever is asked for."""
    few = replace(config(tmp_path), baselines=["constant_velocity"], columns=["pdms", "epdms"], max_scenes=2)
    summaries = [evaluate(replace(few, traffic=traffic), ReactingSource()) for traffic in ("log_replay", "reactive")]
    log, found = (summary["agents"]["constant_velocity"] for summary in summaries)
    assert log["epdms_star"] < 0.1 < 0.9 < found["epdms_star"]
    assert log["pdms"] == found["pdms"]
    assert summaries[1]["meta"]["config"]["traffic"] == "reactive"


BASELINES = ["constant_velocity", "human", "reference_driver"]


def config(folder: Path) -> EvaluateConfig:
    columns = ["displacement", "pdms", "epdms"]
    return EvaluateConfig(output=str(folder), data_root="", baselines=BASELINES, columns=columns)


def test_evaluation_averages_what_it_writes(tmp_path: Path) -> None:
    evaluate(config(tmp_path), ScoredSource())
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(summary["agents"]) == BASELINES
    for name, metrics in summary["agents"].items():
        tables = {metric: pd.read_csv(tmp_path / f"{name}.{metric}.csv") for metric in ("pdms", "epdms")}
        assert list(tables["pdms"])[:3] == ["token", "valid", "no_at_fault_collisions"]
        for metric, table in tables.items():
            assert metrics[metric] == pytest.approx(table["score"].mean(), abs=1e-6)
            for column in table.columns[2:]:
                own = {"score": metric, "two_frame_extended_comfort": "extended_comfort", "epdms_star": "epdms_star"}
                average = metrics[own.get(column, f"{metric}.{column}")]
                assert average == pytest.approx(table[column].mean(), abs=1e-6), column
        assert tables["epdms"]["two_frame_extended_comfort"].isna().sum() == 5  # the first frame of each log
    main = ["ade_m", "fde_m", "heading_error_rad", "pdms", "epdms", "epdms_star", "extended_comfort"]
    assert metric_names(summary) == main
    assert "epdms.lane_keeping" in sub_score_names(summary)
    assert summary_table(summary).splitlines()[0].split() == ["agent", *main, "scenes"]
    # It runs into the car 26 m ahead in one scene of six, and there no progress counts.
    assert summary["agents"]["reference_driver"]["pdms.ego_progress"] == pytest.approx(5 / 6, abs=1e-6)


def test_scenes_of_logged_data_come_from_the_worlds_store_or_the_one_named(tmp_path: Path) -> None:
    made = scene()
    for place in (tmp_path / "scoring_scenes" / "test", tmp_path / "exported"):
        with SceneStoreWriter(place) as writer:
            writer.add(made)
    own = LoggedScenes(str(tmp_path), "test")
    named = LoggedScenes("elsewhere", "test", scenes=str(tmp_path / "exported"))
    for source in (own, named):
        assert source.scoring_scene(made.token).token == made.token
        with pytest.raises(InputError, match=r"scene x is not among the 1 of scenes=.*; export it"):
            source.scoring_scene("x")
    with pytest.raises(InputError, match=r"there are no scoring scenes at .*mini, which pdms and epdms need; write"):
        LoggedScenes(str(tmp_path), "mini").scoring_scene("x")
