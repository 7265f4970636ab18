"""The evaluation's contract: summary, csv, plans, and what a failure costs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from navsim_agents.data.logs import sensors_of
from navsim_agents.errors import InputError
from navsim_agents.evaluation.planning import choose_scenes
from navsim_agents.evaluation.table import summary_table
from tests.training.fakes import LOGS, SCENES_PER_LOG, FakeSource, TinyAgent
from training.config import EvaluateConfig
from training.evaluate import evaluate

AGENT = {"_target_": "tests.training.fakes.TinyAgent"}


def config(folder: Path, **changes: Any) -> EvaluateConfig:
    base = EvaluateConfig(output=str(folder), data_root="", agent=AGENT, agent_name="drive_jepa_perception_free")
    return replace(base, **changes)


def test_summary_and_csv_keep_their_contract(tmp_path: Path) -> None:
    evaluate(config(tmp_path), FakeSource())
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(summary["agents"]) == ["constant_velocity", "human", "drive_jepa_perception_free"]
    for metrics in summary["agents"].values():
        assert list(metrics) == ["ade_m", "fde_m", "heading_error_rad", "num_planned", "num_failed"]
        assert all(isinstance(value, (int, float)) for value in metrics.values())
    assert summary["agents"]["human"]["ade_m"] == 0.0
    assert summary["scenes"]["num_scenes"] == len(LOGS) * SCENES_PER_LOG
    assert sum(summary["scenes"]["commands"].values()) == len(LOGS) * SCENES_PER_LOG
    frame = pd.read_csv(tmp_path / "constant_velocity.csv")
    assert list(frame)[:5] == ["token", "log_name", "command", "speed_mps", "valid"]
    assert frame["ade_m"].mean() == pytest.approx(summary["agents"]["constant_velocity"]["ade_m"], abs=1e-6)


def test_constant_velocity_goes_straight_on_by_hand(tmp_path: Path) -> None:
    evaluate(config(tmp_path), FakeSource())
    scene = FakeSource().open("log_b").get_scene("log_b_2")
    human = scene.get_future_trajectory(8).poses
    straight = 0.5 * scene.speed * np.arange(1, 9)
    expected = np.hypot(straight - human[:, 0], human[:, 1]).mean()
    row = pd.read_csv(tmp_path / "constant_velocity.csv").set_index("token").loc["log_b_2"]
    assert row["ade_m"] == pytest.approx(expected, rel=1e-5)
    plans = np.load(tmp_path / "plans.npz")
    index = list(plans["tokens"]).index("log_b_2")
    assert plans["plans.constant_velocity"][index, :, 0] == pytest.approx(straight, rel=1e-6)
    assert plans["plans.human"][index] == pytest.approx(human)


def test_a_failing_agent_is_counted_and_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = TinyAgent.compute_trajectory

    def sometimes(self: TinyAgent, agent_input: Any) -> Any:
        if agent_input.ego_statuses[-1].driving_command[0]:
            raise ValueError("left is not my side")
        return plan(self, agent_input)

    monkeypatch.setattr(TinyAgent, "compute_trajectory", sometimes)
    summary = evaluate(config(tmp_path), FakeSource())
    num_left = summary["scenes"]["commands"]["left"]
    ours = summary["agents"]["drive_jepa_perception_free"]
    assert 0 < num_left == ours["num_failed"] == len(summary["scenes"]["failures"])
    assert ours["num_planned"] == len(LOGS) * SCENES_PER_LOG - num_left
    assert summary["scenes"]["failures"][0]["reason"] == "ValueError: left is not my side"
    frame = pd.read_csv(tmp_path / "drive_jepa_perception_free.csv")
    assert frame.loc[~frame["valid"], "ade_m"].isna().all()
    assert ours["ade_m"] == pytest.approx(frame.loc[frame["valid"], "ade_m"].mean(), abs=1e-6)


def test_a_torn_scene_costs_one_scene(tmp_path: Path) -> None:
    summary = evaluate(config(tmp_path), FakeSource(bad_tokens=("log_c_0",)))
    assert summary["scenes"]["num_scenes"] == len(LOGS) * SCENES_PER_LOG - 1
    assert [failure["token"] for failure in summary["scenes"]["failures"]] == ["log_c_0"]


def test_scenes_are_evenly_spaced_or_of_the_logs_named() -> None:
    chosen = choose_scenes(FakeSource(), max_scenes=5)
    tokens = [token for tokens in chosen.values() for token in tokens]
    assert (tokens[0], tokens[-1], len(tokens)) == ("log_a_0", "log_e_5", 5)
    chosen = choose_scenes(FakeSource(), ["log_d"])
    assert {name: len(tokens) for name, tokens in chosen.items()} == {"log_d": SCENES_PER_LOG}


def test_table_has_a_line_for_every_agent(tmp_path: Path) -> None:
    lines = summary_table(evaluate(config(tmp_path), FakeSource())).splitlines()
    assert lines[0].split() == ["agent", "ade_m", "fde_m", "heading_error_rad", "scenes"]
    assert [line.split()[0] for line in lines[2:]] == ["constant_velocity", "human", "drive_jepa_perception_free"]
    assert len({len(line) for line in lines}) == 1


def test_sensors_are_those_that_any_agent_asks_for() -> None:
    assert sensors_of([TinyAgent()]) == {"cam_f0": (2, 3)}
    greedy = TinyAgent()
    config_all = greedy.get_sensor_config()
    config_all.cam_b0 = True
    greedy.get_sensor_config = lambda: config_all  # type: ignore[method-assign]
    assert sensors_of([TinyAgent(), greedy]) == {"cam_f0": (2, 3), "cam_b0": (0, 1, 2, 3)}


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"baselines \['humn'\] are unknown"):
        evaluate(config(tmp_path, baselines=["humn"]), FakeSource())
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate(config(tmp_path, baselines=[], agent=None), FakeSource())
    with pytest.raises(InputError, match=r"run_settings are given for \['mine'\], but runs holds \[\]"):
        evaluate(config(tmp_path, run_settings={"mine": {"momentum": {"mode": "off"}}}), FakeSource())
    with pytest.raises(InputError, match="weights='newest', but must be best or last"):
        evaluate(config(tmp_path, weights="newest"), FakeSource())


def test_only_agents_with_momentum_are_planned_in_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for uses_momentum, name in ((False, "drive_jepa_perception_free"), (True, "human")):
        settings = SimpleNamespace(momentum=SimpleNamespace(is_on=uses_momentum))
        monkeypatch.setattr(TinyAgent, "propose", None, raising=False)
        monkeypatch.setattr(TinyAgent, "config", settings, raising=False)
        with pytest.raises(InputError, match=rf"sequential=\['{name}'\]: only agents with proposals and momentum"):
            evaluate(config(tmp_path, sequential=[name]), FakeSource())
