"""Scores of proposals: those of each trajectory by itself, the best of them, and what the chosen one lacks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from navsim_agents.errors import InputError
from navsim_agents.evaluation import plan_scores
from navsim_agents.evaluation.metrics import BEST_OF_N, PlannedScenes, compute_columns
from navsim_agents.evaluation.plan_scores import PlanScorer
from navsim_agents.poses import FloatArray
from navsim_agents.scoring import ScoringScene, epdms, score_trajectories
from tests.scoring.tiny import plan, scene, track
from tests.training.fakes import FakeSource

TOKENS = ["log_a_0", "log_a_1", "log_a_3"]
PROPOSALS = np.stack([np.stack([plan(6.0), plan(3.0), plan(12.0, 3.0)])] * 3)  # [B, 3, T, 3]
PROPOSALS[1, 2, 4] = np.nan
CHOSEN = np.array([1, 0, 2])
PLANS = {
    "careful": PROPOSALS[np.arange(3), CHOSEN],
    "steady": PROPOSALS[:, 0],
    "straight": np.stack([plan(5.0)] * 3),  # does not propose
}


@dataclass(frozen=True)
class Source(FakeSource):
    """A car ahead in scenes of odd number."""

    loaded: list[str] = field(default_factory=list)

    def scoring_scene(self, token: str) -> ScoringScene:
        self.loaded.append(token)
        number = int(token[-1])
        time = np.asarray(1_600_000_000_000_000 + 500_000 * number)
        tracks = [track(16.0 + 2.0 * number, 0.0)] if number % 2 else []
        return scene(tracks=tracks, speed=6.0, timestamp_us=time, token=np.asarray(token))


def scorer(source: Source, metrics: tuple[str, ...] = ("pdms", "epdms")) -> PlanScorer:
    proposals = {"careful": PROPOSALS, "steady": PROPOSALS.copy()}
    return PlanScorer(source, metrics, TOKENS, ["log_a"] * 3, PLANS, proposals=proposals)


def scenes(agent: str, its: PlanScorer) -> PlannedScenes:
    proposals = its.proposals.get(agent)
    return PlannedScenes(TOKENS, ["log_a"] * 3, PLANS[agent], PLANS[agent], its.source, agent, its, proposals)


def alone(metric: str) -> FloatArray:
    """The score of each proposal, one at a time."""
    scores = np.full((3, 3), np.nan)
    for row, token in enumerate(TOKENS):
        for column, poses in enumerate(PROPOSALS[row]):
            if np.isfinite(poses).all():
                found = score_trajectories(
                    Source().scoring_scene(token),
                    torch.from_numpy(poses[None]),
                    metric=metric,
                    human_penalty_filter=metric == "epdms",
                )
                scores[row, column] = float(found["score"] if metric == "pdms" else epdms(found))
    return scores


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_each_proposal_scores_as_it_does_alone(metric: str) -> None:
    expected = alone(metric)
    assert len(np.unique(expected[np.isfinite(expected)])) > 3
    found = scorer(Source()).proposal_scores("careful", metric)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_plans_score_the_same_beside_proposals() -> None:
    with_them, without = scorer(Source()), PlanScorer(Source(), ["epdms"], TOKENS, ["log_a"] * 3, PLANS)
    for agent in PLANS:
        for name, values in without.columns(agent, "epdms").items():
            np.testing.assert_array_equal(with_them.columns(agent, "epdms")[name], values)


def test_agents_with_the_same_proposals_share_their_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    score = plan_scores.score_scenes

    def counted(found: list[ScoringScene], plans: torch.Tensor, *rest: object, **settings: object) -> object:
        counts.append(plans.shape[1])
        return score(found, plans, *rest, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(plan_scores, "score_scenes", counted)
    source = Source()
    its = scorer(source, ("pdms",))
    assert its.proposal_scores("careful", "pdms") is not None
    np.testing.assert_array_equal(its.proposal_scores("careful", "pdms"), its.proposal_scores("steady", "pdms"))
    assert counts == [len(PLANS) + 3]
    assert source.loaded == TOKENS


def test_best_of_n_and_what_the_chosen_one_lacks_by_hand() -> None:
    scores = alone("epdms")
    found = compute_columns([BEST_OF_N], scenes("careful", scorer(Source())))
    assert found["best_of_n"][0] == pytest.approx(scores[0].max())
    assert found["choice_gap"][0] == pytest.approx(scores[0].max() - scores[0, 1])
    assert found["choice_gap"][2] == pytest.approx(scores[2].max() - scores[2, 2])
    assert found["choice_gap"][2] > 0.1  # the fast one runs into the car ahead
    assert np.isnan(found["best_of_n"]).tolist() == [False, True, False]  # one proposal of the second is not finite


def test_agents_that_do_not_propose_have_no_best() -> None:
    assert compute_columns([BEST_OF_N], scenes("straight", scorer(Source()))) == {}


def test_without_epdms_it_is_pdms() -> None:
    found = compute_columns([BEST_OF_N], scenes("careful", scorer(Source(), ("pdms",))))
    assert found["best_of_n"][0] == pytest.approx(alone("pdms")[0].max())


def test_without_either_metric_it_is_refused() -> None:
    with pytest.raises(InputError, match="best_of_n asks for the scores of proposals; add epdms or pdms to columns"):
        compute_columns([BEST_OF_N], scenes("careful", scorer(Source(), ())))
    with pytest.raises(InputError, match="epdms of the proposals of straight was not asked for"):
        scorer(Source()).proposal_scores("straight", "epdms")
