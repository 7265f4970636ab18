"""The perception-free planner and its losses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from navsim_agents.errors import InputError
from navsim_agents.models.config import PlannerConfig
from navsim_agents.models.losses import (
    arc_length,
    displacement,
    length_normalised_l1,
    length_normalised_weights,
    mean_squared_error,
)
from navsim_agents.models.perception_free import PerceptionFreePlanner, poses_from_head
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.video_encoder import VideoEncoder

CONFIG = PlannerConfig(model_dim=24, num_heads=2, ffn_dim=40, num_layers=1, num_poses=5)


def make_planner(config: PlannerConfig = CONFIG) -> PerceptionFreePlanner:
    torch.manual_seed(0)
    return PerceptionFreePlanner(VideoEncoder(encoder_preset("tiny")), (32, 96), config).eval()


def make_inputs(batch_size: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (batch_size, 2, 3, 32, 96), generator=generator, dtype=torch.uint8)
    return images, torch.randn(batch_size, 8, generator=generator)


def test_tokens_are_pooled_two_by_two_row_major() -> None:
    tokens = torch.arange(12.0).view(1, 12, 1)  # rows 0..5 and 6..11
    assert make_planner().pool(tokens).flatten().tolist() == [3.5, 5.5, 7.5]


def test_last_key_is_the_status() -> None:
    planner = make_planner()
    images, status = make_inputs()
    tokens = planner.scene_tokens(images, status)
    assert tokens.shape == (3, 4, 24)
    other = planner.scene_tokens(images, status + 1)
    assert torch.equal(tokens[:, :-1], other[:, :-1])
    expected = planner.status_projector(status) + planner.kv_embedding[-1]
    torch.testing.assert_close(tokens[:, -1], expected)


def test_plan_has_one_pose_a_query_and_depends_on_everything() -> None:
    planner = make_planner()
    images, status = make_inputs()
    plan = planner(images, status)
    assert plan.shape == (3, 5, 3)
    for changed in (planner(255 - images, status), planner(images.flip(1), status), planner(images, status + 1)):
        assert (changed - plan).abs().max() > 1e-4


def test_a_planner_that_sees_no_motion_knows_the_command_alone() -> None:
    planner = make_planner(replace(CONFIG, sees_motion=False))
    images, status = make_inputs()
    plan = planner(images, status)
    other_motion, other_command = status.clone(), status.clone()
    other_motion[:, 4:] += 1.0
    other_command[:, 3] += 1.0
    assert torch.equal(planner(images, other_motion), plan)
    assert (planner(images, other_command) - plan).abs().max() > 1e-4
    seeing = make_planner()
    status[:, 4:] = 0.0
    assert torch.equal(seeing(images, status), plan)


def test_a_scene_is_planned_alike_alone_and_in_a_batch() -> None:
    planner = make_planner()
    images, status = make_inputs()
    alone = torch.cat([planner(images[i : i + 1], status[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(planner(images, status), alone, rtol=0, atol=1e-6)


def test_inference_equals_training_without_dropout() -> None:
    planner, inputs = make_planner(), make_inputs()
    with torch.inference_mode():
        fast = planner(*inputs)
    torch.testing.assert_close(planner.train()(*inputs), fast, rtol=0, atol=1e-6)


def test_dropout_is_active_in_training_alone() -> None:
    planner, inputs = make_planner(replace(CONFIG, dropout=0.5)), make_inputs()
    assert torch.equal(planner(*inputs), planner(*inputs))
    planner.train()
    assert not torch.equal(planner(*inputs), planner(*inputs))


def test_heading_is_pi_tanh_and_positions_are_free() -> None:
    raw = torch.tensor([[100.0, -70.0, 0.5], [0.0, 1.0, 40.0], [0.0, 0.0, -40.0]])
    poses = poses_from_head(raw)
    assert torch.equal(poses[:, :2], raw[:, :2])
    torch.testing.assert_close(poses[:, 2], torch.tensor([math.pi * math.tanh(0.5), math.pi, -math.pi]))


def test_every_parameter_gets_a_gradient() -> None:
    planner = make_planner()
    planner(*make_inputs()).square().sum().backward()
    assert [name for name, value in planner.named_parameters() if value.grad is None] == []


def test_poses_are_decoded_in_full_precision_under_autocast() -> None:
    planner, inputs = make_planner(), make_inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plan = planner(*inputs)
    assert plan.dtype == torch.float32
    assert not torch.equal(plan, plan.bfloat16().float())


def test_constants_stay_out_of_the_state_dict() -> None:
    assert {name.split(".")[0] for name in make_planner().state_dict()} == {
        "encoder",
        "projector",
        "status_projector",
        "kv_embedding",
        "query_embedding",
        "transformer",
        "head",
    }


def test_an_odd_grid_is_refused() -> None:
    with pytest.raises(InputError, match=r"image of 48x96 px has 3x6 patches.*multiples of 32 px"):
        PerceptionFreePlanner(VideoEncoder(encoder_preset("tiny")), (48, 96), CONFIG)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_heads": 5}, "model_dim=24 must be a multiple of num_heads=5"),
        ({"num_poses": 0}, "num_poses=0 must be at least 1"),
        ({"dropout": -0.1}, r"dropout=-0.1 must be in \[0, 1\)"),
    ],
)
def test_sizes_are_checked(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(CONFIG, **wrong)


STRAIGHT = [[2.0, 0.0, 0.0], [5.0, 0.0, 0.0], [5.0, 4.0, 0.0]]
STANDING = [[0.0, 0.0, 0.3]] * 3


def test_arc_length_leaves_out_the_way_to_the_first_pose() -> None:
    assert arc_length(torch.tensor([STRAIGHT, STANDING])).tolist() == [7.0, 0.0]


def test_weights_worked_by_hand() -> None:
    weights = length_normalised_weights(torch.tensor([STRAIGHT, STANDING]))
    # 1/12 and 1/5 over their sum 17/60, times two scenes
    assert weights.tolist() == pytest.approx([10 / 17, 24 / 17], rel=1e-5)


def test_length_normalised_l1_worked_by_hand() -> None:
    human = torch.tensor([STRAIGHT, STANDING])
    planned = human.clone()
    planned[0, 1] += torch.tensor([9.0, -9.0, 0.9])  # mean of |.| over 9 numbers: 2.1
    planned[1, 2, 2] -= 1.8  # 0.2
    expected = (10 / 17 * 2.1 + 24 / 17 * 0.2) / 2
    assert length_normalised_l1(planned, human).item() == pytest.approx(expected, rel=1e-5)


def test_mean_squared_error_worked_by_hand() -> None:
    human = torch.tensor([STRAIGHT, STANDING])
    planned = human.clone()
    planned[0, 0, 0] += 3.0
    assert mean_squared_error(planned, human).item() == pytest.approx(9 / 18)


def test_displacement_is_of_positions_only() -> None:
    human = torch.tensor(STRAIGHT)
    planned = human + torch.tensor([3.0, 4.0, 100.0])
    assert displacement(planned, human).tolist() == [5.0, 5.0, 5.0]
