"""Trained agents lead cars into trouble: who is drawn, how long, and what tells two such worlds apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from navsim_agents.closed_loop import run_leads
from navsim_agents.closed_loop.moment import WINDOW, Witness
from navsim_agents.closed_loop.planners import Plan
from navsim_agents.closed_loop.recoveries import Attempt, wrong_plans
from navsim_agents.closed_loop.recovery_config import RecoveriesConfig, at_the_wheel
from navsim_agents.closed_loop.recovery_world import load_any_world, parts_of
from navsim_agents.closed_loop.run_leads import RUN_S, RunLead, RunsLead
from navsim_agents.closed_loop.stage import Stage, place_of
from navsim_agents.closed_loop.troubles import Trouble
from navsim_agents.errors import InputError, WorldDataError
from navsim_agents.world.config import RECOVERIES
from navsim_agents.world.drive import DriveConfig
from navsim_agents.world.generate import package_version
from navsim_agents.world.plan import WorldIndex, write_index
from navsim_agents.world.simulation import Decision
from tests.closed_loop.given import FEW, TOWN, WORLD_SEED, Standing, stage_of


@pytest.fixture
def leads(monkeypatch: pytest.MonkeyPatch) -> RunsLead:
    """Of a run that stands."""
    monkeypatch.setattr(run_leads, "planner_of", lambda config, name: Standing())
    return RunsLead(0.5, at_the_wheel({"a": "x", "b": "y"}, {}, "best", textures=False, jpeg_quality=90))


def test_runs_lead_their_share_and_wrong_plans_the_others(leads: RunsLead) -> None:
    stage, rng = stage_of("light_straight"), np.random.default_rng(0)
    drawn = [leads(stage, rng) for _ in range(200)]
    runs = [lead for lead in drawn if isinstance(lead, RunLead)]
    assert len(runs) == pytest.approx(100, abs=25)
    assert all(RUN_S[0] <= lead.lasts_s <= RUN_S[1] for lead in runs)
    assert all(isinstance(lead, (RunLead, Trouble)) for lead in drawn)
    assert isinstance(wrong_plans(stage, rng), Trouble)


def test_the_log_begins_where_the_run_has_got_to(leads: RunsLead) -> None:
    stands = RunsLead(1.0, leads.config)
    config, graph = DriveConfig(duration_s=4.0, traffic=FEW), place_of(TOWN, WORLD_SEED)[0]
    drives = (Attempt(graph, (0, WORLD_SEED), config, np.random.default_rng(n), stands, 5).drive() for n in range(9))
    drive = next(found for found in drives if found is not None)
    speeds = drive.ego.velocities[:, 0]
    assert speeds[WINDOW - 1] < 1.0 < speeds[-1]


def test_an_index_tells_who_led_and_builds_the_same_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "result.json").write_text("{}")
    config = RecoveriesConfig("x", share=0.5, runs={"a": str(run)}, run_share=0.25)
    told = json.loads(json.dumps(config.identity()))
    lead = parts_of(told).simulate_drive.lead  # type: ignore[attr-defined]
    assert (lead.share, lead.config.runs, lead.config.jpeg_quality) == (0.25, {"a": str(run)}, 90)
    assert hash(parts_of(told)) == hash(parts_of(told))
    (run / "result.json").write_text('{"steps": 2}')
    assert config.identity()[RECOVERIES]["trained"] != told[RECOVERIES]["trained"]
    assert "runs" not in RecoveriesConfig("x").identity()[RECOVERIES]


def test_a_world_whose_run_was_trained_again_is_not_built_again(tmp_path: Path) -> None:
    run, root = tmp_path / "run", tmp_path / "world"
    run.mkdir()
    (run / "result.json").write_text("{}")
    config = RecoveriesConfig(str(root), runs={"a": str(run)})
    write_index(root, WorldIndex(package_version(), config.identity(), ()))
    assert load_any_world(root).splits["train"] == []
    (run / "result.json").write_text('{"steps": 2}')
    with pytest.raises(WorldDataError, match="trained again or are gone"):
        load_any_world(root)


def test_a_run_plans_on_one_thread(leads: RunsLead) -> None:
    class Counting(Standing):
        def plan(self, stage: Stage, witness: Witness, decision: Decision) -> Plan:
            seen.append(torch.get_num_threads())
            return super().plan(stage, witness, decision)

    seen: list[int] = []
    stage, before = stage_of("light_straight"), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        RunLead(Counting(), Witness(stage, {}, None, 0), 2.0).plan(stage, stage.decide())
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"runs": {"a/b": "x"}}, "leave out /"),
        ({"runs": {"a": "x"}, "weights": "worst"}, "best or last"),
        ({"runs": {"a": "x"}, "run_settings": {"b": {}}}, "name one"),
        ({"run_settings": {"b": {}}}, "name one"),
    ],
)
def test_runs_are_checked_as_where_they_drive(given: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        RecoveriesConfig("x", **given)
