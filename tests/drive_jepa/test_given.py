"""Trajectories of the vocabulary scored beside the proposals: which, with which labels, and what they teach."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from navsim_agents.common.settings import changed
from navsim_agents.distillation import LabelStore, load_vocabulary
from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.drive_jepa.checkpoints import require_settings_of_training, training_record
from navsim_agents.drive_jepa.given import GIVEN_LABELS, GIVEN_ROWS, metric_form, mixed_rows
from navsim_agents.drive_jepa.training_step import score_terms
from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.config import ProposalLossConfig
from navsim_agents.models.losses import weighted_total
from navsim_agents.scoring import PackedText
from navsim_agents.scoring.aggregate import SUB_SCORES, weighted_score
from navsim_agents.scoring.config import EPDMS, PDMS
from tests.drive_jepa.batches import planner_batch
from tests.drive_jepa.planner_scenes import Drive

MakePlanner = Callable[..., ProposalAgent]
SCORING = {"scorer": "trajectories", "foresees": "sub_scores"}


@pytest.fixture
def settings(scene_store: Path, labels: dict[str, Any]) -> dict[str, Any]:
    own = {"teachers": {"scored": 3}, "planner": SCORING, "losses": {"ranking": "list_wise"}}
    return {"scenes": str(scene_store), **changed(labels, own)}


@pytest.mark.parametrize("metric", [PDMS, EPDMS])
def test_the_form_is_the_metrics(metric: Any) -> None:
    """Random sub-scores give what the scorer's own weighted score gives."""
    form = metric_form(metric.name)
    values = torch.rand(7, len(form.names), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    columns = dict(zip(form.names, values.unbind(-1)))
    spare = {name: torch.zeros(7) for name in SUB_SCORES[metric.name] if name not in columns}
    wanted = weighted_score({**columns, **spare}, metric)
    torch.testing.assert_close(form.whole_logit(values.logit()).sigmoid(), wanted)


def test_half_of_the_drawn_are_worth_something() -> None:
    scores = torch.zeros(2, 40)
    scores[:, [3, 8, 21, 30, 35, 39]] = 0.5
    drawn = mixed_rows(scores, 9, torch.Generator().manual_seed(0))
    assert drawn.shape == (2, 9)
    for row in drawn:
        assert row.unique().numel() == 9
        assert {3, 8, 21, 30, 35, 39} >= set(row[:4].tolist())
    assert not torch.equal(*drawn.sort(dim=1).values)
    few = torch.zeros(1, 6)
    few[0, 4] = 1.0
    assert sorted(mixed_rows(few, 6, torch.Generator().manual_seed(1))[0].tolist()) == [0, 1, 2, 3, 4, 5]


def test_targets_are_rows_with_their_labels(make_planner: MakePlanner, settings: dict[str, Any]) -> None:
    agent = make_planner(**changed(settings, {"teachers": {"cap": 4}}))
    scene = Drive(seed=1).scene(5)
    targets = agent.get_target_builders()[-1].compute_targets(scene)
    rows, found = targets[GIVEN_ROWS], targets[GIVEN_LABELS]
    assert (rows.dtype, rows.shape, found.dtype, found.shape) == (torch.int64, (4,), torch.float32, (4, 9))
    store = LabelStore.open(settings["teachers"]["label_store"])
    token = scene.scene_metadata.initial_token
    assert found[:, 0].tolist() == store.scores(token)[rows.numpy()].tolist()
    for column, name in enumerate(metric_form("epdms").names, 1):
        assert found[:, column].tolist() == store.sub_scores(token)[name][rows.numpy()].tolist()
    again = agent.get_target_builders()[-1].compute_targets(scene)[GIVEN_ROWS]
    assert torch.equal(again, rows)


def test_the_term_is_that_of_the_drawn_trajectories(make_planner: MakePlanner, settings: dict[str, Any]) -> None:
    agent = make_planner(**changed(settings, {"losses": {"sub_score_weight": 0.7, "score_weight": 3.0}}))
    features, targets = planner_batch(agent)
    agent.train()
    predictions = agent.forward(features)
    agent.progress.key = ("train", 2, 5, 0)
    agent.compute_loss(features, targets, predictions)
    terms = agent.progress.step.terms
    given = agent.proposal_loss.given(targets, ("train", 2, 5, 0))
    assert given.trajectories.shape == (2, 3, 8, 3)
    vocabulary = load_vocabulary(settings["teachers"]["vocabulary"]).planned()
    for scene in range(2):  # every drawn trajectory stands beside its own label
        for poses, score in zip(given.trajectories[scene], given.score[scene]):
            place = int((vocabulary == poses).all(-1).all(-1).nonzero()[0])
            where = int((targets[GIVEN_ROWS][scene] == place).nonzero()[0])
            assert targets[GIVEN_LABELS][scene, where, 0] == score
    logits = agent.planner.score_given(given.trajectories, predictions["scene"])
    wanted = score_terms(logits, given.score, given.sub_scores, agent.config.losses)
    assert sorted(wanted) == ["ranking", "score", "sub_score"]
    torch.testing.assert_close(terms["given_loss"], weighted_total(wanted, agent.config.losses).detach())
    total = 3.0 * wanted["score"] + 0.7 * wanted["sub_score"] + wanted["ranking"]
    torch.testing.assert_close(terms["given_loss"], total.detach())


def test_what_is_drawn_depends_on_the_step_alone(make_planner: MakePlanner, settings: dict[str, Any]) -> None:
    agent = make_planner(**settings)
    _, targets = planner_batch(agent)
    draw = agent.proposal_loss.given
    one, same, other = (draw(targets, key).trajectories for key in (("train", 0), ("train", 0), ("train", 1)))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_terms_are_there_where_they_are_asked_for() -> None:
    logits, score, parts = torch.zeros(1, 2, 4), torch.zeros(1, 2), torch.zeros(1, 2, 3)
    assert list(score_terms(logits, score, None, ProposalLossConfig())) == ["score"]
    assert list(score_terms(logits, score, parts, ProposalLossConfig())) == ["score", "sub_score"]
    ranked = ProposalLossConfig(ranking="pair_wise")
    assert list(score_terms(logits, score, None, ranked)) == ["score", "ranking"]


def test_training_teaches_the_order_of_a_scene(make_planner: MakePlanner, settings: dict[str, Any]) -> None:
    """A few steps on two scenes bring foreseen scores of the vocabulary near the true ones."""
    agent = make_planner(**changed(settings, {"optimiser": {"lr": 3e-3}, "teachers": {"scored": 10}}))
    features, targets = planner_batch(agent)
    agent.train()
    optimiser = agent.get_optimizers()
    losses = []
    for step in range(40):
        agent.progress.key = ("train", step)
        loss = agent.compute_loss(features, targets, agent.forward(features))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(agent.progress.step.terms["given_loss"].item())
    assert losses[-1] < 0.6 * losses[0]


def test_an_agent_foresees_any_trajectory(make_planner: MakePlanner, settings: dict[str, Any]) -> None:
    agent = make_planner(**settings)
    agent_input = Drive(seed=1).agent_input(5)
    proposals = agent.propose(agent_input)
    torch.testing.assert_close(agent.foresee(agent_input, proposals.poses), proposals.scores)
    with pytest.raises(InputError, match=r"planner.scorer=queries scores the planner's own proposals alone"):
        make_planner().foresee(agent_input, proposals.poses)


def test_validation_scores_proposals_alone(make_planner: MakePlanner, settings: dict[str, Any]) -> None:
    agent = make_planner(**settings).eval()
    features, targets = planner_batch(agent)
    with torch.no_grad():
        agent.compute_loss(features, targets, agent.forward(features))
    assert "given_loss" in agent.progress.step.terms  # the order among vocabulary trajectories is validated too


def test_settings_that_need_one_another_are_refused(make_planner: MakePlanner, labels: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="scored=2 needs labels of the vocabulary"):
        make_planner(teachers={"scored": 2}, planner=SCORING)
    with pytest.raises(InputError, match="queries belong to the planner's own proposals"):
        make_planner(**changed(labels, {"teachers": {"scored": 2}}))


def test_without_the_option_nothing_is_cached_beside(make_planner: MakePlanner, settings: dict[str, Any]) -> None:
    names = [type(one).__name__ for one in make_planner(**settings).get_target_builders()]
    without = make_planner(**changed(settings, {"teachers": {"scored": 0}})).get_target_builders()
    assert names == [*(type(one).__name__ for one in without), "GivenBuilder"]
    assert all(
        not isinstance(value, PackedText) for value in without[-1].compute_targets(Drive(seed=1).scene(5)).values()
    )


def test_weights_are_refused_by_an_agent_that_foresees_otherwise(
    make_planner: MakePlanner, settings: dict[str, Any]
) -> None:
    """The metric is part of what sub-scores mean, and leaves no trace in the weights where it has as many."""
    agent = make_planner(**changed(settings, {"metric": "epdms"}))
    assert agent.config.seen_by_weights["planner.foresees"] == "sub_scores"
    assert agent.config.seen_by_weights["metric"] == "epdms"
    plain = make_planner()
    assert "metric" not in plain.config.seen_by_weights
    assert plain.config.seen_by_weights["planner.scorer"] == "queries"
    with pytest.raises(CheckpointError, match=r"planner.scorer=trajectories"):
        require_settings_of_training(plain.config, training_record(agent.config))
