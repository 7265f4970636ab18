"""The full planner in NAVSIM's own scripts: targets with scenes and teachers, online scoring, momentum."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cache_tools.score_vocabulary import ScoreVocabularyConfig, label_scenes
from navsim_agents.data.logs import SceneLoader
from navsim_agents.devkit.variant import Variant
from navsim_agents.distillation import save_vocabulary
from tests.cache_tools.tools import make_vocabulary
from tests.devkit.scripts import CPU_TRAINER, RAY, SEQUENTIAL, SUBMITTER, TEST_SPLIT, Devkit
from training.report.results import read_scenes

AGENT = "agent=drive_jepa_small"
FROM_CACHE = ("use_cache_without_dataset=true", "force_cache_computation=false")


@pytest.fixture(scope="module")
def settings(devkit: Devkit, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Scenes that the world wrote, and labels of them by the devkit's own metric."""
    folder, scenes = tmp_path_factory.mktemp("labels"), devkit.world / "scoring_scenes"
    save_vocabulary(make_vocabulary(), folder / "v.npy")
    metric = "pdms" if devkit.variant is Variant.V1_1 else "epdms"
    store, labels = str(scenes / "trainval"), str(folder / "labels")
    label_scenes(ScoreVocabularyConfig(str(folder / "v.npy"), labels, store, metric=metric, workers=0))
    return (
        AGENT,
        f"agent.config.scenes={scenes}",
        f"agent.config.teachers.label_store={labels}",
        f"agent.config.teachers.vocabulary={folder / 'v.npy'}",
        "agent.config.teachers.threshold=0.9",
    )


@pytest.fixture(scope="module")
def cache(devkit: Devkit, settings: tuple[str, ...]) -> Path:
    path = devkit.experiments / "full_planner_cache"
    devkit.run(
        "run_dataset_caching", *devkit.train_split, *settings, "experiment_name=fp_cache", f"cache_path={path}", RAY
    )
    return path


def train(devkit: Devkit, settings: tuple[str, ...], cache: Path, name: str, *overrides: str) -> str:
    return devkit.run(
        "run_training",
        *devkit.train_split,
        *settings,
        f"experiment_name={name}",
        f"cache_path={cache}",
        *FROM_CACHE,
        *CPU_TRAINER,
        *overrides,
    )


@pytest.fixture(scope="module")
def weights(devkit: Devkit, settings: tuple[str, ...], cache: Path) -> Path:
    train(devkit, settings, cache, "fp_train", "trainer.params.strategy=auto")
    return devkit.outputs("fp_train", "best*.ckpt")[-1]


def test_every_scene_is_cached_whole(devkit: Devkit, cache: Path) -> None:
    loader = SceneLoader(devkit.world, "trainval", log_names=devkit.train_logs + devkit.val_logs, frame_interval=1)
    files = {token: {path.name for path in cache.glob(f"*/{token}/*.gz")} for token in loader.tokens}
    assert len({frozenset(names) for names in files.values()}) == 1
    assert len(files[loader.tokens[0]]) == 6
    one = next(cache.glob("*/*"))
    tensors = {
        key: value
        for path in one.glob("*.gz")
        for key, value in pickle.loads(gzip.decompress(path.read_bytes())).items()
    }
    assert {"front_video", "ego", "projection", "trajectory", "scoring_scene", "teachers"} == set(tensors)


def test_training_keeps_the_weights_of_the_best_score(weights: Path) -> None:
    state = torch.load(weights, map_location="cpu", weights_only=False)
    assert all(torch.isfinite(value).all() for value in state["state_dict"].values())
    monitors = [value["monitor"] for name, value in state["callbacks"].items() if name.startswith("ModelCheckpoint")]
    assert "val/score" in monitors


def test_two_processes_train_together(devkit: Devkit, settings: tuple[str, ...], cache: Path) -> None:
    """DDP without ``find_unused_parameters``: every trainable parameter must have a gradient."""
    out = train(devkit, settings, cache, "fp_two", "trainer.params.strategy=ddp", "+trainer.params.devices=2")
    assert "All distributed processes registered. Starting with 2 processes" in out
    assert devkit.outputs("fp_two", "last*.ckpt")


def test_a_scene_without_record_stops_caching_and_is_named(devkit: Devkit, tmp_path: Path) -> None:
    """Test scenes are in no training store."""
    (store,) = [path.parent for path in (devkit.world / "scoring_scenes" / "test").glob("store.json")]
    with pytest.raises(AssertionError, match=r"scene \w+ is not among the \d+ of scenes=.*leave it out"):
        devkit.run(
            "run_dataset_caching",
            *devkit.train_split,
            AGENT,
            f"agent.config.scenes={store}",
            "experiment_name=fp_missing",
            f"cache_path={tmp_path}",
            SEQUENTIAL,
        )


@pytest.fixture(scope="module")
def ours(weights: Path) -> tuple[str, ...]:
    """With momentum, which beside v1.1 has to be asked for."""
    return (AGENT, f"agent.checkpoint_path={weights}", "agent.config.momentum.mode=on")


@pytest.fixture(scope="module")
def scored_alone(devkit: Devkit, metric_cache: Path, ours: tuple[str, ...]) -> pd.DataFrame:
    assert metric_cache.exists()
    return devkit.score("fp_alone", *ours, SEQUENTIAL)


def test_scores_do_not_depend_on_the_worker(devkit: Devkit, ours: tuple[str, ...], scored_alone: pd.DataFrame) -> None:
    assert set(scored_alone.index) == set(SceneLoader(devkit.world, "test", frame_interval=1).tokens)
    assert scored_alone["valid"].all()
    assert np.isfinite(scored_alone["score"]).all()
    spread = devkit.score("fp_ray", *ours, RAY)
    np.testing.assert_allclose(spread.loc[scored_alone.index, "score"], scored_alone["score"], atol=1e-4)


def test_our_evaluation_agrees_with_the_script(
    devkit: Devkit, metric_cache: Path, ours: tuple[str, ...], scored_alone: pd.DataFrame, tmp_path: Path
) -> None:
    """Every sub-score of every scene, on scenes that are exported from the devkit's own metric cache."""
    logs = devkit.world / "navsim_logs" / "test"
    store = tmp_path / "store"
    paths = (f"scenes={metric_cache}", f"output={store}", f"navsim_log_path={logs}")
    devkit.run_module("cache_tools.export_scenes", *paths, SEQUENTIAL)
    metric = "pdms" if devkit.variant is Variant.V1_1 else "epdms"
    where = (f"output={tmp_path / 'evaluation'}", f"data_root={devkit.world}", "split=test", f"scenes={store}")
    devkit.run_module("training.evaluate", *where, f"columns=[{metric}]", "baselines=[]", "agent_name=ours", *ours)
    rows = read_scenes(tmp_path / "evaluation" / f"ours.{metric}.csv").set_index("token").loc[scored_alone.index]
    shared = [name for name in rows.columns if name in scored_alone.columns]
    assert {"score", "ego_progress", "no_at_fault_collisions", "drivable_area_compliance"} <= set(shared)
    if devkit.variant is Variant.V2_2:
        assert "two_frame_extended_comfort" in shared
    for name in shared:
        expected = scored_alone[name].to_numpy(float)
        np.testing.assert_allclose(rows[name].to_numpy(float), expected, rtol=0, atol=1e-6, err_msg=name)


def test_benchmark_sets_online_scoring_beside_a_pool_of_the_devkits_scorer(devkit: Devkit, metric_cache: Path) -> None:
    sizes = ("--batch=2", "--repeats=1", "--threads=1", "--processes=1")
    out = devkit.run_benchmark("training_step", *sizes, f"--metric-cache={metric_cache}")
    assert "online scoring" in out
    assert "devkit's scorer, 1 processes" in out


def test_submission_has_every_scene(devkit: Devkit, weights: Path) -> None:
    overrides = [*TEST_SPLIT, AGENT, f"agent.checkpoint_path={weights}", "experiment_name=fp_submission", *SUBMITTER]
    if devkit.variant is Variant.V2_2:
        overrides.append("+train_test_split.scene_filter.reactive_synthetic_initial_tokens=[]")
    devkit.run("run_create_submission_pickle", *overrides)
    (path,) = devkit.outputs("fp_submission", "submission.pkl")
    submission = pickle.loads(path.read_bytes())
    (predictions,) = submission["predictions" if devkit.variant is Variant.V1_1 else "first_stage_predictions"]
    assert set(predictions) == set(SceneLoader(devkit.world, "test", frame_interval=1).tokens)
    assert all(np.isfinite(trajectory.poses).all() for trajectory in predictions.values())
