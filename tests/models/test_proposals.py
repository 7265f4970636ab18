"""The perception-based planner as a whole."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from navsim_agents.errors import InputError
from navsim_agents.models.config import (
    QUIRKS_OF_RELEASED_RESNET34,
    QUIRKS_OF_RELEASED_VIT_L,
    RELEASED_RESNET34,
    RELEASED_VIT_L,
    PlanSampling,
    ProposalConfig,
    Quirks,
)
from navsim_agents.models.proposals import ProposalHeads, ProposalOutput, initial_queries
from navsim_agents.models.refiner import Refiner, chained
from tests.models.planners import CONFIG, QUIRKS, SAMPLING, make_inputs, make_planner


def test_shapes_in_inference_and_in_training() -> None:
    planner = make_planner()
    planned = planner(*make_inputs())
    assert planned.proposals.shape == (3, 4, 5, 3, 3)
    assert planned.final.shape == (3, 5, 3, 3)
    assert planned.score_logits.shape == (3, 5, 6)
    assert planned.area_logits is None
    assert planned.collision_corners is None
    assert planned.collision_validity_logits is None
    trained = planner.train()(*make_inputs())
    assert trained.area_logits.shape == (3, 5, 6, 2)
    assert trained.collision_corners.shape == (3, 5, 2, 6, 4, 2)
    assert trained.collision_validity_logits.shape == (3, 5, 2, 6)


def test_a_scene_is_planned_alike_alone_and_in_a_batch() -> None:
    """The third scene's camera looks back, so nothing of it is visible; that must not touch the others."""
    planner, inputs = make_planner(), make_inputs()
    together = planner(*inputs)
    for scene in range(3):
        alone = planner(*(part[scene : scene + 1] for part in inputs))
        torch.testing.assert_close(alone.proposals[0], together.proposals[scene], rtol=0, atol=2e-5)
        torch.testing.assert_close(alone.score_logits[0], together.score_logits[scene], rtol=0, atol=2e-5)


def test_the_plan_depends_on_everything() -> None:
    planner, (pictures, ego, projections) = make_planner(), make_inputs()
    plan = planner(pictures, ego, projections).final
    changed = {
        "pictures": planner(255 - pictures, ego, projections).final,
        "order of frames": planner(pictures.flip(1), ego, projections).final,
        "ego": planner(pictures, ego + 1, projections).final,
        "projection": planner(pictures, ego, projections.roll(1, 0)).final,
    }
    assert {name: bool((other - plan).abs().amax() > 1e-4) for name, other in changed.items()} == dict.fromkeys(
        changed, True
    )


def test_first_proposals_come_before_the_pictures() -> None:
    planner, (pictures, ego, projections) = make_planner(), make_inputs()
    one, other = planner(pictures, ego, projections), planner(255 - pictures, ego, projections)
    assert torch.equal(one.proposals[:, 0], other.proposals[:, 0])
    assert not torch.equal(one.proposals[:, 1], other.proposals[:, 1])


def test_answer_is_decoded_before_and_scored_after_the_last_refinement() -> None:
    planner, (pictures, ego, projections) = make_planner(), make_inputs()
    queries = (planner.query_embedding + planner.ego_projector(ego).unsqueeze(1)).unflatten(1, (5, 3))
    features = planner.backbone(pictures)
    for _ in range(4):
        proposals, queries = planner.refiner(queries, features, projections)
    planned = planner(pictures, ego, projections)
    torch.testing.assert_close(planned.final, proposals)
    torch.testing.assert_close(planned.score_logits, planner.heads.score(queries.amax(2)))


def test_position_code_is_column_then_row() -> None:
    refiner = make_planner().refiner
    code = refiner.position_code()
    assert code.shape == (5, 3, 24)
    assert torch.equal(code[4, 1], torch.cat((refiner.column_embedding[1], refiner.row_embedding[4])))


def test_no_gradient_flows_from_where_a_query_looks() -> None:
    """Scores train the decoder of proposals in no way: anchors are constants."""
    planner = make_planner()
    planner(*make_inputs()).score_logits.sum().backward()
    assert all(parameter.grad is None for parameter in planner.refiner.decoder.parameters())


def test_every_parameter_gets_a_gradient() -> None:
    planner = make_planner().train()
    output = planner(*make_inputs())
    sum(part.square().sum() for part in output if part is not None).backward()
    assert [name for name, value in planner.named_parameters() if value.grad is None] == []


def test_options_change_the_plan() -> None:
    inputs = make_inputs()
    plan = make_planner()(*inputs).final
    tiled = make_planner(replace(QUIRKS, tiled_pillar=False))(*inputs).final
    padded = make_planner(replace(QUIRKS, padded_reference_picture=False))(*inputs).final
    skipped = make_planner(replace(QUIRKS, skip_when_invisible=False))(*inputs).final
    assert (tiled - plan).abs().max() > 1e-4
    assert (padded - plan).abs().max() > 1e-4
    differs = (skipped - plan).abs().amax((1, 2, 3)) > 1e-4
    assert differs.tolist() == [False, False, True]  # the third camera looks back


def test_released_presets_say_what_the_weights_saw() -> None:
    assert ProposalConfig() == RELEASED_VIT_L
    assert (RELEASED_VIT_L.num_proposals, PlanSampling().num_poses, RELEASED_VIT_L.num_stages) == (32, 8, 4)
    assert (RELEASED_VIT_L.model_dim, RELEASED_VIT_L.ffn_dim, PlanSampling().num_steps) == (256, 1024, 40)
    assert replace(RELEASED_VIT_L, num_proposals=64) == RELEASED_RESNET34
    vit_l, resnet34 = QUIRKS_OF_RELEASED_VIT_L, QUIRKS_OF_RELEASED_RESNET34
    assert vit_l == Quirks(tiled_pillar=True, padded_reference_picture=True, skip_when_invisible=True)
    assert resnet34 == replace(vit_l, skip_when_invisible=False, swapped_channels=True)


def test_without_quirks_nothing_is_on() -> None:
    assert not any(vars(Quirks()).values())


def test_best_proposal_has_the_highest_score() -> None:
    logits = torch.zeros(2, 3, 6)
    logits[..., 0] = torch.tensor([9.0, 0.0, 0.0])  # an untrained logit
    logits[..., -1] = torch.tensor([[0.0, math.log(3), -1.0], [0.5, 0.0, 2.0]])
    output = ProposalOutput(torch.zeros(2, 4, 3, 8, 3), logits, None, None, None)
    assert output.best.tolist() == [1, 2]
    assert output.scores[0].tolist() == pytest.approx([0.5, 0.75, 1 / (1 + math.e)])


def test_auxiliary_logits_are_laid_out_by_steps() -> None:
    heads = ProposalHeads(CONFIG, SAMPLING).train()
    with torch.no_grad():
        for head in (heads.area, heads.collision):
            head[-1].weight.zero_()
            head[-1].bias.copy_(torch.arange(float(len(head[-1].bias))))
    output = heads(torch.zeros(1, 4, 5, 3, 3), torch.zeros(1, 5, 3, 24))
    # Two steps a pose, two areas a step; every pose repeats the biases.
    assert output.area_logits[0, 0].tolist() == [[0.0, 1.0], [2.0, 3.0]] * 3
    # Step s, agent a begins at 9 (2 s + a): eight corner numbers, then the validity.
    assert output.collision_corners[0, 0, 1, 2].flatten().tolist() == [45.0 + i for i in range(8)]
    assert output.collision_validity_logits[0, 0].tolist() == [
        [8.0 + 18 * step for step in range(6)],
        [17.0 + 18 * step for step in range(6)],
    ]


def test_autocast_does_not_reach_the_proposals() -> None:
    planner, (pictures, ego, projections) = make_planner(), make_inputs()
    features = planner.backbone(pictures)
    plan = planner.propose(features, ego, projections).final
    planner.backbone.forward = lambda *_: features
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = planner(pictures, ego, projections).final
    assert torch.equal(again, plan)


def test_a_tiny_planner_learns_a_scene() -> None:
    planner, inputs = make_planner(num_stages=2).train(), make_inputs((0.0,))
    planner.backbone.grid_mask.probability = 0.0
    human = torch.tensor([[4.0, 0.5, 0.1], [8.0, 1.5, 0.2], [12.0, 3.0, 0.3]])
    optimiser = torch.optim.Adam(planner.parameters(), lr=3e-3)
    for _ in range(80):
        loss = (planner(*inputs).proposals - human).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.3


def test_wrong_numbers_of_pictures_are_refused() -> None:
    planner, (pictures, ego, projections) = make_planner(), make_inputs()
    with pytest.raises(InputError, match=r"3 pictures and 1 projections.*takes 2 and 1"):
        planner(torch.cat((pictures, pictures[:, :1]), 1), ego, projections)
    with pytest.raises(InputError, match=r"2 pictures and 2 projections"):
        planner(pictures, ego, projections.expand(-1, 2, -1, -1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_heads": 5}, "model_dim=24 must be a multiple of num_heads=5"),
        ({"model_dim": 25, "num_heads": 5}, "model_dim=25 must be even: one half codes proposals"),
        ({"num_proposals": 0}, "num_proposals=0 must be at least 1"),
        ({"num_stages": 0}, "num_stages=0 must be at least 1"),
        ({"dropout": 1.0}, r"dropout=1.0 must be in \[0, 1\)"),
    ],
)
def test_sizes_are_checked(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(CONFIG, **wrong)


@pytest.mark.parametrize("name", ["num_poses", "steps_per_pose"])
def test_samplings_are_checked(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}=0 must be at least 1"):
        PlanSampling(**{name: 0})


def test_one_refiner_serves_all_stages() -> None:
    planner = make_planner()
    assert sum(isinstance(module, Refiner) for module in planner.modules()) == 1
    assert planner.encoder is planner.backbone.encoder


def test_related_queries_are_the_sum_of_a_proposals_and_a_waypoints_code() -> None:
    """So the difference of two proposals is the same at every waypoint; independent queries have no such rule."""
    for is_related in (True, False):
        queries = initial_queries(replace(CONFIG, related_queries=is_related), 3).unflatten(0, (5, 3))
        difference = queries[1] - queries[0]  # [T, D]
        assert torch.allclose(difference[0], difference[2], atol=1e-5) is is_related


def test_metres_per_unit_stretches_positions_and_leaves_headings() -> None:
    torch.manual_seed(0)
    refiner = make_planner().refiner
    queries = torch.randn(2, CONFIG.model_dim)
    plain = refiner.decode(queries)
    refiner.metres_per_unit = 7.0
    torch.testing.assert_close(refiner.decode(queries), plain * torch.tensor([7.0, 7.0, 1.0]))
    with pytest.raises(InputError, match=r"metres_per_unit=0\.0 must be positive"):
        replace(CONFIG, metres_per_unit=0.0)


def test_decoded_steps_are_chained_within_each_proposal() -> None:
    refiner = make_planner().refiner
    queries = torch.randn(2, 5, 3, CONFIG.model_dim)
    steps = refiner.decode(queries)
    refiner.decodes_steps = True
    poses = refiner.decode(queries)
    for scene, proposal in ((0, 0), (1, 4)):
        here = np.eye(3)
        for step, pose in zip(steps[scene, proposal].tolist(), poses[scene, proposal].tolist()):
            x, y, heading = step
            cos, sin = math.cos(heading), math.sin(heading)
            here = here @ np.array([[cos, -sin, x], [sin, cos, y], [0.0, 0.0, 1.0]])
            np.testing.assert_allclose(here[:2, 2], pose[:2], atol=1e-4)
            np.testing.assert_allclose(here[0, :2], [math.cos(pose[2]), -math.sin(pose[2])], atol=1e-5)


def test_chained_steps_of_a_quarter_circle_by_hand() -> None:
    quarter = math.pi / 2
    poses = chained(torch.tensor([[2.0, 0.0, quarter], [3.0, 1.0, 0.0], [0.0, 0.0, quarter]]))
    expected = torch.tensor([[2.0, 0.0, quarter], [1.0, 3.0, quarter], [1.0, 3.0, 2 * quarter]])
    torch.testing.assert_close(poses, expected)
