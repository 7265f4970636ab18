"""Plans that are driven: what they meet, where they leave the road, and whose route and command they have."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("shapely")

from navsim_agents.world.follow_ups.plans import Plan, PlanLeftOut, plan_poses
from navsim_agents.world.follow_ups.rollout import check_driven, drive_with, driven_states, is_on_route
from navsim_agents.world.scoring_scenes.town_map import TownMap
from tests.world.small_town import ORIGIN, SPEED_MPS, small_drive, small_town

NOW = 30
DRIVE_STEPS = 151
ENDS = (70, 65)


def rolled_out(drive, plan, now=NOW):
    states = driven_states(drive.ego, now, plan_poses(drive.ego, now, plan))
    return states, drive_with(drive, now, states, small_town())


def test_the_tracker_follows_what_the_expert_drove():
    drive = small_drive()
    states, new = rolled_out(drive, Plan("human"))
    np.testing.assert_allclose(states[:, :2], drive.ego.poses[NOW : NOW + 41, :2], atol=0.1)
    np.testing.assert_array_equal(new.ego.poses[:NOW], drive.ego.poses[:NOW])
    np.testing.assert_array_equal(new.ego.poses[NOW : NOW + 41, :2], states[:, :2])
    np.testing.assert_array_equal(new.ego.poses[NOW + 41 :], drive.ego.poses[NOW + 41 :])
    np.testing.assert_allclose(new.ego.velocities[NOW + 40], [SPEED_MPS, 0.0], atol=0.1)
    assert new.tracks is drive.tracks


def test_route_and_command_are_those_of_where_the_ego_is():
    """At 5 m/s from x = 5 m the crossing begins at step 110; a plan from step 70 that brakes stays before it."""
    drive = small_drive()
    assert drive.route_roadblock_ids[115] == ("20", "30")
    _, slow = rolled_out(drive, Plan("slower", share=0.5), now=70)
    assert slow.route_roadblock_ids[110] == ("10", "20", "30")
    _, fast = rolled_out(drive, Plan("faster", share=1.35), now=60)
    assert drive.route_roadblock_ids[100] == ("10", "20", "30")
    assert fast.route_roadblock_ids[100] == ("20", "30")  # 35 + 27 m
    # Commands change where the expert was at step 60, at x = 35 m: half its advance from x = 25 m leads there in 4 s.
    _, slow = rolled_out(drive, Plan("slower", share=0.5), now=40)
    assert [drive.ego.commands[step] for step in (50, 60, 80)] == [1, 2, 2]
    assert [slow.ego.commands[step] for step in (50, 60, 80)] == [1, 1, 2]


def test_whom_a_plan_meets_is_said():
    drive = small_drive()
    ahead = dataclasses.replace(
        drive.tracks[0],
        track_token="00000000000000cc",
        poses=np.tile([ORIGIN[0] + 38.0, ORIGIN[1], 0.0], (DRIVE_STEPS, 1)),
    )
    blocked = dataclasses.replace(drive, tracks=(*drive.tracks, ahead))
    _, new = rolled_out(blocked, Plan("human"))
    with pytest.raises(PlanLeftOut, match="it meets the vehicle 00000000000000cc"):
        check_driven(new, NOW, ENDS, TownMap(small_town()))
    _, stopped = rolled_out(blocked, Plan("braking", braking_mps2=3.0))
    check_driven(stopped, NOW, ENDS, TownMap(small_town()))
    gone = dataclasses.replace(ahead, valid=np.zeros(DRIVE_STEPS, dtype=bool))
    _, new = rolled_out(dataclasses.replace(drive, tracks=(gone,)), Plan("human"))
    check_driven(new, NOW, ENDS, TownMap(small_town()))


def test_where_a_plan_leaves_the_road_is_said():
    """The road ends 1.75 m to the right of the expert; half a car is 1.15 m wide."""
    town_map = TownMap(small_town())
    _, new = rolled_out(small_drive(), Plan("right", aside_m=-3.0))
    with pytest.raises(PlanLeftOut, match=r"it leaves the road [12]\.\d s after now, in the end by 2\.\d\d m"):
        check_driven(new, NOW, ENDS, town_map)
    _, near = rolled_out(small_drive(), Plan("right", aside_m=-0.3))
    check_driven(near, NOW, ENDS, town_map)


def test_beside_the_route_is_where_navsim_would_take_another():
    """One roadblock of two lanes, at y = 0 and 3.5 m: a lane is near within 3 m, a roadblock within 1 m."""
    town_map = TownMap(small_town())
    for x, y, heading, is_on in (
        (20.0, 0.0, 0.0, True),
        (20.0, 6.0, 0.0, True),  # 2.5 m from the left lane, 0.75 m from its roadblock
        (20.0, 6.4, 0.0, False),  # 1.15 m from the roadblock
        (20.0, 0.0, 0.7, True),
        (20.0, 0.0, -0.8, False),
        (20.0, 1.0, np.pi, False),
        (100.0, 0.0, 0.0, False),  # in roadblock 30
    ):
        pose = np.array([ORIGIN[0] + x, ORIGIN[1] + y, heading])
        assert is_on_route(town_map, ("10", "20"), pose) is is_on, (x, y, heading)
    drive = small_drive()
    _, new = rolled_out(drive, Plan("human"))
    lost = dataclasses.replace(new, route_roadblock_ids=(("30",),) * DRIVE_STEPS)
    with pytest.raises(PlanLeftOut, match=r"4\.0 s after now it is beside its route, or turned away from it"):
        check_driven(lost, NOW, ENDS, town_map)
