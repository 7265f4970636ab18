"""The traffic of many plans at once is that of each plan alone."""

from __future__ import annotations

import numpy as np

from navsim_agents.scoring.traffic.of_plans import traffic_one_by_one
from navsim_agents.scoring.traffic.reactive import reactive_traffic
from tests.scoring.tiny import straight
from tests.scoring.traffic.roads import FAR, scene_of, standing, vehicle, way

ROAD = way(0.0, 0.0, 200.0, 0.0, points=201)
BESIDE = way(0.0, 30.0, 200.0, 30.0, points=201)


def test_each_plan_meets_what_it_meets_alone():
    made = scene_of(vehicle(ROAD, progress=20.0, speed=5.0), vehicle(BESIDE, speed=5.0), standing(60.0, -9.0))
    states = np.stack((straight(y=FAR / 12.5, speed=0.0), straight(x=40.0, speed=0.0), straight(y=30.0, speed=0.0)))
    traffic = traffic_one_by_one(made, states)
    for plan, alone in enumerate(reactive_traffic(made, one) for one in states):
        found = traffic.of_plan(plan)
        np.testing.assert_array_equal(found.poses, alone.poses)
        np.testing.assert_array_equal(found.valid, alone.valid)
    assert traffic.own_plan.tolist() == [1, 2]  # one is in the first vehicle's way, one in the second's
    assert traffic.own_track.tolist() == [0, 1]
    assert traffic.until.tolist() == [[41, 41, 41], [0, 41, 41], [41, 0, 41]]
