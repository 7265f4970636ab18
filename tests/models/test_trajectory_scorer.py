"""Scores of given trajectories, and of planners that read them so."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from navsim_agents.errors import InputError
from navsim_agents.models.config import ProposalConfig
from navsim_agents.models.proposals import ProposalPlanner
from navsim_agents.models.score_form import ScoreForm
from navsim_agents.models.trajectory_scorer import SceneView, pose_numbers
from tests.models.planners import CONFIG, QUIRKS, SAMPLING, make_inputs, make_planner, shake

FORM = ScoreForm(("gate",), (("progress", 5.0), ("comfort", 2.0)))


def make_scoring(**changes: object) -> ProposalPlanner:
    """A tiny planner that scores trajectories; no weight is at its start."""
    backbone = make_planner().backbone
    config = replace(CONFIG, scorer="trajectories", **changes)
    planner = ProposalPlanner(backbone, config, replace(QUIRKS, skip_when_invisible=False), SAMPLING, FORM)
    shake(planner.refiner.attention)
    assert planner.scorer is not None
    shake(planner.scorer)
    return planner.eval()


def trajectories(count: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    steps = torch.rand(3, count, 3, 3, generator=generator) * torch.tensor([6.0, 0.5, 0.1])
    return steps.cumsum(dim=2)


def test_numbers_of_a_pose_worked_by_hand() -> None:
    """2 m ahead; then, having turned left by a quarter, 4 m along its own nose."""
    quarter = math.pi / 2
    found = pose_numbers(torch.tensor([[2.0, 0.0, quarter], [2.0, 4.0, quarter]]))
    place, steps = [2 / 32, 0.0, 0.0, 1.0], [0.5, 0.0, 0.0]
    assert found[0].tolist() == pytest.approx([*place, *steps, 1.0, 1.0], abs=1e-6)
    assert found[1].tolist() == pytest.approx([2 / 32, 4 / 32, 0.0, 1.0, 1.0, 0.0, 0.5, 0.0, 0.0], abs=1e-6)


def test_proposals_are_scored_as_given_trajectories() -> None:
    planner, (pictures, ego, projections) = make_scoring(), make_inputs()
    output = planner(pictures, ego, projections)
    assert output.score_logits.shape == (3, 5, 6)
    assert output.scene is not None
    torch.testing.assert_close(planner.score_given(output.final, output.scene), output.score_logits)


def test_each_trajectory_is_judged_by_itself() -> None:
    planner = make_scoring()
    scene, given = planner(*make_inputs()).scene, trajectories()
    together = planner.score_given(given, scene)
    torch.testing.assert_close(planner.score_given(given[:, [2]], scene), together[:, [2]], rtol=0, atol=2e-5)
    torch.testing.assert_close(planner.score_given(given.flip(1), scene), together.flip(1), rtol=0, atol=2e-5)
    alone = SceneView(*(part[1:2] for part in scene))
    torch.testing.assert_close(planner.score_given(given[1:2], alone), together[1:2], rtol=0, atol=2e-5)


def test_a_score_depends_on_all_that_is_known() -> None:
    """Beside its own poses: features, how the ego moves, and where the camera looks."""
    planner, given = make_scoring(), trajectories()
    scene = planner(*make_inputs()).scene
    found = planner.score_given(given, scene)
    others = {
        "poses": planner.score_given(given.roll(1, dims=1), scene),
        "order": planner.score_given(given.flip(2), scene),
        **{
            name: planner.score_given(given, scene._replace(**{name: part.roll(1, 0)})) for name, part in changes(scene)
        },
    }
    assert {name: bool((other - found).abs().amax() > 1e-4) for name, other in others.items()} == dict.fromkeys(
        others, True
    )


def changes(scene: SceneView) -> list[tuple[str, Tensor]]:
    return list(scene._asdict().items())


def test_no_gradient_flows_into_the_poses() -> None:
    planner = make_scoring()
    scene, given = planner(*make_inputs()).scene, trajectories().requires_grad_()
    planner.score_given(given, scene).sum().backward()
    assert given.grad is None
    assert all(parameter.grad is None for parameter in planner.refiner.parameters())
    assert all(parameter.grad is not None for parameter in planner.scorer.parameters())


@pytest.mark.parametrize("scorer", ["queries", "trajectories"])
def test_a_detached_scorer_teaches_itself_alone(scorer: str) -> None:
    for is_detached in (False, True):
        planner = make_planner(scorer=scorer, scorer_is_detached=is_detached)
        planner(*make_inputs()).score_logits.sum().backward()
        taught = {name.split(".")[0] for name, value in planner.named_parameters() if value.grad is not None}
        own = {"queries": {"heads"}, "trajectories": {"scorer"}}[scorer]
        assert own <= taught
        assert (taught == own) is is_detached


def test_a_backbone_of_the_scorers_own_learns_from_scores_alone_and_proposals_from_the_other() -> None:
    planner = make_planner(scorer="trajectories", scorer_has_backbone=True)
    output = planner(*make_inputs())
    output.score_logits.sum().backward()
    taught = {name.split(".")[0] for name, value in planner.named_parameters() if value.grad is not None}
    assert taught == {"scorer", "scorer_backbone"}
    planner.zero_grad()
    output = planner(*make_inputs())
    output.proposals.sum().backward()
    taught = {name.split(".")[0] for name, value in planner.named_parameters() if value.grad is not None}
    assert "backbone" in taught
    assert not taught & {"scorer", "scorer_backbone"}


def test_a_backbone_of_the_scorers_own_changes_scores_and_no_proposal() -> None:
    planner = make_scoring(scorer_has_backbone=True)
    before = planner(*make_inputs())
    with torch.no_grad():
        for parameter in planner.scorer_backbone.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    after = planner(*make_inputs())
    assert torch.equal(after.proposals, before.proposals)
    assert (after.score_logits - before.score_logits).abs().amax() > 1e-4
    torch.testing.assert_close(planner.score_given(after.final, after.scene), after.score_logits)


@pytest.mark.parametrize("others", [{"scorer": "queries"}, {"scorer": "trajectories", "scorer_is_detached": True}])
def test_a_backbone_that_nothing_teaches_is_refused(others: dict[str, object]) -> None:
    with pytest.raises(InputError, match="scorer_has_backbone=true with scorer="):
        replace(CONFIG, scorer_has_backbone=True, **others)


@pytest.mark.parametrize("scorer", ["queries", "trajectories"])
def test_the_last_logit_is_put_together_of_the_sub_scores(scorer: str) -> None:
    planner = make_scoring(foresees="sub_scores") if scorer == "trajectories" else None
    if planner is None:
        backbone = make_planner().backbone
        planner = ProposalPlanner(backbone, replace(CONFIG, foresees="sub_scores"), QUIRKS, SAMPLING, FORM).eval()
    output = planner(*make_inputs())
    assert output.score_logits.shape == (3, 5, 4)
    gate, progress, comfort, _ = output.score_logits.sigmoid().unbind(-1)
    torch.testing.assert_close(output.scores, gate * (5 * progress + 2 * comfort) / 7)
    assert torch.equal(output.best, output.scores.argmax(1))


@pytest.mark.parametrize("scorer", ["queries", "trajectories"])
def test_every_parameter_gets_a_gradient(scorer: str) -> None:
    backbone = make_planner().backbone
    config = replace(CONFIG, foresees="sub_scores", scorer=scorer)
    planner = ProposalPlanner(backbone, config, QUIRKS, SAMPLING, FORM).train()
    output = planner(*make_inputs())
    parts = (output.proposals, output.score_logits, output.area_logits, output.collision_corners)
    sum(part.square().sum() for part in (*parts, output.collision_validity_logits)).backward()
    assert [name for name, value in planner.named_parameters() if value.grad is None] == []


def test_a_planner_of_queries_scores_no_others() -> None:
    planner = make_planner()
    assert planner(*make_inputs()).scene is None
    scene = make_scoring()(*make_inputs()).scene
    with pytest.raises(InputError, match=r"planner.scorer=trajectories"):
        planner.score_given(trajectories(), scene)


def test_released_names_of_weights_are_untouched() -> None:
    names = {name.rsplit(".", 2)[0] for name in make_planner().state_dict() if name.startswith(("heads", "scorer"))}
    assert names == {"heads.score", "heads.area", "heads.collision"}
    others = make_scoring().state_dict()
    assert not any(name.startswith("heads.score") for name in others)


def test_options_that_fit_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="scorer='poses' must be one of queries, trajectories"):
        ProposalConfig(scorer="poses")
    with pytest.raises(InputError, match="foresees='all' must be one of score, sub_scores"):
        ProposalConfig(foresees="all")
    with pytest.raises(InputError, match="scorer_layers=0 must be at least 1"):
        ProposalConfig(scorer_layers=0)
    with pytest.raises(InputError, match="needs the metric's score_form"):
        make_planner(foresees="sub_scores")
