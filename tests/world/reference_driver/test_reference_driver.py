"""The reference driver: stops where it must, drives where it may, and knows no future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from navsim_agents.scoring import score_scenes
from navsim_agents.world.reference_driver.corridor import scene_path
from navsim_agents.world.reference_driver.drive import best_proposals, reference_trajectories
from navsim_agents.world.reference_driver.proposals import idm_acceleration, propose
from navsim_agents.world.reference_driver.rule import RULE
from tests.scoring.tiny import light, rectangle, scene, track

LIMIT = 10.0
FRONT = 4.0  # of tiny's vehicle, from its rear axle


def driven_by(made, limit=LIMIT):
    return reference_trajectories([made], [limit])[0].numpy()


def test_free_road_is_driven_at_the_limit_in_the_middle():
    states = driven_by(scene(speed=LIMIT))
    assert states[0].tolist() == [0.0] * 11
    assert states[-1, 0] == pytest.approx(40.0, abs=3.0)
    np.testing.assert_allclose(states[:, 1], 0.0, atol=1e-9)
    assert (states[:, 3:] == 0.0).all()


def test_a_standing_car_is_not_reached():
    states = driven_by(scene(speed=8.0, tracks=[track(26.0, 0.0)]))
    rear = 26.0 - 2.0
    assert states[-1, 0] + FRONT < rear
    assert states[-1, 0] > 8.0


def test_red_stops_and_green_does_not():
    junction = rectangle(24.0, 40.0, -2.0, 2.0)
    red = driven_by(scene(speed=7.0, lights=[light(junction)]))
    assert red[-1, 0] + FRONT < 24.0
    green = driven_by(scene(speed=7.0, lights=[light(junction, slice(10, None))]))  # it cannot know of later red
    assert green[-1, 0] + FRONT > 30.0


def test_a_car_in_the_next_lane_is_passed():
    states = driven_by(scene(speed=9.0, tracks=[track(15.0, 4.0)]))
    assert states[-1, 0] > 30.0


def test_who_drives_ahead_is_followed_at_his_speed():
    states = driven_by(scene(speed=6.0, tracks=[track(20.0, 0.0, speed=6.0)]))
    assert 14.0 < states[-1, 0] < 28.0


def test_the_logged_future_changes_nothing():
    parked = track(20.0, 4.0)
    cutting_in = {**parked, "poses": parked["poses"].copy()}
    cutting_in["poses"][8:, 1] = 0.0
    same, other = (driven_by(scene(speed=8.0, tracks=[item])) for item in (parked, cutting_in))
    np.testing.assert_array_equal(same, other)


def test_scenes_of_one_batch_do_not_mix():
    scenes = [scene(speed=5.0), scene(speed=8.0, tracks=[track(26.0, 0.0), track(50.0, 4.0)])]
    together = reference_trajectories(scenes, [12.0, LIMIT])
    for number, limit in ((0, 12.0), (1, LIMIT)):
        torch.testing.assert_close(together[number], reference_trajectories([scenes[number]], [limit])[0])


def test_idm_by_hand():
    speed = np.array([0.0, 10.0, 5.0])
    accel = idm_acceleration(speed, np.array([10.0] * 3), np.array([1e9, 1e9, 8.5]), np.array([0.0, 0.0, 5.0]), RULE)
    np.testing.assert_allclose(accel[:2], [1.5, 0.0], atol=1e-6)
    assert accel[2] == pytest.approx(1.5 * (1.0 - 0.5**10 - 1.0))  # the wanted gap is 1 + 5 * 1.5 = 8.5 m


def test_proposals_keep_their_offsets_and_fractions():
    proposals = propose([scene(speed=LIMIT)], [LIMIT], RULE)
    assert proposals.shape == (1, 15, 41, 3)
    np.testing.assert_allclose(proposals[0, :, -1, 1], np.repeat(RULE.lateral_offsets_m, 5), atol=1e-9)
    ends = proposals[0, :5, -1, 0]
    assert (np.diff(ends) < 0.0).all()  # slower fractions come later


def test_path_projects_what_it_interpolates(driven):
    path = scene_path(driven.scenes[0], 12.0, RULE)
    stations = np.linspace(1.0, path.stations[-1] - 1.0, 23)
    for offset in (-1.0, 0.0, 1.5):
        along, aside, _ = path.project(path.poses(stations, offset)[..., :2])
        np.testing.assert_allclose(along, stations, atol=0.2)
        np.testing.assert_allclose(aside, offset, atol=0.03)


def test_best_is_the_first_of_the_best():
    made = scene(speed=6.0)
    plans = torch.zeros(1, 3, 8, 3)
    plans[0, :, :, 0] = torch.tensor([2.0, 6.0, 6.0])[:, None] * 0.5 * torch.arange(1, 9)
    assert best_proposals(score_scenes([made], plans)).tolist() == [1]


def test_in_a_town_it_follows_the_centreline(driven):
    for made in driven.scenes:
        states, line = made.pdm_trajectory[:, :2], made.centerline
        distance = torch.cdist(states[15:], line).amin(1)
        assert distance.max() < 1.3


def test_nobody_around_and_nobody_red_is_fine():
    made = scene(speed=0.0)
    empty = replace(made, red_light_active=torch.zeros(0, 51, dtype=torch.bool))
    assert np.isfinite(driven_by(empty)).all()
