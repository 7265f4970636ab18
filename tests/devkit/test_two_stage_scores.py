"""Two-stage scores equal those of v2.2's own scripts and SceneAggregator, given the same scores of scenes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from navsim_agents.data.split_mapping import TwoStageMapping
from navsim_agents.devkit.variant import Host, Variant
from navsim_agents.evaluation.two_stage import SceneScores, aggregate_two_stage
from navsim_agents.scoring.aggregate import EXTENDED_COMFORT, GATES
from tests.evaluation.staged import mapping_of, random_scores, reordered

SCRIPTS = ("run_pdm_score", "run_pdm_score_from_submission")
SEEDS = range(3)
TOLERANCE = 1e-9


@pytest.fixture(autouse=True)
def two_stage_devkit(host: Host) -> None:
    if host.variant is not Variant.V2_2:
        pytest.skip(f"{host.variant.value} has no two stages")


def many_groups(seed: int) -> TwoStageMapping:
    """36 groups with 1 to 20 follow-ups."""
    return mapping_of(*np.random.default_rng(seed).integers(1, 21, 36).tolist())


def in_any_order(mapping: TwoStageMapping, seed: int) -> SceneScores:
    """Random scores of the scenes, as a worker's answers come."""
    scenes = random_scores(mapping, seed)
    return reordered(scenes, np.random.default_rng(seed).permutation(len(scenes.tokens)))


def rows_of(scenes: SceneScores, mapping: TwoStageMapping) -> pd.DataFrame:
    """What the scripts know before they aggregate."""
    from navsim.common.dataclasses import PDMResults
    from navsim.common.enums import SceneFrameType
    from navsim.planning.simulation.planner.pdm_planner.scoring.pdm_scorer import PDMScorerConfig

    columns = {name: np.asarray(values) for name, values in scenes.columns.items()}
    weighted = ("ego_progress", "time_to_collision_within_bound", "lane_keeping", "history_comfort")
    first_stage, rows = set(mapping.first_stage), []
    for row, token in enumerate(scenes.tokens):
        own = {name: values[row] for name, values in columns.items()}
        result = PDMResults(
            **own,
            multiplicative_metrics_prod=np.prod([own[name] for name in GATES["epdms"]]),
            weighted_metrics=np.array([*(own[name] for name in weighted), 0.0]),
            weighted_metrics_array=PDMScorerConfig().weighted_metrics_array,
            pdm_score=0.0,
        )
        place = {
            "valid": True,
            "log_name": "log",
            "frame_type": SceneFrameType.ORIGINAL if token in first_stage else SceneFrameType.SYNTHETIC,
            "start_time": scenes.times_us[row] * 1e-6,
            "endpoint_x": scenes.end_xy[row, 0],
            "endpoint_y": scenes.end_xy[row, 1],
            "start_point_x": scenes.start_xy[row, 0],
            "start_point_y": scenes.start_xy[row, 1],
        }
        states = scenes.simulated_states[row].numpy()
        rows.append({**vars(result), **place, "ego_simulated_states": states, "token": token})
    return pd.DataFrame(rows)


def sampling() -> Any:
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    return TrajectorySampling(num_poses=40, interval_length=0.1)


@pytest.fixture(params=SCRIPTS)
def script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of a script that loads and scores nothing."""
    from importlib import import_module

    module = import_module(f"navsim.planning.script.{request.param}")
    sampled = sampling()
    parts = SimpleNamespace(proposal_sampling=sampled)
    monkeypatch.setattr(module, "build_logger", lambda cfg: None)
    monkeypatch.setattr(module, "instantiate", lambda what: sampled if what == "sampling" else parts)
    return module


def their_table(
    module: Any, scenes: SceneScores, mapping: TwoStageMapping, output: Path, patch: pytest.MonkeyPatch
) -> pd.DataFrame:
    """The csv that the script writes for these scores."""
    from omegaconf import OmegaConf

    rows = rows_of(scenes, mapping)
    by_stage = [dict.fromkeys(tokens) for tokens in (mapping.first_stage, mapping.second_stage)]
    if hasattr(module, "worker_map"):
        loader = SimpleNamespace(tokens=list(mapping.tokens), get_tokens_list_per_log=lambda: {})
        patch.setattr(module, "build_worker", lambda cfg: None)
        patch.setattr(module, "SceneLoader", lambda **arguments: loader)
        patch.setattr(module, "MetricCacheLoader", lambda path: loader)
        patch.setattr(module, "worker_map", lambda worker, function, points: [rows])
    else:
        keys = ("first_stage_predictions", "second_stage_predictions")
        submission = {key: [predictions] for key, predictions in zip(keys, by_stage)}
        (output / "submission.pkl").write_bytes(b"")
        patch.setattr(module.pickle, "load", lambda stream: submission)
        patch.setattr(module, "run_pdm_score", lambda **arguments: [rows])
    groups = [[group.now, group.previous, [list(pair) for pair in group.follow_ups]] for group in mapping.groups]
    paths = ("navsim_log_path", "synthetic_scenes_path", "metric_cache_path", "output_dir")
    config = {
        **dict.fromkeys(paths, str(output)),
        "submission_file_path": str(output / "submission.pkl"),
        "train_test_split": {"reactive_all_mapping": groups, "scene_filter": "filter"},
        "simulator": {"proposal_sampling": "sampling"},
        "scorer": "scorer",
        "verbose": False,
    }
    module.main.__wrapped__(OmegaConf.create(config))
    (path,) = output.glob("*.csv")
    return pd.read_csv(path, index_col=0, dtype={"token": str})


@pytest.mark.parametrize("seed", SEEDS)
def test_tables_of_the_scripts(script: Any, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapping = many_groups(seed)
    scenes = in_any_order(mapping, seed)
    theirs = their_table(script, scenes, mapping, tmp_path, monkeypatch)
    scores = aggregate_two_stage(scenes, mapping)
    scores.table().to_csv(tmp_path / "ours.csv")
    ours = pd.read_csv(tmp_path / "ours.csv", index_col=0, dtype={"token": str})
    assert len(ours) == len(mapping.tokens) + 3
    pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=0.0, atol=TOLERANCE)
    discrete = [name for name in ours if "progress" not in name and name not in ("token", "valid", "score")]
    pd.testing.assert_frame_equal(ours[discrete][:-3], theirs[discrete][:-3], check_exact=True)
    assert set(scores.columns[EXTENDED_COMFORT]) == {0.0, 1.0}
    assert 0.0 < scores.averages["combined"]["score"] < 1.0


def test_a_missing_scene_leaves_the_scripts_without_any_score(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They warn, go on to the averages and end there, so we refuse it by the scene's name."""
    mapping = mapping_of(2, 1)
    scenes = random_scores(mapping, 0)
    rows = np.array([row for row, token in enumerate(scenes.tokens) if token != mapping.second_stage[0]])
    with pytest.raises((KeyError, TypeError)):
        their_table(script, reordered(scenes, rows), mapping, tmp_path, monkeypatch)


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_and_comfort_of_the_aggregator(seed: int) -> None:
    from navsim.planning.simulation.planner.pdm_planner.scoring.scene_aggregator import SceneAggregator

    mapping = many_groups(seed)
    scenes = in_any_order(mapping, seed)
    frame = rows_of(scenes, mapping).set_index("token")
    scores = aggregate_two_stage(scenes, mapping)
    row_of = {token: row for row, token in enumerate(scores.tokens)}
    num_equal = 0
    for group in mapping.groups:
        updates = SceneAggregator(group.now, group.previous, frame, sampling(), list(group.follow_ups))
        theirs = updates.aggregate_scores().set_index("token")
        rows = [row_of[token] for token in theirs.index]
        assert set(theirs.index) == set(group.tokens)
        np.testing.assert_array_equal(scores.columns[EXTENDED_COMFORT][rows], theirs[EXTENDED_COMFORT])
        np.testing.assert_allclose(scores.weights[rows], theirs["weight"], rtol=0.0, atol=TOLERANCE)
        num_equal += len(group.follow_ups) > 1 and theirs["weight"][2:].nunique() == 1
    assert 0 < num_equal < len(mapping.groups)  # far from every follow-up, and not
