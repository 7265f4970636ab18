"""Our agents in every script of v2.2's two stages, on follow-up scenes that the world wrote: no scene fails."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from omegaconf import OmegaConf

from navsim_agents.data.scene_filter import SceneFilter
from navsim_agents.data.split_mapping import TwoStageMapping, read_two_stage_mapping
from navsim_agents.data.submission import ExpectedTokens, check_submission, load_submission
from navsim_agents.devkit.data_health import PictureQuery
from navsim_agents.devkit.follow_up_health import PICTURES, SCENES, check_follow_ups
from navsim_agents.devkit.variant import Host, Variant
from navsim_agents.world.writers.follow_ups import FOLDER
from tests.devkit.private_split import write_private_split
from tests.devkit.scripts import RAY, SEQUENTIAL, SUBMITTER, Devkit
from tests.devkit.weights import save_weights

CAMERAS = ("cam_f0", "cam_b0", "cam_l0", "cam_r0")  # of the planner with four
PAIRS = 2  # of follow-ups in a group; the world writes up to six
PERCEPTION_FREE, PLANNER = "drive_jepa_perception_free_small", "drive_jepa_small"
ON, OFF = (
    ("agent.config.momentum.mode=on", "agent.config.momentum.comfort_weight=0.5"),
    ("agent.config.momentum.mode=off",),
)
THREADS = ("worker=single_machine_thread_pool", "worker.max_workers=2")
AVERAGES = ["extended_pdm_score_stage_one", "extended_pdm_score_stage_two", "extended_pdm_score_combined"]
FAILED = "Agent failed"
TINY_VIT = ("agent.config.encoder.name=tiny", "agent.config.pictures.width=128", "agent.config.pictures.height=64")
OTHERS = {
    "drive_jepa": (*TINY_VIT, "agent.config.planner.num_proposals=4"),
    "drive_jepa_perception_free": TINY_VIT,
    "drive_jepa_resnet34": (
        "agent.config.encoder.name=timm:resnet18",
        "agent.config.pictures.width=192",
        "agent.config.pictures.height=108",
        "agent.config.planner.num_proposals=4",
    ),
}


@pytest.fixture(scope="module")
def two_stage(host: Host, devkit: Devkit, tmp_path_factory: pytest.TempPathFactory) -> Devkit:
    """Two test logs, so that workers share the scenes, each with follow-ups of one pair of scenes."""
    if host.variant is not Variant.V2_2:
        pytest.skip(f"{host.variant.value} has one stage")
    output = tmp_path_factory.mktemp("two_stage_world")
    settings = ["logs=2", "seed=7", "duration_s=10.5", "splits.train=0", "splits.val=0", "splits.test=2"]
    settings += ["two_stage=true", "two_stage_pairs=1", f"cameras=[{','.join(CAMERAS)}]"]
    subprocess.run([sys.executable, "-m", "navsim_agents.world", f"output={output}", *settings], check=True, cwd=output)
    return replace(devkit, world=output, experiments=tmp_path_factory.mktemp("two_stage_exp"))


@pytest.fixture(scope="module")
def mapping(two_stage: Devkit) -> TwoStageMapping:
    """The first follow-ups of each group."""
    whole = read_two_stage_mapping(two_stage.world / "devkit_config" / "train_test_split" / "world_two_stage.yaml")
    return TwoStageMapping(tuple(replace(group, follow_ups=group.follow_ups[:PAIRS]) for group in whole.groups))


@pytest.fixture(scope="module")
def mapping_file(two_stage: Devkit, mapping: TwoStageMapping, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split of these scenes."""
    written = two_stage.world / "devkit_config" / "train_test_split"
    place = tmp_path_factory.mktemp("config") / "train_test_split"
    (place / "scene_filter").mkdir(parents=True)
    scenes = OmegaConf.load(written / "scene_filter" / "world_two_stage.yaml")
    scenes.synthetic_scene_tokens = scenes.reactive_synthetic_initial_tokens = list(mapping.second_stage)
    chosen = OmegaConf.load(written / "world_two_stage.yaml")
    chosen.defaults = [{"scene_filter": "short"}]
    chosen.reactive_all_mapping = [
        [group.now, group.previous, list(map(list, group.follow_ups))] for group in mapping.groups
    ]
    OmegaConf.save(scenes, place / "scene_filter" / "short.yaml")
    OmegaConf.save(chosen, place / "short.yaml")
    return place / "short.yaml"


@pytest.fixture(scope="module")
def split(mapping_file: Path) -> tuple[str, ...]:
    """Overrides that name it."""
    return (f"--config-dir={mapping_file.parent.parent}", f"train_test_split={mapping_file.stem}")


@pytest.fixture(scope="module")
def metric_cache(two_stage: Devkit, split: tuple[str, ...], mapping: TwoStageMapping) -> Path:
    two_stage.run("run_metric_caching", *split, RAY)
    folder = two_stage.experiments / "metric_cache"
    assert {path.parent.name for path in folder.rglob("metric_cache.pkl")} == set(mapping.tokens)
    return folder


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    """Overrides of the small agents, whose weights all processes share."""
    folder = tmp_path_factory.mktemp("weights")
    return {name: (f"agent={name}", save_weights(name, folder / f"{name}.ckpt")) for name in (PERCEPTION_FREE, PLANNER)}


Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def scored(two_stage: Devkit, split: tuple[str, ...], metric_cache: Path, agents: dict[str, tuple[str, ...]]) -> Tables:
    """Tables of ``run_pdm_score``, each with another worker."""
    runs = {
        "perception_free": (*agents[PERCEPTION_FREE], *THREADS),
        "on": (*agents[PLANNER], *ON, RAY),
        "off": (*agents[PLANNER], *OFF, SEQUENTIAL),
    }
    return {name: table(two_stage, "run_pdm_score", f"score_{name}", *split, *run) for name, run in runs.items()}


def table(devkit: Devkit, script: str, experiment: str, *overrides: str) -> pd.DataFrame:
    """What a scoring script wrote, by token in one order."""
    text = devkit.run(script, *overrides, f"experiment_name={experiment}")
    assert FAILED not in text
    assert "Number of failed scenarios: 0." in text
    (path,) = devkit.outputs(experiment, "*.csv")
    return read_table(path)


def read_table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, index_col=0, dtype={"token": str}).set_index("token").sort_index()


@pytest.fixture(scope="module")
def submissions(two_stage: Devkit, split: tuple[str, ...], agents: dict[str, tuple[str, ...]]) -> dict[str, Path]:
    """Files of ``run_create_submission_pickle``, which plans without workers."""
    runs = {
        "perception_free": agents[PERCEPTION_FREE],
        "on": (*agents[PLANNER], *ON),
        "off": (*agents[PLANNER], *OFF),
    }
    script = "run_create_submission_pickle"
    return {name: submit(two_stage, script, f"submit_{name}", *split, *run) for name, run in runs.items()}


def submit(devkit: Devkit, script: str, experiment: str, *overrides: str) -> Path:
    """The file that a submission script wrote, with no scene missing."""
    assert FAILED not in devkit.run(script, *overrides, *SUBMITTER, f"experiment_name={experiment}")
    (path,) = devkit.outputs(experiment, "submission.pkl")
    return path


Plans = dict[str, npt.NDArray[np.float32]]


def plans_of(path: Path) -> Plans:
    """Poses [8, 3] by token, of both stages."""
    content = pickle.loads(path.read_bytes())
    stages = (content[f"{stage}_stage_predictions"][0] for stage in ("first", "second"))
    return {token: trajectory.poses for stage in stages for token, trajectory in stage.items()}


@pytest.mark.parametrize("name", ["perception_free", "on", "off"])
def test_every_scene_of_both_stages_is_scored(scored: Tables, mapping: TwoStageMapping, name: str) -> None:
    rows = scored[name]
    assert set(rows.index) == {*mapping.tokens, *AVERAGES}
    assert rows["valid"].all()
    assert np.isfinite(rows["score"]).all()
    assert rows.loc[list(mapping.first_stage), "two_frame_extended_comfort_stage_one"].notna().all()
    assert rows.loc[list(mapping.second_stage), "two_frame_extended_comfort_stage_two"].notna().all()


@pytest.mark.parametrize("name", ["perception_free", "on"])
def test_a_submission_gets_the_table_of_its_agent(
    two_stage: Devkit, split: tuple[str, ...], scored: Tables, submissions: dict[str, Path], name: str
) -> None:
    """Momentum too: what an agent answers depends neither on the order of the scenes nor on the worker."""
    file = f"submission_file_path={submissions[name]}"
    rows = table(two_stage, "run_pdm_score_from_submission", f"from_{name}", *split, file)
    pd.testing.assert_frame_equal(rows, scored[name], check_exact=False, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("name", ["perception_free", "on", "off"])
def test_submissions_pass_the_validator(submissions: dict[str, Path], mapping: TwoStageMapping, name: str) -> None:
    expected = ExpectedTokens(frozenset(mapping.first_stage), frozenset(mapping.second_stage), "", mapping)
    report = check_submission(load_submission(submissions[name]), expected)
    assert [str(problem) for problem in report.problems if problem.is_error] == []
    assert (report.version, report.num_trajectories) == ("v2.2", len(mapping.tokens))


def test_our_evaluation_and_offline_scores_give_the_scripts_tables(
    two_stage: Devkit,
    metric_cache: Path,
    mapping_file: Path,
    agents: dict[str, tuple[str, ...]],
    scored: Tables,
    submissions: dict[str, Path],
    tmp_path: Path,
) -> None:
    """Reacting traffic, weights and averages included, from scenes that were exported from the metric cache."""
    store = tmp_path / "store"
    two_stage.run_module("cache_tools.export_scenes", f"scenes={metric_cache}", f"output={store}", "traffic=true")
    given = (f"tokens={mapping_file}", f"scenes={store}")
    where = (f"output={tmp_path}/evaluation", f"data_root={two_stage.world}", "split=test", "protocol=two_stage")
    ours = (*agents[PLANNER], *ON, "agent_name=ours", "baselines=[]")
    two_stage.run_module("training.evaluate", *where, *given, *ours)
    submitted = (f"submission={submissions['perception_free']}", f"output={tmp_path}/submitted.csv")
    two_stage.run_module("cache_tools.score_submission", *submitted, *given)
    found = {"on": tmp_path / "evaluation" / "ours.two_stage.csv", "perception_free": tmp_path / "submitted.csv"}
    for name, path in found.items():
        pd.testing.assert_frame_equal(read_table(path), scored[name], check_exact=False, rtol=0.0, atol=1e-6)


def test_momentum_changes_plans_that_would_not_go_on_steadily(
    submissions: dict[str, Path], scored: Tables, mapping: TwoStageMapping, metric_cache: Path
) -> None:
    """Judged by the devkit's own simulator and comfort. The plan of 0.5 s before is the one without momentum."""
    on, off = plans_of(submissions["on"]), plans_of(submissions["off"])
    pairs = [pair for group in mapping.groups for pair in ((group.now, group.previous), *group.follow_ups)]
    changed = [(now, before) for now, before in pairs if not np.array_equal(on[now], off[now])]
    assert 0 < len(changed) < len(pairs)
    for now, before in changed:
        assert is_steady(metric_cache, now, on[now], before, off[before])
        assert not is_steady(metric_cache, now, off[now], before, off[before])
    same = [token for token in mapping.tokens if np.array_equal(on[token], off[token])]
    columns = [name for name in scored["on"] if "comfort" not in name and name != "score"]
    pd.testing.assert_frame_equal(scored["on"].loc[same, columns], scored["off"].loc[same, columns])


def is_steady(metric_cache: Path, now: str, plan: Any, before: str, earlier_plan: Any) -> bool:
    """v2.2's extended comfort between two plans made 0.5 s apart."""
    from navsim.common.dataloader import MetricCacheLoader
    from navsim.planning.simulation.planner.pdm_planner.scoring.pdm_comfort_metrics import (
        ego_is_two_frame_extended_comfort,
    )

    loader = MetricCacheLoader(metric_cache)
    states = simulated(loader.get_from_token(now), plan)[:, :-5]
    earlier = simulated(loader.get_from_token(before), earlier_plan)[:, 5:]
    return bool(ego_is_two_frame_extended_comfort(states, earlier, 0.1 * np.arange(states.shape[1]))[0])


def simulated(cache: Any, poses: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """States [1, 41, 11] of the car that follows a plan."""
    from navsim.common.dataclasses import Trajectory
    from navsim.evaluate.pdm_score import get_trajectory_as_array, transform_trajectory
    from navsim.planning.simulation.planner.pdm_planner.simulation.pdm_simulator import PDMSimulator
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    sampling = TrajectorySampling(num_poses=40, interval_length=0.1)
    trajectory = transform_trajectory(Trajectory(poses), cache.ego_state)
    states = get_trajectory_as_array(trajectory, sampling, cache.ego_state.time_point)
    return np.asarray(PDMSimulator(sampling).simulate_proposals(states[None], cache.ego_state))


@pytest.mark.parametrize("name", ["perception_free", "on"])
def test_the_challenges_script_gets_the_same_plans(
    two_stage: Devkit,
    split: tuple[str, ...],
    mapping: TwoStageMapping,
    agents: dict[str, tuple[str, ...]],
    submissions: dict[str, Path],
    name: str,
    tmp_path: Path,
) -> None:
    """The same scenes as the private split keeps them."""
    agent = agents[PERCEPTION_FREE] if name == "perception_free" else (*agents[PLANNER], *ON)
    private = write_private_split(two_stage, mapping, tmp_path)
    script = "run_create_submission_pickle_challenge"
    plans = plans_of(submit(two_stage, script, f"challenge_{name}", *split, *private, *agent))
    expected = plans_of(submissions[name])
    assert plans.keys() == expected.keys() == set(mapping.tokens)
    for token, poses in plans.items():
        np.testing.assert_allclose(poses, expected[token], atol=1e-4, err_msg=token)


@pytest.fixture(scope="module")
def without_a_picture(
    two_stage: Devkit, mapping: TwoStageMapping, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A follow-up, and a copy of the second stage without its third newest picture, which no other one asks for."""
    folder = tmp_path_factory.mktemp("incomplete") / FOLDER
    shutil.copytree(two_stage.world / FOLDER, folder)
    (_, earlier), *_ = mapping.groups[0].follow_ups
    scene = pickle.loads((folder / SCENES / f"{earlier}.pkl").read_bytes())
    (folder / PICTURES / scene["frames"][1]["camera_dict"]["cam_f0"]["data_path"]).unlink()
    return earlier, folder


def test_a_frame_that_cannot_be_replanned(
    two_stage: Devkit,
    split: tuple[str, ...],
    mapping: TwoStageMapping,
    agents: dict[str, tuple[str, ...]],
    submissions: dict[str, Path],
    without_a_picture: tuple[str, Path],
) -> None:
    """With momentum NAVSIM's loader fails the scene, as the doctor foretells; without, nobody asks for the picture."""
    lost, folder = without_a_picture
    overrides = (*split, f"synthetic_sensor_path={folder / PICTURES}", *agents[PLANNER])
    text = two_stage.run("run_create_submission_pickle", *overrides, *ON, *SUBMITTER, "experiment_name=lost_on")
    assert text.count(FAILED) == text.count(f"{FAILED} for token {lost}") == text.count("FileNotFoundError") == 1
    assert set(plans_of(two_stage.outputs("lost_on", "submission.pkl")[0])) == set(mapping.tokens) - {lost}
    plans = plans_of(submit(two_stage, "run_create_submission_pickle", "lost_off", *overrides, *OFF))
    for token, poses in plans_of(submissions["off"]).items():
        np.testing.assert_array_equal(plans[token], poses)
    wanted = SceneFilter(reactive_synthetic_initial_tokens=frozenset(mapping.second_stage))
    (finding,) = check_follow_ups(folder, PictureQuery(num_frames=3, scene_filter=wanted))
    assert f"1 do not (pictures: 1 missing), such as {lost}" in finding.text
    assert "every scene is whole in its newest 2" in finding.text
    assert check_follow_ups(folder, PictureQuery(num_frames=2, scene_filter=wanted))[0].is_good


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_agents_plan_every_scene(
    two_stage: Devkit, split: tuple[str, ...], mapping: TwoStageMapping, name: str
) -> None:
    """With small networks, and momentum as it comes beside v2.2: on where there are proposals."""
    overrides = (*split, f"agent={name}", *OTHERS[name])
    plans = plans_of(submit(two_stage, "run_create_submission_pickle", f"other_{name}", *overrides))
    assert set(plans) == set(mapping.tokens)
    assert all(np.isfinite(poses).all() for poses in plans.values())
