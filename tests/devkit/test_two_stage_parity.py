"""Two-stage evaluation and offline scoring without the devkit equal v2.2's own scripts, which nothing changed.

Scoring scenes are exported from the script's metric cache, since PDM-Closed is the yardstick there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from navsim_agents.data.split_mapping import TwoStageMapping, read_two_stage_mapping
from navsim_agents.devkit.variant import Host, Variant
from tests.devkit.scripts import SEQUENTIAL, SUBMITTER, Devkit
from tests.devkit.weights import save_weights

PLANNER = "drive_jepa_small"
MOMENTUM = ("agent.config.momentum.mode=on", "agent.config.momentum.comfort_weight=0.5")
TOLERANCE = 1e-6
CONTINUOUS = ("ego_progress", "score")
STAGES = ("stage_one", "stage_two", "combined")


@pytest.fixture(scope="module")
def two_stage(host: Host, devkit: Devkit, tmp_path_factory: pytest.TempPathFactory) -> Devkit:
    """One test log among dense traffic, with follow-ups of two pairs of scenes."""
    if host.variant is not Variant.V2_2:
        pytest.skip(f"{host.variant.value} has one stage")
    output = tmp_path_factory.mktemp("two_stage_world")
    settings = ["logs=1", "seed=21", "duration_s=11.5", "splits.train=0", "splits.val=0", "cameras=[cam_f0]"]
    settings += ["two_stage=true", "two_stage_pairs=2", "vehicles=120"]
    subprocess.run([sys.executable, "-m", "navsim_agents.world", f"output={output}", *settings], check=True, cwd=output)
    return replace(devkit, world=output, experiments=tmp_path_factory.mktemp("two_stage_exp"))


@pytest.fixture(scope="module")
def split(two_stage: Devkit) -> tuple[str, ...]:
    return (f"--config-dir={two_stage.world}/devkit_config", "train_test_split=world_two_stage", SEQUENTIAL)


@pytest.fixture(scope="module")
def yaml(two_stage: Devkit) -> Path:
    return two_stage.world / "devkit_config" / "train_test_split" / "world_two_stage.yaml"


@pytest.fixture(scope="module")
def mapping(yaml: Path) -> TwoStageMapping:
    return read_two_stage_mapping(yaml)


@pytest.fixture(scope="module")
def store(two_stage: Devkit, split: tuple[str, ...]) -> Path:
    """Scoring scenes of the script's own metric cache."""
    two_stage.run("run_metric_caching", *split)
    place = two_stage.experiments / "store"
    cache = two_stage.experiments / "metric_cache"
    two_stage.run_module("cache_tools.export_scenes", f"scenes={cache}", f"output={place}", "traffic=true")
    return place


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Overrides of a small agent with momentum, the same for both sides."""
    return (f"agent={PLANNER}", save_weights(PLANNER, tmp_path_factory.mktemp("weights") / "w.ckpt"), *MOMENTUM)


def table_of(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, index_col=0, dtype={"token": str}).set_index("token")


@pytest.fixture(scope="module")
def theirs(two_stage: Devkit, split: tuple[str, ...], store: Path, planner: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """What ``run_pdm_score`` writes."""
    runs = {"constant_velocity": ("agent=constant_velocity_agent",), "planner": planner}
    found = {}
    for name, overrides in runs.items():
        text = two_stage.run("run_pdm_score", *split, *overrides, f"experiment_name={name}")
        assert "Number of failed scenarios: 0." in text
        found[name] = table_of(two_stage.outputs(name, "*.csv")[-1])
    return found


@pytest.fixture(scope="module")
def evaluation(two_stage: Devkit, yaml: Path, store: Path, planner: tuple[str, ...]) -> Path:
    """Ours, of the same agents on the same scenes."""
    output = two_stage.experiments / "evaluation"
    settings = [f"data_root={two_stage.world}", "split=test", f"scenes={store}", f"output={output}"]
    settings += ["protocol=two_stage", f"tokens={yaml}", "agent_name=planner"]
    two_stage.run_module("training.evaluate", *settings, *planner)
    return output


def assert_equal(ours: pd.DataFrame, theirs: pd.DataFrame, mapping: TwoStageMapping) -> None:
    """Every column of every scene and the averages: within the tolerance, what is discrete exactly."""
    assert set(ours.index) == set(theirs.index) == {*mapping.tokens, *(f"extended_pdm_score_{name}" for name in STAGES)}
    assert list(ours.columns) == list(theirs.columns)
    theirs = theirs.loc[ours.index]
    pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=0.0, atol=TOLERANCE)
    discrete = [name for name in ours if not name.startswith(CONTINUOUS)]
    scenes = list(mapping.tokens)
    pd.testing.assert_frame_equal(ours.loc[scenes, discrete], theirs.loc[scenes, discrete], check_exact=True)


@pytest.mark.parametrize("agent", ["constant_velocity", "planner"])
def test_the_evaluation_gives_the_scripts_table(
    evaluation: Path, theirs: dict[str, pd.DataFrame], mapping: TwoStageMapping, agent: str
) -> None:
    assert len(mapping.groups) == 2
    assert_equal(table_of(evaluation / f"{agent}.two_stage.csv"), theirs[agent], mapping)
    summary = json.loads((evaluation / "summary.json").read_text(encoding="utf-8"))
    assert summary["two_stage"]["traffic"] == "reactive"
    assert summary["two_stage"]["left_out"][agent] == {}
    for stage in STAGES:
        score = theirs[agent].loc[f"extended_pdm_score_{stage}", "score"]
        assert summary["agents"][agent][f"epdms_{stage}"] == pytest.approx(score, abs=TOLERANCE)
    assert np.isfinite(score)


def test_agents_are_scored_apart(theirs: dict[str, pd.DataFrame]) -> None:
    """Else equal tables would say little."""
    one, other = (theirs[name].drop(columns="valid") for name in ("planner", "constant_velocity"))
    assert ((one - other.loc[one.index]).abs() > TOLERANCE).any().sum() >= 4
    assert 0.0 < other.loc["extended_pdm_score_combined", "score"] < 1.0


def test_a_submission_is_scored_as_the_servers_script_scores_it(
    two_stage: Devkit,
    split: tuple[str, ...],
    yaml: Path,
    store: Path,
    planner: tuple[str, ...],
    mapping: TwoStageMapping,
    tmp_path: Path,
) -> None:
    two_stage.run("run_create_submission_pickle", *split, *planner, *SUBMITTER, "experiment_name=submission")
    (submission,) = two_stage.outputs("submission", "submission.pkl")
    script = ("run_pdm_score_from_submission", *split, f"submission_file_path={submission}")
    two_stage.run(*script, "experiment_name=as_the_server")
    line = (f"submission={submission}", f"tokens={yaml}", f"scenes={store}", f"output={tmp_path / 'ours.csv'}")
    text = two_stage.run_module("cache_tools.score_submission", *line)
    ours, theirs = table_of(tmp_path / "ours.csv"), table_of(two_stage.outputs("as_the_server", "*.csv")[-1])
    assert_equal(ours, theirs, mapping)
    assert f"combined  {theirs.loc['extended_pdm_score_combined', 'score']:.6f}" in text
