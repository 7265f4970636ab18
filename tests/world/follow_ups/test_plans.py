"""Plans along a straight drive and one that stands, by hand."""

import numpy as np
import pytest

from navsim_agents.world.follow_ups.plans import Plan, PlanLeftOut, draw_plans, plan_poses
from navsim_agents.world.types import EgoStates

DRIVE_STEPS = 101
SPEED_MPS = 6.0


def straight(speed_mps):
    """Ten seconds to the north."""
    times = 0.1 * np.arange(DRIVE_STEPS)
    poses = np.column_stack((np.full(DRIVE_STEPS, 7.0), speed_mps * times, np.full(DRIVE_STEPS, np.pi / 2)))
    still = np.zeros((DRIVE_STEPS, 2))
    velocities = np.tile([speed_mps, 0.0], (DRIVE_STEPS, 1))
    return EgoStates(poses, velocities, still, np.zeros(DRIVE_STEPS), np.ones(DRIVE_STEPS, dtype=np.int64))


def test_shares_of_the_experts_advance():
    for share in (0.5, 1.0, 1.25):
        poses = plan_poses(straight(SPEED_MPS), 10, Plan("any", share=share))
        expected = SPEED_MPS * (1.0 + share * 0.5 * np.arange(1, 9))
        np.testing.assert_allclose(poses[:, 1], expected, atol=1e-9)
        np.testing.assert_allclose(poses[:, [0, 2]], [[7.0, np.pi / 2]] * 8, atol=1e-9)


def test_braking_stops_after_its_way():
    poses = plan_poses(straight(SPEED_MPS), 0, Plan("braking", braking_mps2=3.0))
    advance = [6.0 * t - 1.5 * t**2 for t in (0.5, 1.0, 1.5, 2.0)] + [6.0] * 4
    np.testing.assert_allclose(poses[:, 1], advance, atol=1e-9)


def test_aside_is_to_the_left_and_ends_straight():
    poses = plan_poses(straight(SPEED_MPS), 0, Plan("left", aside_m=3.0))
    np.testing.assert_allclose(7.0 - poses[[3, 7], 0], [1.5, 3.0], atol=1e-9)  # the middle of the way, and its end
    # Fastest in the middle: 1.5 times the mean of 3 m in 4 s, beside 6 m/s.
    assert poses[3, 2] == pytest.approx(np.pi / 2 + np.arctan(1.5 * 0.75 / 6.0))
    assert poses[7, 2] == pytest.approx(np.pi / 2)
    mirrored = plan_poses(straight(SPEED_MPS), 0, Plan("right", aside_m=-3.0))
    np.testing.assert_allclose(mirrored[:, 0] - 7.0, 7.0 - poses[:, 0], atol=1e-9)


def test_what_the_path_does_not_allow_is_said():
    with pytest.raises(PlanLeftOut, match=r"it needs 36\.0 m of the expert's path, which has 30\.0 m to its end"):
        plan_poses(straight(SPEED_MPS), 50, Plan("faster", share=1.5))
    with pytest.raises(PlanLeftOut, match=r"it advances 8\.0 m, too little to move 3\.5 m aside"):
        plan_poses(straight(2.0), 0, Plan("right", aside_m=-3.5))
    np.testing.assert_allclose(plan_poses(straight(0.0), 0, Plan("human")), [[7.0, 0.0, np.pi / 2]] * 8)


def test_seeds_draw_within_the_same_ranges():
    first, again, other = (draw_plans(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert [plan.name for plan in first] == ["human", "slower", "faster", "left", "right", "braking"]
    assert first[0] == Plan("human")
