"""What NAVSIM's own scripts do with a scene whose picture is missing: the doctor and docs/devkit.md say so."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from navsim_agents.data.submission import load_submission
from navsim_agents.devkit.variant import Variant
from tests.devkit.scripts import CPU_TRAINER, SEQUENTIAL, SUBMITTER, TEST_SPLIT, Devkit

AGENT = "agent=drive_jepa_perception_free_small"  # reads the two newest history frames: each picture serves two scenes
LOST_FRAME = 7
MISSING = r"FileNotFoundError: .*\.jpg"


@pytest.fixture(scope="module")
def broken(devkit: Devkit, tmp_path_factory: pytest.TempPathFactory) -> Devkit:
    """The same world without one picture of a training log and one of a test log."""
    world = tmp_path_factory.mktemp("broken") / "world"
    shutil.copytree(devkit.world, world)
    (test_log,) = (world / "navsim_logs" / "test").glob("*.pkl")
    for log in (world / "navsim_logs" / "trainval" / f"{devkit.train_logs[0]}.pkl", test_log):
        frame = pickle.loads(log.read_bytes())[LOST_FRAME]
        (world / "sensor_blobs" / log.parent.name / frame["cams"]["CAM_F0"]["data_path"]).unlink()
    return replace(devkit, world=world, experiments=tmp_path_factory.mktemp("exp"))


def fails(devkit: Devkit, message: str, script: str, *overrides: str) -> None:
    with pytest.raises(AssertionError, match=message):
        devkit.run(script, *overrides)


@pytest.fixture(scope="module")
def unfinished(broken: Devkit) -> Path:
    """What caching leaves behind, which stops at the first scene without its picture."""
    cache = broken.experiments / "unfinished"
    overrides = (*broken.train_split, AGENT, f"cache_path={cache}", SEQUENTIAL)
    fails(broken, MISSING, "run_dataset_caching", *overrides, "experiment_name=caching")
    return cache


def test_training_without_a_finished_cache_stops(broken: Devkit, unfinished: Path) -> None:
    train = (*broken.train_split, AGENT, *CPU_TRAINER, "trainer.params.strategy=auto")
    fails(broken, MISSING, "run_training", *train, "experiment_name=plain", "cache_path=null")
    cache = (f"cache_path={unfinished}", "force_cache_computation=false")
    fails(broken, MISSING, "run_training", *train, "experiment_name=filling", *cache)


def test_training_from_the_unfinished_cache_leaves_scenes_out_in_silence(broken: Devkit, unfinished: Path) -> None:
    text = broken.run(
        "run_training",
        *broken.train_split,
        AGENT,
        "experiment_name=from_unfinished",
        f"cache_path={unfinished}",
        "use_cache_without_dataset=true",
        "force_cache_computation=false",
        *CPU_TRAINER,
        "trainer.params.strategy=auto",
    )
    num_cached = len({path.parent for path in unfinished.rglob("*.gz")})
    counts = [int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if "Num " in line and "samples:" in line]
    assert sum(counts) == num_cached < 24  # 3 logs of 8 scenes
    assert "Agent failed" not in text


def test_submissions_go_on_without_the_scene(broken: Devkit) -> None:
    second_stage = "+train_test_split.scene_filter.reactive_synthetic_initial_tokens=[]"
    extra = [second_stage] if broken.variant is Variant.V2_2 else []
    text = broken.run(
        "run_create_submission_pickle", *TEST_SPLIT, AGENT, "experiment_name=submission", *SUBMITTER, *extra
    )
    assert text.count("Agent failed for token") == 2
    content = load_submission(broken.outputs("submission", "submission.pkl")[-1])
    key = "predictions" if broken.variant is Variant.V1_1 else "first_stage_predictions"
    assert len(content[key][0]) == 6


def test_scoring_goes_on_without_it_and_v2_ends_without_a_result(broken: Devkit, metric_cache: Path) -> None:
    shutil.copytree(metric_cache, broken.experiments / "metric_cache")
    overrides = (*TEST_SPLIT, AGENT, "experiment_name=score", SEQUENTIAL)
    if broken.variant is Variant.V2_2:
        fails(broken, "ValueError: all input arrays must have the same shape", broken.score_script, *overrides)
        assert broken.outputs("score", "*.csv") == []
        return
    rows = broken.score("score", AGENT, SEQUENTIAL)
    assert (len(rows), int((~rows["valid"].astype(bool)).sum()), int(rows["score"].isna().sum())) == (8, 2, 2)
