"""Labels of proposals against the scorer one scene at a time, and an obvious loop for the key agents."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from navsim_agents.drive_jepa.training_step import ProposalLabels, label_proposals
from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring import ScoringScene, score_scenes
from navsim_agents.scoring.packed import pack_scene
from tests.scoring.tiny import plan, scene, track

NUM_BYTES = 128_000
SCENES = {
    "empty": {},
    "parked ahead": {"tracks": (track(24.0, 0.0, heading=0.4), track(40.0, 30.0))},
    "crossing": {"tracks": (track(60.0, 5.0), track(33.0, -12.0, heading=math.pi / 2, speed=4.0, size=(3.0, 1.5)))},
}
PLANS = np.stack([plan(10.0), plan(2.0), plan(9.0, y=5.0), plan(6.0, y=-3.0)])


def made() -> list[ScoringScene]:
    return [scene(**options) for options in SCENES.values()]


def label(metric: str = "epdms") -> ProposalLabels:
    proposals = torch.from_numpy(PLANS).float().expand(len(SCENES), -1, -1, -1)
    packed = torch.stack([pack_scene(one, NUM_BYTES) for one in made()])
    return label_proposals(packed, proposals, metric, 0.5)


@pytest.mark.parametrize("metric", ["pdms", "epdms"])
def test_scores_and_areas_are_the_scorers(metric: str) -> None:
    found = label(metric)
    proposals = torch.from_numpy(PLANS).float().double()
    for row, one in enumerate(made()):
        wanted = score_scenes([one], proposals[None], metric=metric)
        score = wanted.columns.pop("score" if metric == "pdms" else "pdm_score")
        torch.testing.assert_close(found.score[row].double(), score[0], rtol=0, atol=1e-7)
        assert found.sub_scores.keys() == wanted.columns.keys()
        for name, values in wanted.columns.items():
            torch.testing.assert_close(found.sub_scores[name][row], values[0], rtol=0, atol=1e-12)
        assert torch.equal(found.areas[row], wanted.ego_areas[0, :, 1:, 1:])
    assert found.areas.shape == (3, 4, 40, 2)
    assert found.areas.any(2).any(1).any(0).all()
    assert not found.areas.all()
    assert found.score.unique().numel() >= 3


def box(x: float, y: float, heading: float, length: float, width: float) -> list[list[float]]:
    """Front left, rear left, rear right, front right."""
    corners = []
    for ahead, left in ((0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)):
        along, across = ahead * length, left * width
        corners.append(
            [
                x + along * math.cos(heading) - across * math.sin(heading),
                y + along * math.sin(heading) + across * math.cos(heading),
            ]
        )
    return corners


def test_key_agents_equal_an_obvious_loop() -> None:
    found, seen = label(), 0
    for row, one in enumerate(made()):
        scores = score_scenes([one], torch.from_numpy(PLANS).float().double()[None])
        pairs = ((scores.collision_track, scores.collision_step), (scores.ttc_track, scores.ttc_step))
        for number in range(len(PLANS)):
            for agent, (track_of, last_of) in enumerate(pairs):
                chosen, last = int(track_of[0, number]), float(last_of[0, number])
                for step in range(1, 41):
                    is_valid = chosen >= 0 and step <= last and bool(one.track_valid[chosen, step])
                    assert found.is_valid[row, number, agent, step - 1].item() == is_valid
                    corners = found.corners[row, number, agent, step - 1].numpy()
                    wanted = np.zeros((4, 2))
                    if is_valid:
                        wanted = np.array(
                            box(*one.track_poses[chosen, step].tolist(), *one.track_size[chosen].tolist())
                        )
                        seen += 1
                    np.testing.assert_allclose(corners, wanted, atol=1e-5)
    assert 0 < seen < found.is_valid.numel()


def test_a_parked_car_is_hit_when_the_front_reaches_it() -> None:
    """Rear of the car at 19.9 m, front of the ego 4 m ahead of its rear axle: 15.9 m at 10 m/s, the 16th step."""
    one = scene(tracks=(track(21.9, 0.0),))
    proposals = torch.from_numpy(PLANS[:1]).float()[None]
    found = label_proposals(pack_scene(one, NUM_BYTES)[None], proposals, "epdms", 0.5)
    assert found.is_valid[0, 0, 0].sum() == 16
    assert found.is_valid[0, 0, 1].sum() < 16
    assert found.score.item() == 0.0
    np.testing.assert_allclose(found.corners[0, 0, 0, 3], box(21.9, 0.0, 0.0, 4.0, 2.0), rtol=1e-6)


def test_labels_carry_no_gradient_and_leave_proposals_alone() -> None:
    proposals = torch.from_numpy(PLANS).float()[None].requires_grad_()
    found = label_proposals(pack_scene(made()[1], NUM_BYTES)[None], proposals, "epdms", 0.5)
    assert not any(value.requires_grad for value in (found.score, found.corners))


def test_a_training_that_has_diverged_is_told() -> None:
    proposals = torch.full((1, 2, 8, 3), math.nan)
    with pytest.raises(TrajectoryError, match="trajectories that are not finite"):
        label_proposals(pack_scene(made()[0], NUM_BYTES)[None], proposals, "epdms", 0.5)
