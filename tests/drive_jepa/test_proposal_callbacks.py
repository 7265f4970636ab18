"""The full planner under a Lightning module like NAVSIM's: what is logged, kept, and drawn again after a stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from navsim_agents.common.settings import changed
from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.drive_jepa.label_source import LabelSource
from navsim_agents.scoring.diversity import diversity
from tests.drive_jepa.lightning import Module
from tests.drive_jepa.planner_scenes import Drive, merged
from tests.drive_jepa.quiet import quiet_trainer

MakePlanner = Callable[..., ProposalAgent]
TRAIN, VAL = ((0, 4), (1, 5), (0, 6), (1, 3)), ((1, 4), (0, 5), (1, 6))


def samples(agent: ProposalAgent, scenes: tuple[tuple[int, int], ...]) -> list[Any]:
    rows = [Drive(seed=seed).scene(frame) for seed, frame in scenes]
    builders = agent.get_target_builders()
    return [
        (agent.build_features(scene.get_agent_input()), merged(builder.compute_targets(scene) for builder in builders))
        for scene in rows
    ]


def fit(agent: ProposalAgent, folder: Path, resume: Any = None, **trainer: Any) -> pl.Trainer:
    runner = quiet_trainer(folder, agent.get_training_callbacks(), **trainer)
    loaders = [DataLoader(samples(agent, scenes), batch_size=2) for scenes in (TRAIN, VAL)]
    runner.fit(Module(agent), *loaders, ckpt_path=resume)
    return runner


@pytest.fixture
def settings(scene_store: Path, labels: dict[str, Any]) -> dict[str, Any]:
    return {"scenes": str(scene_store), **changed(labels, {"teachers": {"number": 1, "threshold": 0.2}})}


def test_score_sub_scores_and_diversity_are_logged(
    make_planner: MakePlanner, settings: dict[str, Any], tmp_path: Path
) -> None:
    agent = make_planner(**settings)
    metrics = fit(agent, tmp_path, max_epochs=1).callback_metrics
    wanted = {"score", "best_score", "mean_score", "score_error", "selected_ego_progress", "trajectory_loss"}
    assert {f"{stage}/{name}" for stage in ("train", "val") for name in wanted} <= set(metrics)
    assert {"train/area_loss", "train/collision_corners_loss", "train/distillation_loss_stage1"} <= set(metrics)
    agent.eval()
    with torch.no_grad():
        found = [diversity(agent.propose(Drive(seed=s).agent_input(f)).poses) for s, f in VAL]
    assert metrics["val/diversity"].item() == pytest.approx(sum(d.union for d in found).item() / 3, abs=1e-4)
    assert metrics["val/pairwise_diversity"].item() == pytest.approx(
        sum(d.pairwise for d in found).item() / 3, abs=1e-4
    )
    assert metrics["val/best_score"] >= metrics["val/score"]


def test_scenes_without_teachers_are_summed_over_the_epoch(
    make_planner: MakePlanner, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of the four training scenes have none, in two batches."""
    rows = {Drive(seed=seed).token(frame): [-1, -1] for seed, frame in TRAIN[1:]}
    monkeypatch.setattr(LabelSource, "rows", lambda source, token: torch.tensor(rows.get(token, [2, 5])))
    metrics = fit(make_planner(**settings), tmp_path, max_epochs=1).callback_metrics
    assert metrics["train/scenes_without_teachers"] == 3


def test_best_weights_are_those_of_the_highest_score(
    make_planner: MakePlanner, settings: dict[str, Any], tmp_path: Path
) -> None:
    agent = make_planner(**settings)
    runner = fit(agent, tmp_path)
    best = runner.checkpoint_callbacks[0]
    assert (best.monitor, best.mode) == ("val/score", "max")
    files = {path.name: path for path in tmp_path.rglob("*.ckpt")}
    assert len(files) == 2
    assert "last.ckpt" in files
    loaded = make_planner(files["last.ckpt"], seed=3)
    poses = [one.propose(Drive().agent_input(4)).poses for one in (loaded, agent)]
    torch.testing.assert_close(*poses)


def test_a_resumed_training_draws_what_an_uninterrupted_one_does(
    make_planner: MakePlanner, settings: dict[str, Any], tmp_path: Path
) -> None:
    """Teachers and grid masks are drawn by step, not by what was drawn before."""
    whole = make_planner(**settings)
    fit(whole, tmp_path / "whole")
    fit(make_planner(**settings), tmp_path / "parts", max_epochs=1)
    (last,) = (tmp_path / "parts").rglob("last.ckpt")
    torch.manual_seed(99)
    resumed = make_planner(seed=8, **settings)
    fit(resumed, tmp_path / "more", resume=last)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=1e-5, atol=1e-6)
