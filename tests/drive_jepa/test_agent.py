"""The agent as NAVSIM uses it: builders, inference, training, workers."""

from __future__ import annotations

import logging
import math
import pickle
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch

from navsim_agents.drive_jepa import PerceptionFreeAgent, PerceptionFreeConfig
from navsim_agents.drive_jepa.agent import resolve_device
from navsim_agents.errors import InputError
from tests.drive_jepa.scenes import TINY, make_batch, make_input, make_scene

MakeAgent = Callable[..., PerceptionFreeAgent]


def test_only_the_front_camera_of_two_frames_is_asked_for(agent: PerceptionFreeAgent) -> None:
    config = agent.get_sensor_config()
    assert [config.get_sensors_at_iteration(index) for index in range(4)] == [[], [], ["cam_f0"], ["cam_f0"]]


def test_planned_trajectory_is_forward_on_built_features(agent: PerceptionFreeAgent) -> None:
    agent_input = make_input()
    features = {}
    for builder in agent.get_feature_builders():
        features.update(builder.compute_features(agent_input))
    agent.eval()
    with torch.no_grad():
        expected = agent({name: value.unsqueeze(0) for name, value in features.items()})["trajectory"][0]
    poses = agent.train().compute_trajectory(agent_input).poses
    assert poses.dtype == np.float32
    np.testing.assert_allclose(poses, expected.numpy(), atol=1e-6)


def test_order_of_frames_matters(agent: PerceptionFreeAgent) -> None:
    features, _ = make_batch()
    swapped = {**features, "front_video": features["front_video"].flip(1)}
    assert (agent(features)["trajectory"] - agent(swapped)["trajectory"]).abs().max() > 1e-4


def test_builders_feed_the_loss(agent: PerceptionFreeAgent) -> None:
    (target_builder,) = agent.get_target_builders()
    targets = {name: value.unsqueeze(0) for name, value in target_builder.compute_targets(make_scene()).items()}
    perfect = {"trajectory": targets["trajectory"].clone()}
    assert agent.compute_loss({}, targets, perfect) == 0
    perfect["trajectory"][0, -1, :2] += torch.tensor([3.0, 4.0])
    agent.compute_loss({}, targets, perfect)
    assert agent.progress.step.terms["fde_m"] == 5.0
    assert agent.progress.step.terms["ade_m"] == 1.25
    assert agent.progress.step.terms["trajectory_loss"] == pytest.approx(7 / 12, rel=1e-4)
    assert agent.progress.step.terms["heading_l1_rad"] == 0


def test_papers_loss_is_an_option(make_agent: MakeAgent) -> None:
    targets, planned = {"trajectory": torch.zeros(2, 4, 3)}, {"trajectory": torch.full((2, 4, 3), 2.0)}
    assert make_agent(loss="mse").compute_loss({}, targets, planned) == 4.0
    assert make_agent().compute_loss({}, targets, planned) == pytest.approx(2.0, rel=1e-4)


def test_every_trainable_parameter_is_in_the_loss(make_agent: MakeAgent) -> None:
    for freeze in (False, True):
        agent = make_agent(optimiser={"freeze_encoder": freeze})
        features, targets = make_batch()
        agent.compute_loss(features, targets, agent(features)).backward()
        without = [name for name, value in agent.named_parameters() if value.requires_grad and value.grad is None]
        assert without == []
        assert all(value.requires_grad != freeze for value in agent.encoder.parameters())


def test_a_frozen_encoder_stays_and_the_rest_learns(make_agent: MakeAgent) -> None:
    agent = make_agent(optimiser={"freeze_encoder": True})
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    features, targets = make_batch()
    optimiser = agent.get_optimizers()
    agent.compute_loss(features, targets, agent(features)).backward()
    optimiser.step()
    changed = {name for name, value in agent.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if not name.startswith("planner.encoder.")}


def test_it_overfits_two_scenes(make_agent: MakeAgent) -> None:
    agent = make_agent(optimiser={"lr": 3e-3})
    features, targets = make_batch()
    optimiser = agent.get_optimizers()
    for _ in range(100):
        optimiser.zero_grad()
        agent.compute_loss(features, targets, agent(features)).backward()
        optimiser.step()
    assert agent.progress.step.terms["ade_m"] < 0.5
    assert targets["trajectory"][..., :2].norm(dim=-1).mean() > 4.0


def test_a_pickled_agent_plans_the_same(agent: PerceptionFreeAgent) -> None:
    agent_input = make_input()
    before = agent.compute_trajectory(agent_input).poses
    copy = pickle.loads(pickle.dumps(agent))
    np.testing.assert_array_equal(copy.compute_trajectory(agent_input).poses, before)


def test_random_weights_are_announced_once(agent: PerceptionFreeAgent, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        agent.initialize()
        agent.initialize()
    assert [record.message for record in caplog.records] == [
        "drive_jepa_perception_free has no checkpoint_path: its weights are random until it is trained"
    ]


def test_inference_leaves_the_scene_alone_and_names_its_problem(agent: PerceptionFreeAgent) -> None:
    agent_input = make_input(driving_command=np.array([1, 1, 0, 0]))
    with pytest.raises(InputError, match="must be one-hot"):
        agent.compute_trajectory(agent_input)


def test_headings_stay_on_the_circle(agent: PerceptionFreeAgent) -> None:
    with torch.no_grad():
        agent.planner.head[-1].bias[2] = 100.0
    heading = agent.compute_trajectory(make_input()).poses[:, 2]
    np.testing.assert_allclose(heading, math.pi, rtol=1e-6)


def test_an_agent_that_has_planned_can_be_trained(agent: PerceptionFreeAgent) -> None:
    agent.compute_trajectory(make_input())
    features, targets = make_batch()
    agent.train()
    agent.compute_loss(features, targets, agent(features)).backward()


def test_config_may_be_the_dataclass_too() -> None:
    agent = PerceptionFreeAgent(PerceptionFreeConfig.from_mapping(TINY), device="cpu")
    assert agent.compute_trajectory(make_input()).poses.shape == (4, 3)


def test_auto_is_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(is_available: bool) -> Any:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
        return resolve_device("auto").type

    assert (answers(True), answers(False)) == ("cuda", "cpu")
    assert resolve_device("cpu").type == "cpu"


def test_a_transformer_of_timm_stands_in_for_the_encoder(make_agent: MakeAgent, tmp_path: Path) -> None:
    vit = {"name": "timm:test_vit"}
    agent = make_agent(encoder=vit, optimiser={"encoder_lr_factor": 0.5})
    features, targets = make_batch()
    agent.compute_loss(features, targets, agent(features)).backward()
    assert all(parameter.grad is not None for parameter in agent.encoder.parameters())
    assert {group["lr"] for group in agent.get_optimizers().param_groups} == {1e-4, 0.5e-4}
    torch.save(agent.encoder.network.state_dict(), tmp_path / "vit.pth")
    other = make_agent(encoder=vit, seed=1, encoder_checkpoint_path=tmp_path / "vit.pth")
    other.initialize()
    assert torch.equal(other.encoder.network.pos_embed, agent.encoder.network.pos_embed)
