"""The linear fit: against normal equations and a plain loop, and what it finds in data that are linear."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from navsim_agents.drive_jepa.features import FRONT_VIDEO, STATUS
from navsim_agents.drive_jepa.perception_free_agent import PerceptionFreeAgent
from navsim_agents.errors import InputError
from tests.training.fakes import LOGS, FakeSource, TinyAgent
from training.cache import Builders, build_cache
from training.dataset import CachedScenes
from training.linear_fit import STRENGTHS, Encoded, choose_strength, encode, fit_and_test, predictions

TIMES = 4


def scenes(count: int, noise: float, seed: int = 0, drives: int = 6) -> Encoded:
    """Poses that are linear in two of five features, of different sizes; the fifth never changes."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 5)) * [1.0, 200.0, 3.0, 1.0, 0.0] + 7.0
    weights = np.random.default_rng(9).normal(size=(2, TIMES * 3)) * [[1.0], [0.005]]
    poses = (features[:, :2] @ weights + noise * rng.normal(size=(count, TIMES * 3))).reshape(count, TIMES, 3)
    return Encoded(features, poses, [f"drive_{index % drives}" for index in range(count)])


def test_it_solves_the_normal_equations() -> None:
    train, others = scenes(12, 1.0), scenes(3, 1.0, seed=1)
    features, scale = train.features[:, :4], train.features[:, :4].std(0)  # the one that never changes drops out
    inputs, targets = (features - features.mean(0)) / scale, train.poses.reshape(12, -1)
    for strength, found in zip((0.01, 3.0), predictions(train, others.features, (0.01, 3.0))):
        gram = inputs.T @ inputs + strength * 12 * np.eye(4)
        weights = np.linalg.solve(gram, inputs.T @ (targets - targets.mean(0)))
        wanted = (others.features[:, :4] - features.mean(0)) / scale @ weights + targets.mean(0)
        np.testing.assert_allclose(found, wanted.reshape(3, TIMES, 3), atol=1e-9)


def test_free_features_are_not_penalised() -> None:
    """Against normal equations of all weights at once, of which the penalty knows some alone."""
    train, others = (replace(scenes(count, 1.0, seed), num_free=2) for count, seed in ((12, 0), (3, 1)))
    scale = np.array([1.0, 1.0, *train.features[:, 2:4].std(0)])
    inputs, of_others = (
        np.column_stack((np.ones(len(its.features)), its.features[:, :4] / scale)) for its in (train, others)
    )
    targets = train.poses.reshape(12, -1)
    (found,) = predictions(train, others.features, [0.7])
    weights = np.linalg.solve(inputs.T @ inputs + 0.7 * 12 * np.diag([0, 0, 0, 1, 1]), inputs.T @ targets)
    np.testing.assert_allclose(found, (of_others @ weights).reshape(3, TIMES, 3), atol=1e-8)
    (strong,) = predictions(train, others.features, [1e12])
    (alone,) = predictions(train.free_alone(), others.free_alone().features, [1.0])
    np.testing.assert_allclose(strong, alone, atol=1e-8)


def test_more_features_than_scenes_are_no_trouble() -> None:
    rng = np.random.default_rng(3)
    wide = Encoded(rng.normal(size=(7, 30)), rng.normal(size=(7, TIMES, 3)), ["a"] * 7)
    (found,) = predictions(wide, wide.features, [1e-9])
    np.testing.assert_allclose(found, wide.poses, atol=1e-5)
    (mean,) = predictions(wide, wide.features, [1e9])
    np.testing.assert_allclose(mean, np.broadcast_to(wide.poses.mean(0), wide.poses.shape), atol=1e-5)


def test_it_plans_what_is_linear() -> None:
    metrics, strength = fit_and_test(scenes(60, 0.0), scenes(8, 0.0, seed=1))
    assert strength == min(STRENGTHS)
    assert metrics["ade_m"] < 1e-3
    assert metrics["num_planned"] == 8
    less = [replace(its, num_free=1).free_alone() for its in (scenes(60, 0.0), scenes(8, 0.0, seed=1))]
    worse, _ = fit_and_test(*less)
    assert worse["ade_m"] > 0.1


def test_metrics_are_means_over_scenes_and_poses() -> None:
    """All scenes plan the mean pose, 0: errors are those of the test's poses themselves."""
    train = Encoded(np.ones((4, 1)), np.array([1.0, -1.0, 2.0, -2.0])[:, None, None] * np.ones((1, 2, 3)), list("abab"))
    poses = np.array([[[3.0, 4.0, 0.5], [6.0, 8.0, -0.1]], [[0.0, 1.0, 0.0], [0.0, 2.0, 0.2]]])
    metrics, _ = fit_and_test(train, Encoded(np.ones((2, 1)), poses, list("cc")))
    assert metrics["ade_m"] == pytest.approx((5 + 10 + 1 + 2) / 4)
    assert metrics["fde_m"] == pytest.approx((10 + 2) / 2)
    assert metrics["heading_error_rad"] == pytest.approx((0.5 + 0.1 + 0.0 + 0.2) / 4)


def test_the_strength_is_chosen_on_whole_drives() -> None:
    """A plain loop over folds; and features that tell the drive alone, which only such folds see through."""
    data = scenes(40, 3.0, drives=7)
    names = sorted(set(data.drives))
    errors = []
    for strength in STRENGTHS:
        total = 0.0
        for fold in range(5):
            out = np.array([names.index(drive) % 5 == fold for drive in data.drives])
            kept = Encoded(data.features[~out], data.poses[~out], ())
            (planned,) = predictions(kept, data.features[out], [strength])
            total += np.hypot(*np.moveaxis((planned - data.poses[out])[..., :2], -1, 0)).mean(-1).sum()
        errors.append(total)
    assert choose_strength(data) == STRENGTHS[int(np.argmin(errors))]

    rng, drive = np.random.default_rng(4), np.arange(60) % 12
    of_drive = Encoded(
        rng.normal(size=(12, 30))[drive], rng.normal(size=(12, TIMES, 3))[drive], drive.astype(str).tolist()
    )
    assert choose_strength(of_drive) > 1.0
    assert choose_strength(replace(of_drive, drives=[str(index) for index in range(60)])) < 0.01


class Telling(TinyAgent):
    def frozen_features(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        return features["status"]


def test_scenes_keep_their_drives_and_poses(tmp_path: Path) -> None:
    agent, source = Telling(), FakeSource()
    build_cache(tmp_path, source, Builders.of(agent), LOGS[:2], workers=0)
    cached = CachedScenes(tmp_path, LOGS[:2])
    wanted = [cached.tokens[index] for index in (1, 7, 8)]
    found = encode(agent, cached, wanted)
    assert found.drives == ["log_a", "log_b", "log_b"]
    assert found.num_free == 4  # the command
    scene = source.open("log_b").get_scene(wanted[1])
    assert found.features[1, 0] == pytest.approx(scene.speed)
    np.testing.assert_allclose(found.poses[1], scene.get_future_trajectory(8).poses, rtol=1e-6)


def test_the_planner_tells_command_and_tokens_and_nothing_of_motion() -> None:
    settings = {"pictures": {"width": 96, "height": 64}, "encoder": {"name": "tiny"}, "planner": {"model_dim": 16}}
    agent = PerceptionFreeAgent(settings).eval()
    pictures = torch.randint(0, 256, (3, 2, 3, 64, 96), dtype=torch.uint8)
    status = torch.cat((torch.eye(4)[:3], torch.randn(3, 4)), dim=1)
    with torch.no_grad():
        found = agent.frozen_features({FRONT_VIDEO: pictures, STATUS: status})
        faster = agent.frozen_features({FRONT_VIDEO: pictures, STATUS: status + 5 * (torch.arange(8) >= 4)})
        tokens = agent.planner.image_tokens(pictures)
    assert tokens.shape == (3, 2 * 3, 40)
    torch.testing.assert_close(found, torch.cat((status[:, :4], tokens.flatten(1)), dim=1))
    torch.testing.assert_close(found, faster)


def test_scenes_of_one_drive_are_refused() -> None:
    """There is nothing to leave out, so nothing to choose the penalty by."""
    with pytest.raises(InputError, match="all 12 scenes are of the drive drive_0"):
        fit_and_test(scenes(12, 1.0, drives=1), scenes(3, 1.0))
