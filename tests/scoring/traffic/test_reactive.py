"""What reactive traffic does around an ego, one small road for each rule; figures worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from navsim_agents.errors import SceneError, TrajectoryError
from navsim_agents.scoring.traffic.checks import TENSORS
from navsim_agents.scoring.traffic.reactive import reactive_traffic
from navsim_agents.scoring.traffic.roles import Role
from tests.scoring.tiny import scene, straight, track
from tests.scoring.traffic.roads import drive, scene_of, standing, vehicle, way

ROAD = way(0.0, 0.0, 400.0, 0.0, points=401)


def wall(x):
    """Who stands at the end of its path: it wants 1 m, has less, and so has 1 m."""
    return vehicle(way(0.0, 0.0, x, 0.0), progress=x)


def later(speed, gap, lead_speed=0.0):
    """Speed after a step, of one who wants 10 m/s."""
    wanted = 1.0 + 1.5 * speed + speed * (speed - lead_speed) / 8.0**0.5
    return speed + 0.1 * min(max(-2.0, 1.0 - (speed / 10.0) ** 4 - (wanted / max(gap, 1.0)) ** 2), 1.0)


def driven(traffic, row=0):
    """Way [40] driven in each step [m]."""
    return np.hypot(*np.diff(traffic.poses[row, :, :2], axis=0).T)


def test_a_free_vehicle_drives_at_its_old_speed_and_speeds_up():
    traffic = drive(vehicle(ROAD, progress=20.0, speed=5.0))
    assert driven(traffic)[1] == pytest.approx(0.1 * later(5.0, 400.0 - 20.0 - 2.0), rel=1e-9)  # half its length less
    assert traffic.valid.all()
    assert traffic.token == ("vehicle_0",)


def test_the_wish_is_the_vehicle_s_own():
    fast, slow = (drive(vehicle(ROAD, progress=20.0, speed=5.0, wanted=wanted)) for wanted in (20.0, 5.0))
    assert driven(fast)[-1] > 0.85
    assert 0.49 < driven(slow)[-1] <= 0.5


def test_the_first_frame_is_the_log_and_vehicles_are_on_their_path_from_then_on():
    logged = (20.0, 0.9, 0.2)
    traffic = drive(vehicle(ROAD, progress=20.0, pose=logged, snapped=(20.0, 0.0, 0.0)))
    assert traffic.poses[0, 0] == pytest.approx(logged)
    assert traffic.poses[0, 1] == pytest.approx([20.0, 0.0, 0.0])
    assert traffic.heading[0] == pytest.approx(0.2)


def test_vehicles_beyond_their_path_stay_at_its_end_though_their_progress_goes_on():
    traffic = drive(vehicle(way(0, 0, 30, 0), progress=29.9, speed=8.0))
    assert traffic.poses[0, 1:, 0] == pytest.approx(30.0)
    slower = drive(vehicle(way(0, 0, 30, 0), progress=10.0, speed=3.0))
    assert (np.diff(slower.poses[0, :, 0]) >= 0).all()
    assert slower.poses[0, -1, 0] < 28.5  # it brakes for the wall at the end of its path


def test_one_brakes_for_the_one_ahead_and_not_for_the_one_behind():
    alone = drive(vehicle(ROAD, progress=20.0, speed=6.0))
    queue = drive(vehicle(ROAD, progress=20.0, speed=6.0), wall(40.0))
    behind = drive(vehicle(ROAD, progress=20.0, speed=6.0), wall(8.0))
    assert driven(queue)[-1] < 0.2 < 0.7 < driven(alone)[-1]
    assert queue.poses[1, 1:] == pytest.approx(np.tile([40.0, 0.0, 0.0], (40, 1)))
    assert behind.poses[0] == pytest.approx(alone.poses[0])


def test_the_second_step_measures_from_the_ground_that_was_claimed_in_the_first():
    """16 m between the boxes at first; then the way of a step less, and what the headway claims."""
    traffic = drive(vehicle(ROAD, progress=20.0, speed=4.0), wall(40.0))
    first = later(4.0, 16.0)
    second = later(first, 16.0 - 0.4 - 1.5 * first)
    assert driven(traffic)[1:3] == pytest.approx([0.1 * first, 0.1 * second], rel=1e-9)


def test_each_sees_those_before_it_where_they_are_by_now():
    """The follower, moved second, sees the leader's new place and speed; moved first, the old ones."""
    rear, front = vehicle(ROAD, progress=20.0, speed=4.0), vehicle(ROAD, progress=40.0, speed=4.0)
    of_front = later(4.0, 400.0 - 40.0 - 2.0)
    assert driven(drive(rear, front), row=0)[1] == pytest.approx(0.1 * later(4.0, 16.0, 4.0), rel=1e-9)
    assert driven(drive(front, rear), row=1)[1] == pytest.approx(0.1 * later(4.0, 16.4, of_front), rel=1e-9)


def test_who_comes_the_other_way_has_a_negative_speed():
    back = vehicle(way(400.0, 0.0, 0.0, 0.0, points=401), progress=340.0, speed=8.0)
    traffic = drive(vehicle(ROAD, progress=20.0, speed=4.0), back)
    assert driven(traffic)[1] == pytest.approx(0.1 * later(4.0, 36.0, -8.0), rel=1e-9)


def ego_at(x, y=0.0, speed=0.0, late=0):
    """States [41, 11] of an ego that comes to x, y at step ``late``, before that far aside."""
    states = straight(x=x, y=y, speed=speed)
    states[:late, 1] = y + 60.0
    return states


def test_the_ego_is_seen_one_step_late():
    me = vehicle(ROAD, progress=20.0, speed=8.0)
    alone = driven(drive(me, ego=ego_at(31.0, late=41)))
    found = driven(drive(me, ego=ego_at(31.0, late=3)))
    assert found[:4] == pytest.approx(
        alone[:4]
    )  # way is driven at the old speed: what is seen in step 4 shows in step 5
    assert found[4] == pytest.approx(0.1 * (alone[3] * 10.0 - 0.2))


def test_the_ego_s_rear_axle_is_taken_for_its_centre():
    """The box of the scoring rules begins 1 m behind the rear axle, this one 2.5 m."""
    traffic = drive(vehicle(ROAD, progress=20.0, speed=1.0), ego=ego_at(31.0))
    assert driven(traffic)[1] == pytest.approx(0.1 * later(1.0, 31.0 - 2.5 - 22.0), rel=1e-9)


def test_the_ego_s_speed_is_the_length_of_its_velocity():
    states = ego_at(40.0)
    states[:, 3:5] = -3.0, 4.0
    traffic = drive(vehicle(ROAD, progress=20.0, speed=4.0), ego=states)
    assert driven(traffic)[1] == pytest.approx(0.1 * later(4.0, 15.5, 5.0), rel=1e-9)


def test_who_is_beyond_100_m_is_dropped_for_good():
    near, far = vehicle(ROAD, progress=90.0), vehicle(ROAD, progress=101.0)
    states = straight(speed=0.0)
    traffic = drive(near, far, ego=states)
    assert traffic.valid[0].all()
    assert np.flatnonzero(traffic.valid[1]).tolist() == [0]
    away = straight(speed=0.0)
    away[5:7, 0] = -50.0
    traffic = drive(near, ego=away)
    assert np.flatnonzero(traffic.valid[0]).tolist() == [0, 1, 2, 3, 4, 5]  # state 5 is seen in step 6


def test_the_one_that_was_dropped_hinders_nobody():
    states = straight(x=-45.0, speed=0.0)
    queue = (vehicle(ROAD, progress=50.0, speed=8.0), wall(58.0))
    assert driven(drive(*queue, ego=states))[:5] == pytest.approx(driven(drive(queue[0], ego=states))[:5])
    assert driven(drive(*queue, ego=states + 10.0 * np.eye(11)[0]))[4] < driven(drive(queue[0], ego=states))[4] - 0.05


def test_those_without_a_role_are_seen_at_t0_alone():
    traffic = drive(standing(10.0, 20.0, role=Role.ABSENT))
    assert np.flatnonzero(traffic.valid[0]).tolist() == [0]
    assert traffic.poses[0, 0] == pytest.approx([10.0, 20.0, 0.0])


def test_parked_ones_stand_where_nobody_is():
    """They come and go as active ones pass, which do not brake for them."""
    passing = vehicle(ROAD, progress=20.0, speed=10.0)
    traffic = drive(passing, standing(40.0, 1.5), standing(40.0, 6.0))
    gaps = np.flatnonzero(~traffic.valid[1])
    touched = np.flatnonzero(abs(traffic.poses[0, :, 0] - 40.0) <= 4.0)
    assert gaps.tolist() == touched.tolist()
    assert 0 < gaps[0] < gaps[-1] < 40
    assert traffic.valid[2].all()
    assert traffic.poses[0] == pytest.approx(drive(passing).poses[0])
    assert traffic.poses[2] == pytest.approx(np.tile([40.0, 6.0, 0.0], (41, 1)))


def test_of_two_parked_ones_that_touch_the_first_stays():
    traffic = drive(standing(40.0, 9.0), standing(42.0, 9.0), standing(45.0, 9.0))
    assert [row.tolist().count(True) for row in traffic.valid] == [41, 1, 41]


@pytest.mark.parametrize(("turn", "lead_speed"), [(0.0, 6.0), (np.pi, 3.0), (0.1, 6.0), (-3.0, 3.0)])
def test_ties_go_to_the_lower_one_on_the_map(turn, lead_speed):
    """Both touch the follower, so both are 0 m away; the turn of the map decides whose speed counts."""
    left = vehicle(way(0.0, 1.5, 400.0, 1.5), progress=20.0, speed=3.0)
    right = vehicle(way(0.0, -1.5, 400.0, -1.5), progress=20.0, speed=6.0)
    for others in ((left, right), (right, left)):
        found = drive(vehicle(ROAD, progress=20.0, speed=0.2), *others, turn=turn)
        assert driven(found)[1] == pytest.approx(0.1 * later(0.2, 0.0, lead_speed), rel=1e-9)


def test_tracks_of_other_types_are_replayed_with_those_that_touch_the_ego_at_t0():
    walker = track(30, 4, speed=1.0, kind="pedestrian", size=(0.5, 0.5), valid=slice(5, 30))
    hit = track(1, 0, speed=1.0, kind="bicycle", size=(2.0, 0.5), valid=slice(0, 9))
    later = track(50, 0, speed=3.0, valid=slice(9, 51))
    traffic = drive(vehicle(ROAD, progress=20.0), tracks=[walker, later], ignored=[hit])
    assert traffic.token == ("vehicle_0", f"{0:016x}", "ignored_0")  # vehicles that the log brings later never come
    assert traffic.type == ("vehicle", "pedestrian", "bicycle")
    for row, one in ((1, walker), (2, hit)):
        assert traffic.valid[row].tolist() == one["valid"][:41].tolist()
        seen = traffic.valid[row]
        assert traffic.poses[row, seen] == pytest.approx(one["poses"][:41][seen])
    assert traffic.is_agent.tolist() == [True, True, True]
    assert traffic.speed.tolist() == [0.0, 1.0, 1.0]


def test_a_track_that_the_log_has_later_alone_is_not_there_at_t0():
    cone = track(30, 4, kind="traffic_cone", size=(0.5, 0.5))
    traffic = drive(tracks=[cone, cone], traffic_early_track=np.array([True, False]))
    assert [np.flatnonzero(~row).tolist() for row in traffic.valid] == [[0], []]


def test_a_scene_without_traffic_says_what_it_lacks():
    with pytest.raises(
        SceneError,
        match=r"^scene 0123456789abcdef lacks traffic_role, traffic_size, traffic_pose, … \(17 fields\), but "
        r"reactive traffic needs them; export its v2.2 metric cache again .*, write those of a world again, or take "
        r"traffic=log_replay$",
    ):
        reactive_traffic(scene(), straight())
    whole = scene_of(vehicle(ROAD))
    for name in TENSORS:
        arrays = {key: value for key, value in whole.to_arrays().items() if key != name}
        with pytest.raises(SceneError, match=f"lacks {name}, but"):
            reactive_traffic(type(whole).from_arrays(arrays), straight())


def test_states_of_another_number_are_refused():
    with pytest.raises(TrajectoryError, match="states has 40 rows, but traffic is simulated with 41"):
        drive(vehicle(ROAD), ego=straight(steps=40))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"traffic_role": np.array([3])},
            r"traffic_role of vehicle 0 is 3, but must be of .*; export the scene again$",
        ),
        (
            {"traffic_size": np.array([[4.0, 0.0]])},
            r"traffic_size of vehicle 0 is \[4.0, 0.0\] m, but vehicles must be larger than 0 by 0; export",
        ),
        (
            {"traffic_path_offsets": np.array([0, 9])},
            r"traffic_path_offsets go from 0 to 9, but must rise from 0 to .* points, 401, .*; export",
        ),
        (
            {"traffic_path_progress": np.zeros(401)},
            "has 401 points, 0.0 m and then 0.0 m, but who reacts needs 2 points of rising progress; export the scene",
        ),
        (
            {"traffic_wanted_speed": np.zeros(1)},
            "vehicle 0 is 0.0 m/s, but who reacts must want to move; export the scene again",
        ),
    ],
)
def test_traffic_that_breaks_a_rule_is_refused(changes, message):
    with pytest.raises(SceneError, match=message):
        scene_of(vehicle(ROAD), **changes)


def test_the_scene_is_not_changed():
    made = scene_of(vehicle(ROAD, progress=20.0, speed=5.0))
    before = {name: value.copy() for name, value in made.to_arrays().items()}
    states = straight()
    reactive_traffic(made, states)
    assert all(np.array_equal(before[name], value) for name, value in made.to_arrays().items())
    assert np.array_equal(states, straight())
    assert isinstance(made.traffic_role, torch.Tensor)
