"""The human's trajectory as a target."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from navsim_agents.drive_jepa.targets import HumanTrajectoryBuilder
from navsim_agents.errors import InputError
from tests.drive_jepa.scenes import make_scene


def test_driven_poses_are_taken_as_they_are() -> None:
    trajectory = HumanTrajectoryBuilder(8).compute_targets(make_scene())["trajectory"]
    assert trajectory.shape == (8, 3)
    assert trajectory.dtype == torch.float32
    torch.testing.assert_close(trajectory[2], torch.tensor([6.0, 0.9, 0.3]))


def test_the_name_in_the_cache_says_the_horizon() -> None:
    assert [HumanTrajectoryBuilder(n).get_unique_name() for n in (8, 5)] == [
        "drive_jepa_human_trajectory_4s",
        "drive_jepa_human_trajectory_2.5s",
    ]


def test_a_scene_that_ends_too_early_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"scene token-5 of log log-7 has 6 future frames, but num_poses=8"):
        HumanTrajectoryBuilder(8).compute_targets(make_scene(num_future_frames=6))


def test_a_pose_that_is_not_finite_is_refused_by_name() -> None:
    poses = np.zeros((10, 3))
    poses[3, 1] = np.nan
    with pytest.raises(InputError, match=r"scene token-5 of log log-7 has the future poses .* finite"):
        HumanTrajectoryBuilder(8).compute_targets(make_scene(poses))
    assert HumanTrajectoryBuilder(3).compute_targets(make_scene(poses))["trajectory"].shape == (3, 3)
