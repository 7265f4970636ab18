"""The measured choice of a planner on scenes with a parked car: files and summary against a loop over scenes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from cache_tools.score_vocabulary import ScoreVocabularyConfig, label_scenes
from navsim_agents.distillation import LabelStore, load_vocabulary, save_vocabulary
from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.errors import InputError
from navsim_agents.evaluation.choice_run import ChoiceLabels, choice_table, write_choice
from navsim_agents.evaluation.planning import Evaluation, plan_scenes
from navsim_agents.scoring import SceneStore, SceneStoreWriter, ScoringScene, score_scenes
from tests.cache_tools.tools import make_vocabulary
from tests.drive_jepa.planner_scenes import TINY_PLANNER, Drive, DriveScene
from tests.scoring.tiny import arrays, track
from training.config import EvaluateConfig
from training.report.choice_section import choice, choice_chart
from training.report.results import Results

LOGS = {"log-0": 0, "log-1": 1}
FRAMES = (4, 5, 6)
NAME = "full"


@dataclass(frozen=True)
class Reader:
    seed: int

    @property
    def tokens(self) -> list[str]:
        return [Drive(seed=self.seed).token(frame) for frame in FRAMES]

    def get_scene(self, token: str) -> DriveScene:
        return Drive(seed=self.seed).scene(FRAMES[self.tokens.index(token)])


@dataclass(frozen=True)
class Source:
    """Two drives of three frames, a parked car ahead of the second one, at last too near to drive on."""

    store: Path

    def log_names(self) -> list[str]:
        return list(LOGS)

    def open(self, log_name: str) -> Reader:
        return Reader(LOGS[log_name])

    def fingerprint(self, log_name: str) -> str:
        return log_name

    def scoring_scene(self, token: str) -> ScoringScene:
        return SceneStore(self.store)[token]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("scenes") / "test"
    with SceneStoreWriter(folder) as store:
        for seed in LOGS.values():
            drive = Drive(seed=seed)
            for frame in FRAMES:
                tracks = (track(66.0 - 10.0 * frame, 0.0),)[:seed]
                now = {"token": np.asarray(drive.token(frame)), "timestamp_us": np.asarray(500_000 * frame)}
                store.add(ScoringScene.from_arrays(arrays(tracks, speed=float(drive.speeds[frame]), **now)))
    return Source(folder)


@pytest.fixture(scope="module")
def labels(source: Source, tmp_path_factory: pytest.TempPathFactory) -> ChoiceLabels:
    folder = tmp_path_factory.mktemp("labels")
    found = ChoiceLabels(str(folder / "labels"), str(folder / "v.npy"))
    save_vocabulary(make_vocabulary(), folder / "v.npy")
    label_scenes(ScoreVocabularyConfig(found.vocabulary, found.label_store, str(source.store), workers=0))
    return found


def make_agent(**planner: Any) -> ProposalAgent:
    torch.manual_seed(0)
    settings = {**TINY_PLANNER, "planner": {**TINY_PLANNER["planner"], **planner}, "momentum": {"mode": "off"}}
    agent = ProposalAgent(settings, device="cpu")
    with torch.no_grad():  # far enough to differ in what they meet
        agent.planner.refiner.decoder[-1].weight *= 40.0
    return agent


def planned(agent: ProposalAgent, source: Source) -> Evaluation:
    return plan_scenes({NAME: agent}, source, {log: source.open(log).tokens for log in LOGS})


def test_own_proposals_against_a_loop(source: Source, tmp_path: Path) -> None:
    agent = make_agent()
    result = planned(agent, source)
    found = write_choice({NAME: agent}, result, source, tmp_path)[NAME]
    assert sorted(found) == ["best_fixed", "lost", "proposals", "selection"]
    table = pd.read_csv(tmp_path / f"{NAME}.choice.csv", dtype={"token": str})
    gates = []
    for row, scene in enumerate(result.scenes):
        poses = torch.from_numpy(result.proposals[NAME][row])[None]
        scores = score_scenes([source.scoring_scene(scene["token"])], poses).columns
        true, best = scores["pdm_score"][0], int(result.foreseen[NAME][row].argmax())
        assert table["token"][row] == scene["token"]
        assert table["chosen"][row] == pytest.approx(float(true[best]))
        assert table["regret"][row] == pytest.approx(float(true.max() - true[best]))
        gate = scores["no_at_fault_collisions"][0]
        gates.append(float(gate[int(true.argmax())] - gate[best]))
    assert set(table["of"]) == {"proposals"}
    assert found["proposals"]["num_scenes"] == 6
    assert found["proposals"]["regret"] == pytest.approx(table["regret"].mean())
    assert sum(found["proposals"]["calibration"]["number"]) == 6 * 5
    assert found["lost"]["no_at_fault_collisions"] == pytest.approx(np.mean(gates))


def test_an_oracle_is_no_worse_and_momentum_is_steadier(source: Source, tmp_path: Path) -> None:
    agent = make_agent()
    selection = write_choice({NAME: agent}, planned(agent, source), source, tmp_path)[NAME]["selection"]
    assert list(selection) == ["foreseen", "foreseen_momentum", "oracle", "oracle_momentum"]
    assert selection["oracle"]["epdms"] >= selection["foreseen"]["epdms"]
    for who in ("foreseen", "oracle"):
        steady = selection[f"{who}_momentum"]["extended_comfort"]
        assert steady >= selection[who]["extended_comfort"]


def test_given_trajectories_are_ranked_where_there_are_labels(
    source: Source, labels: ChoiceLabels, tmp_path: Path
) -> None:
    agent = make_agent(scorer="trajectories")
    result = planned(agent, source)
    found = write_choice({NAME: agent}, result, source, tmp_path, labels)[NAME]
    store, poses = LabelStore.open(labels.label_store), load_vocabulary(labels.vocabulary).planned()
    table = pd.read_csv(tmp_path / f"{NAME}.choice.csv", dtype={"token": str})
    ranked = table[table["of"] == "vocabulary"].reset_index(drop=True)
    taught = 0
    for row, scene in enumerate(result.scenes):
        reader = source.open(scene["log_name"])
        foreseen = agent.foresee(reader.get_scene(scene["token"]).get_agent_input(), poses)
        scores = store.scores(scene["token"])
        assert ranked["token"][row] == scene["token"]
        assert ranked["chosen"][row] == pytest.approx(float(scores[int(foreseen.argmax())]))
        taught += int((scores >= 0.95).sum() >= 2)
    assert 0 < taught < 6
    assert (table["of"] == "teachers").sum() == found["teachers"]["num_scenes"] == taught
    assert found["teachers"]["mean"] >= 0.95
    without = write_choice({NAME: make_agent()}, planned(make_agent(), source), source, tmp_path, labels)[NAME]
    assert "vocabulary" not in without


def test_a_scene_without_plan_is_left_out(source: Source, tmp_path: Path) -> None:
    agent = make_agent()
    result = planned(agent, source)
    result.proposals[NAME][2] = np.full_like(result.proposals[NAME][2], np.nan)
    assert write_choice({NAME: agent}, result, source, tmp_path)[NAME]["proposals"]["num_scenes"] == 5
    table = pd.read_csv(tmp_path / f"{NAME}.choice.csv", dtype={"token": str})
    assert result.scenes[2]["token"] not in set(table["token"])


def test_table_and_section_show_every_agent(source: Source, tmp_path: Path) -> None:
    agent = make_agent()
    found = write_choice({NAME: agent}, planned(agent, source), source, tmp_path)
    lines = choice_table(found).splitlines()
    assert "regret" in lines[0]
    assert lines[1].split()[:3] == [NAME, "proposals", "6"]
    assert isinstance(choice_chart(found), Figure)
    results = Results({"choice": found}, {}, {}, {}, {}, {}, None)
    text = "".join(choice(results))
    assert "The choice among proposals" in text
    assert f"{found[NAME]['proposals']['regret']:.3f}" in text
    assert list(choice(replace(results, summary={}))) == []


def test_what_has_no_choice_is_refused(source: Source, tmp_path: Path) -> None:
    agent = make_agent()
    with pytest.raises(InputError, match="none of the agents proposes"):
        write_choice({"other": agent}, planned(agent, source), source, tmp_path)
    result = planned(agent, source)
    result.proposals[NAME] = [np.full_like(poses, np.nan) for poses in result.proposals[NAME]]
    with pytest.raises(InputError, match="no scene was planned"):
        write_choice({NAME: agent}, result, source, tmp_path)


def test_settings_that_mean_nothing_together_are_refused() -> None:
    with pytest.raises(InputError, match=r"labels=a, but choice=true reads labels together with their vocabulary"):
        EvaluateConfig("out", "data", choice=True, labels="a")
    with pytest.raises(InputError, match=r"labels=a, vocabulary=b, but choice=true"):
        EvaluateConfig("out", "data", labels="a", vocabulary="b")
    with pytest.raises(InputError, match="compares frames of one log"):
        EvaluateConfig("out", "data", choice=True, protocol="two_stage", tokens="split.yaml")
