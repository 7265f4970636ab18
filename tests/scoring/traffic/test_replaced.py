"""Scores of a plan in the traffic that it met."""

from __future__ import annotations

import numpy as np
import torch

from navsim_agents.scoring import score_trajectories
from navsim_agents.scoring.traffic.reactive import reactive_traffic
from navsim_agents.scoring.traffic.replaced import scene_in_traffic
from tests.scoring.tiny import plan, straight, track
from tests.scoring.traffic.roads import scene_of, vehicle, way

ROAD = way(0.0, 0.0, 200.0, 0.0, points=201)


def test_the_tracks_are_those_of_the_traffic_and_empty_behind():
    walker = track(30, 4, kind="pedestrian", size=(0.5, 0.5))
    made = scene_of(vehicle(ROAD, progress=20.0, speed=5.0), tracks=[walker, track(20, 0, speed=5.0)])
    traffic = reactive_traffic(made, straight())
    found = scene_in_traffic(made, traffic)
    assert found.track_token == ("vehicle_0", f"{0:016x}")
    assert found.track_poses.shape == (2, 51, 3)
    assert found.track_valid.sum(dim=1).tolist() == [41, 41]
    np.testing.assert_array_equal(found.track_poses[:, :41], traffic.poses)
    np.testing.assert_allclose(found.track_poses[1, :41], walker["poses"][:41])
    assert made.track_poses.shape == (2, 51, 3)
    assert made.track_token[1] == f"{1:016x}"


def test_who_is_run_into_in_the_log_has_driven_on_in_traffic():
    """The log's vehicle stands where the plan goes; on its path it drives away, and the other way round."""
    plans = torch.from_numpy(plan(8.0)[None])
    for speed, wanted in ((12.0, 1.0), (0.0, 0.0)):
        me = vehicle(ROAD, progress=24.0, speed=speed, wanted=max(speed, 0.001))
        logged = track(24.0, 0.0, speed=12.0 - speed)
        made = scene_of(me, tracks=[logged], speed=8.0)
        replayed = score_trajectories(made, plans)
        reacting = scene_in_traffic(made, reactive_traffic(made, replayed["simulated_states"][0].numpy()))
        found = score_trajectories(reacting, plans)
        assert float(found["no_at_fault_collisions"][0]) == wanted
        assert float(replayed["no_at_fault_collisions"][0]) == 1.0 - wanted
