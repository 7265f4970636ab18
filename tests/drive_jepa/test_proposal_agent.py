"""The full planner as NAVSIM uses it: builders, loss, training, workers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from navsim_agents.common.settings import changed
from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.drive_jepa.training_step import TeacherDraw
from navsim_agents.models.four_cameras import CAMERAS
from tests.drive_jepa.batches import Batch, planner_batch
from tests.drive_jepa.planner_scenes import Drive

MakePlanner = Callable[..., ProposalAgent]
FOUR_CAMERAS: dict[str, Any] = {
    "pictures": {"source": "four_cameras", "width": 64, "height": 36},
    "encoder": {"name": "timm:resnet18"},
}


@pytest.fixture
def agent(make_planner: MakePlanner, scene_store: Path, labels: dict[str, Any]) -> ProposalAgent:
    return make_planner(scenes=str(scene_store), **labels)


def loss_of(agent: ProposalAgent, batch: Batch) -> torch.Tensor:
    features, targets = batch
    return agent.compute_loss(features, targets, agent.forward(features))


def test_the_plan_is_the_proposal_of_the_best_score(agent: ProposalAgent) -> None:
    features, _ = planner_batch(agent)
    agent.eval()
    with torch.no_grad():
        output = agent(features)
    best = output["score_logits"][..., -1].argmax(1)
    for row in range(2):
        torch.testing.assert_close(output["trajectory"][row], output["proposals"][row, -1, best[row]])
    poses = agent.compute_trajectory(Drive(seed=1).agent_input(6)).poses
    assert poses.dtype == np.float32
    np.testing.assert_allclose(poses, output["trajectory"][1].numpy(), atol=1e-4)


def test_every_term_is_there_and_adds_up(agent: ProposalAgent) -> None:
    total = loss_of(agent, planner_batch(agent))
    terms = agent.progress.step.terms
    weights = {"trajectory": 1.0, "score": 1.0, "area": 2.0, "collision_validity": 1.0, "collision_corners": 0.1}
    assert total.item() == pytest.approx(sum(w * terms[f"{name}_loss"].item() for name, w in weights.items()), rel=1e-5)
    stages = [terms[f"imitation_loss_stage{i}"] + 0.5 * terms[f"distillation_loss_stage{i}"] for i in range(2)]
    assert terms["trajectory_loss"].item() == pytest.approx((0.1 * stages[0] + stages[1]).item(), rel=1e-5)
    assert terms["best_score"] >= terms["score"]
    assert {name for name in terms if name.startswith("selected_")} == {
        "selected_no_at_fault_collisions",
        "selected_drivable_area_compliance",
        "selected_driving_direction_compliance",
        "selected_traffic_light_compliance",
        "selected_ego_progress",
        "selected_time_to_collision_within_bound",
        "selected_lane_keeping",
        "selected_history_comfort",
    }
    assert all(torch.isfinite(value) for value in terms.values())


def test_evaluation_leaves_the_auxiliary_terms_out(agent: ProposalAgent) -> None:
    agent.eval()
    with torch.no_grad():
        loss_of(agent, planner_batch(agent))
    names = {name for name in agent.progress.step.terms if name.endswith("_loss")}
    assert names == {"trajectory_loss", "score_loss"}


def test_without_labels_there_is_no_distillation(make_planner: MakePlanner, scene_store: Path) -> None:
    agent = make_planner(scenes=str(scene_store))
    assert len(agent.get_target_builders()) == 2
    loss_of(agent, planner_batch(agent))
    assert not any(name.startswith("distillation") for name in agent.progress.step.terms)


def test_metric_is_the_configured_one(make_planner: MakePlanner, scene_store: Path) -> None:
    agent = make_planner(scenes=str(scene_store), metric="pdms")
    loss_of(agent, planner_batch(agent))
    assert "selected_comfort" in agent.progress.step.terms


@pytest.mark.parametrize("backbone", [{}, FOUR_CAMERAS])
def test_every_trainable_parameter_is_in_the_loss(
    make_planner: MakePlanner, scene_store: Path, labels: dict[str, Any], backbone: dict[str, Any]
) -> None:
    """Two processes train without ``find_unused_parameters``."""
    agent = make_planner(scenes=str(scene_store), **labels, **backbone)
    loss_of(agent, planner_batch(agent, cameras=CAMERAS)).backward()
    without = [name for name, value in agent.named_parameters() if value.requires_grad and value.grad is None]
    assert without == []


def test_the_backbone_learns_at_a_tenth_of_the_rate(agent: ProposalAgent) -> None:
    groups = {group["lr"]: {id(value) for value in group["params"]} for group in agent.get_optimizers().param_groups}
    assert sorted(groups) == pytest.approx([1e-5, 1e-4])
    backbone = {id(value) for name, value in agent.planner.named_parameters() if name.startswith("backbone.")}
    assert id(agent.planner.backbone.projector.weight) in backbone
    assert groups[min(groups)] == backbone


def test_it_overfits_two_scenes(make_planner: MakePlanner, scene_store: Path) -> None:
    optimiser_ = {"lr": 1e-2, "encoder_lr_factor": 1.0}
    agent = make_planner(scenes=str(scene_store), optimiser=optimiser_, pictures={"grid_mask_probability": 0.0})
    batch, optimiser, distances = planner_batch(agent), agent.get_optimizers(), []
    for _ in range(25):
        optimiser.zero_grad()
        loss_of(agent, batch).backward()
        optimiser.step()
        distances.append(agent.progress.step.terms["imitation_loss_stage1"].item())
    assert distances[0] > 10.0
    assert distances[-1] < 0.6 * distances[0]


def losses(agent: ProposalAgent, batch: Batch, keys: list[tuple[Any, ...]]) -> list[float]:
    found = []
    for key in keys:
        agent.progress.key = key
        found.append(loss_of(agent, batch).item())
    return found


def test_draws_depend_on_the_step_and_the_seed_alone(
    make_planner: MakePlanner, scene_store: Path, labels: dict[str, Any]
) -> None:
    drawn = {"teachers": {"number": 1, "threshold": 0.2}}
    agent = make_planner(scenes=str(scene_store), **changed(labels, drawn))
    batch = planner_batch(agent)
    keys = [("train", 0, 0, 0), ("train", 0, 1, 0), ("train", 1, 0, 0), ("train", 0, 0, 1)]
    first = losses(agent, batch, keys)
    assert losses(agent, batch, keys[::-1])[::-1] == first
    assert len({round(value, 4) for value in first}) == len(first)


def test_stages_draw_apart_unless_told_otherwise(
    make_planner: MakePlanner, scene_store: Path, labels: dict[str, Any]
) -> None:
    config = {**changed(labels, {"teachers": {"number": 2}}), "planner": {"num_stages": 3}}
    rows = torch.tensor([[0, 3, 4, 5, 8, 9], [2, -1, -1, -1, -1, -1], [-1] * 6])
    poses, is_real = TeacherDraw.of(make_planner(**config).config)(rows, ("train", 0))
    assert poses.shape == (3, 3, 2, 8, 3)
    assert is_real.sum((1, 2)).tolist() == [6, 3, 0]
    assert not torch.equal(poses[0, 0], poses[0, 1])
    assert torch.equal(poses[1, 0, 0], poses[1, 2, 0])
    config = changed(config, {"teachers": {"draw": "per_step"}})
    poses, is_real = TeacherDraw.of(make_planner(**config).config)(rows, ("train", 0))
    assert poses.shape == (3, 2, 8, 3)


def test_scenes_without_teachers_are_counted(
    make_planner: MakePlanner, scene_store: Path, labels: dict[str, Any]
) -> None:
    agent = make_planner(scenes=str(scene_store), **labels)
    features, targets = planner_batch(agent, frames=(4, 5, 6))
    targets["teachers"] = torch.tensor([[-1, -1], [3, -1], [-1, -1]])
    agent.compute_loss(features, targets, agent.forward(features))
    assert agent.progress.step.scenes_without_teachers == 2


def test_a_scene_alone_is_the_same_in_a_batch(agent: ProposalAgent) -> None:
    features, _ = planner_batch(agent, frames=(4, 5, 6))
    agent.eval()
    with torch.no_grad():
        together = agent(features)["proposals"]
        for row in range(3):
            alone = agent({name: value[row : row + 1] for name, value in features.items()})["proposals"]
            torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-4)


def test_four_cameras_plan_from_one_frame(make_planner: MakePlanner) -> None:
    agent = make_planner(**FOUR_CAMERAS, quirks={"tiled_pillar": True, "skip_when_invisible": True})
    config = agent.get_sensor_config()
    assert [sorted(config.get_sensors_at_iteration(index)) for index in range(4)] == [[], [], [], sorted(CAMERAS)]
    drive = Drive(cameras=CAMERAS)
    plan = agent.compute_trajectory(drive.agent_input(5, frames=(3,))).poses
    assert plan.shape == (8, 3)
    other = agent.compute_trajectory(Drive(cameras=CAMERAS, seed=4).agent_input(5, frames=(3,))).poses
    assert np.abs(plan - other).max() > 1e-4


@pytest.mark.parametrize("called", [False, True], ids=["as made", "after train()"])
@pytest.mark.parametrize("freeze", [False, True])
def test_a_frozen_encoder_keeps_the_statistics_of_its_batch_norms(
    make_planner: MakePlanner, freeze: bool, called: bool
) -> None:
    agent = make_planner(**FOUR_CAMERAS, optimiser={"freeze_encoder": freeze})
    if called:
        agent.eval().train()
    before = {name: value.clone() for name, value in agent.encoder.named_buffers()}
    drive = Drive(cameras=CAMERAS)
    agent(default_collate([agent.build_features(drive.agent_input(frame)) for frame in (4, 6)]))
    moved = [name for name, value in agent.encoder.named_buffers() if not torch.equal(value, before[name])]
    assert bool(moved) != freeze
    assert agent.training
    assert agent.planner.backbone.grid_mask.training


@pytest.mark.parametrize("freeze", [False, True])
def test_the_scorers_own_backbone_starts_from_the_same_encoder_and_is_frozen_with_it(
    make_planner: MakePlanner, tmp_path: Path, freeze: bool
) -> None:
    planner = {"scorer": "trajectories", "scorer_has_backbone": True}
    agent = make_planner(planner=planner, optimiser={"freeze_encoder": freeze})
    path = tmp_path / "encoder.pt"
    weights = make_planner(seed=7).encoder.state_dict()
    torch.save({"target_encoder": {f"module.backbone.{name}": value for name, value in weights.items()}}, path)
    agent.load_encoder(path)
    first, second = agent.encoders
    assert first is not second
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name
    assert {parameter.requires_grad for parameter in second.parameters()} == {not freeze}
    assert agent.train().encoders[1].training is not freeze


def test_a_pickled_agent_plans_the_same(make_planner: MakePlanner) -> None:
    agent, agent_input = make_planner(momentum={"mode": "on"}), Drive().agent_input(5)
    before = agent.compute_trajectory(agent_input).poses
    copy = pickle.loads(pickle.dumps(agent))
    np.testing.assert_array_equal(copy.compute_trajectory(agent_input).poses, before)


def test_an_agent_that_has_planned_can_be_trained(agent: ProposalAgent) -> None:
    agent.compute_trajectory(Drive(seed=1).agent_input(5))
    agent.train()
    loss_of(agent, planner_batch(agent)).backward()


def test_timm_weights_of_the_cameras_network_are_loaded(make_planner: MakePlanner, tmp_path: Path) -> None:
    donor = make_planner(seed=5, **FOUR_CAMERAS)
    torch.save(donor.encoder.state_dict(), tmp_path / "resnet18.pt")
    agent = make_planner(encoder_checkpoint_path=tmp_path / "resnet18.pt", **FOUR_CAMERAS)
    agent.initialize()
    for name, value in donor.encoder.state_dict().items():
        assert torch.equal(agent.encoder.state_dict()[name], value)
