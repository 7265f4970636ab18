from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from navsim_agents.scoring.config import TrackerConfig
from navsim_agents.scoring.simulation.reference import (
    exact_times_us,
    fit_curvatures,
    fit_velocities,
    knot_times_us,
    reference_poses,
    sample_times_us,
)
from navsim_agents.scoring.simulation.tracker import simulate
from tests.scoring import slow_simulation as slow
from tests.scoring.tiny import plan, scene

CONFIG = TrackerConfig()


def some_plans():
    """[5, 8, 3]: straight, turning, slow with a stop, backwards, and standing."""
    t = np.arange(1, 9) * 0.5
    turning = np.stack((6 * np.sin(0.3 * t) / 0.3, 6 * (1 - np.cos(0.3 * t)) / 0.3, 0.3 * t), axis=1)
    stopping = np.stack((np.minimum(t, 1.5) * 1.2, 0 * t, 0 * t), axis=1)
    return np.stack((plan(9.0), turning, stopping, plan(-2.0), plan(0.0)))


def references(plans, made):
    count = plans.shape[1]
    return reference_poses(
        torch.from_numpy(plans)[None],
        made.ego_state[None, :3],
        made.ego_pose[None],
        exact_times_us(count + 1, 4.0 / count)[None],
        exact_times_us(41, 0.1)[None],
    )


def test_profiles_agree_with_least_squares():
    made = scene()
    for reference in references(some_plans(), made)[0]:
        steps = torch.diff(reference, dim=0)
        cos, sin = torch.cos(reference[:-1, 2]), torch.sin(reference[:-1, 2])
        velocities = fit_velocities(steps[:, 0] * cos + steps[:, 1] * sin, 0.1, CONFIG)
        wanted = slow.velocity_profile(reference.numpy())
        np.testing.assert_allclose(velocities, wanted, atol=1e-9)
        turns = torch.from_numpy(slow.wrap(steps[:, 2].numpy()))
        curvatures = fit_curvatures(turns, velocities, 0.1, CONFIG)
        np.testing.assert_allclose(curvatures, slow.curvature_profile(reference.numpy(), wanted), atol=1e-9)


def test_the_jerk_penalty_is_the_devkits_mistaken_one():
    # The penalty pulls accelerations to zero instead of their changes, so 2 m/s^2 comes out as less.
    positions = 0.5 * 2.0 * (0.1 * np.arange(41)) ** 2
    velocities = fit_velocities(torch.from_numpy(np.diff(positions)), 0.1, CONFIG)
    right = 0.1 + 2.0 * 0.1 * np.arange(40)
    assert (velocities.numpy() - right)[0] > 0.01


@pytest.mark.parametrize("speed", [0.0, 0.1, 5.0, 14.0])
def test_simulation_agrees_with_the_slow_loop(speed):
    made = scene(speed=speed)
    made.ego_state[[5, 7, 9]] = torch.tensor([0.7, 0.1, 0.05], dtype=torch.float64)
    plans = some_plans()
    found = simulate(references(plans, made), made.ego_state[None], made.vehicle[None], CONFIG)[0]
    for states, poses in zip(found.numpy(), plans):
        wanted = slow.simulate(made, slow.interpolate(made, poses, 0.5))
        np.testing.assert_allclose(states, wanted, atol=2e-7)


def test_a_perfect_plan_is_followed_perfectly():
    made = scene(speed=10.0)
    states = simulate(references(plan(10.0)[None], made), made.ego_state[None], made.vehicle[None], CONFIG)[0, 0]
    np.testing.assert_allclose(states[:, 0], np.arange(41.0), atol=1e-6)
    np.testing.assert_allclose(states[:, [1, 2, 5, 7]], 0.0, atol=1e-6)


def test_steering_stops_at_sixty_degrees():
    made = scene(speed=2.0)
    spin = plan(2.0)
    spin[:, 2] = np.linspace(0, 12, 9)[1:]
    states = simulate(references(spin[None], made), made.ego_state[None], made.vehicle[None], CONFIG)[0, 0]
    assert states[:, 7].abs().max().item() == pytest.approx(math.pi / 3, abs=1e-15)
    assert (states[:, 2] >= -math.pi).all()
    assert (states[:, 2] < math.pi).all()


def test_interpolation_takes_the_short_way_round():
    poses = plan(4.0)
    poses[:, 2] = [0.0, 1.5, 3.0, -2.8, -1.5, 0.0, 0.0, 0.0]
    heading = references(poses[None], scene())[0, 0, :, 2].numpy()
    np.testing.assert_allclose(heading[15], 3.0, atol=1e-12)
    half = 3.0 + 0.5 * (2 * math.pi - 5.8)
    assert math.remainder(heading[17] - (3.0 + 0.4 * (2 * math.pi - 5.8)), 2 * math.pi) == pytest.approx(0, abs=1e-12)
    assert half > math.pi  # the way crosses the wrap
    assert np.abs(np.diff(heading)).max() < 0.31


def test_samples_outside_the_knots_are_held():
    made = scene()
    late = reference_poses(
        torch.from_numpy(plan(4.0))[None, None],
        made.ego_state[None, :3],
        made.ego_pose[None],
        exact_times_us(9, 0.5)[None],
        exact_times_us(41, 0.1)[None] + 300_000,
    )
    np.testing.assert_allclose(late[0, 0, -4:, 0], 16.0, atol=1e-9)


def test_forty_and_eight_poses_of_one_motion_simulate_alike():
    made = scene(speed=6.0)
    dense = np.stack((0.6 * np.arange(1, 41), np.zeros(40), np.zeros(40)), axis=1)
    rows = [references(poses[None], made) for poses in (dense, dense[4::5])]
    one, other = (simulate(row, made.ego_state[None], made.vehicle[None], CONFIG) for row in rows)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_times_are_truncated_as_the_devkit_does():
    # Of the recorded scene with this timestamp the knots are a microsecond early and the sample at 3.9 s is not.
    knots = knot_times_us(8, 0.5, 1635986197584454).tolist()
    assert knots == [0, *(500_000 * k - 1 for k in range(1, 9))]
    samples = sample_times_us(1635986197584454).tolist()
    assert len(samples) == 41
    assert samples[38:] == [3_799_999, 3_900_000, 3_999_999]
    assert exact_times_us(3, 0.1).tolist() == [0, 100_000, 200_000]
