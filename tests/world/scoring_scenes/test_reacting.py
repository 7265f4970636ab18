"""Who reacts to the ego in the small town, by hand: figures relative to its origin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shapely.geometry import Polygon

from navsim_agents.scoring.scene_fields import FIELDS
from navsim_agents.scoring.traffic.checks import NEEDED, require_traffic
from navsim_agents.scoring.traffic.reactive import reactive_traffic
from navsim_agents.scoring.traffic.record import Vehicles
from navsim_agents.scoring.traffic.roles import Role
from navsim_agents.world.scoring_scenes.build import SceneBuilder
from navsim_agents.world.scoring_scenes.reacting import place_vehicles
from navsim_agents.world.scoring_scenes.segments import Segments
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.writers.logs import log_frames
from tests.world.small_town import ORIGIN, box, small_drive, small_town

REACTS, STANDS, ABSENT = Role.REACTS, Role.STANDS, Role.ABSENT
EGO = Polygon(box(5.0, 10.0, -1.0, 1.0))


def placed(*vehicles, town=None):
    """Roles and rails of vehicles (x, y, heading, speed) of 4 m by 2 m."""
    rows = np.array(vehicles, dtype=float)
    found = Vehicles(
        tokens=tuple(str(number) for number in range(len(rows))),
        sizes=np.tile([4.0, 2.0], (len(rows), 1)),
        poses=np.column_stack((rows[:, :2] + ORIGIN, rows[:, 2])),
        speeds=rows[:, 3],
    )
    return list(place_vehicles(found, EGO, Segments(small_town() if town is None else town)))


def roles(*vehicles, town=None):
    return [role for role, _ in placed(*vehicles, town=town)]


def with_lane(token, **changes):
    town = small_town()
    return replace(town, lanes={**town.lanes, token: replace(town.lanes[token], **changes)})


def test_a_vehicle_is_put_on_its_lane():
    ((role, rails),) = placed((30.25, 0.7, 0.4, 6.0))
    assert role is REACTS
    np.testing.assert_allclose(np.array(rails.snapped) - [*ORIGIN, 0.0], (30.25, 0.0, 0.0), atol=1e-9)
    assert (rails.progress, rails.wanted_speed) == pytest.approx((30.25, 13.0))
    assert len(rails.path) == 120  # of 121 points
    assert rails.path_progress[-1] == pytest.approx(59.5)


def test_nobody_stands_in_anybodys_place():
    """Places on the path count, and only of those who are put there."""
    assert roles((30.0, 0.0, 0.0, 0.0), (33.9, 0.0, 0.0, 0.0), (37.8, 0.0, 0.0, 0.0)) == [REACTS, ABSENT, REACTS]
    assert roles((33.9, 0.0, 0.0, 0.0), (30.0, 0.0, 0.0, 0.0), (37.8, 0.0, 0.0, 0.0)) == [REACTS, ABSENT, ABSENT]
    assert roles((30.0, 0.0, 0.0, 0.0), (34.1, 0.0, 0.0, 0.0)) == [REACTS, REACTS]
    # Turned across the lane they would not touch.
    assert roles((30.0, 0.0, 1.5, 0.0), (32.5, 0.0, 1.5, 0.0)) == [REACTS, ABSENT]


def test_nobody_is_put_onto_the_ego():
    assert roles((11.9, 0.0, 0.0, 3.0), (12.1, 0.0, 0.0, 3.0)) == [ABSENT, REACTS]
    assert roles((8.0, 1.9, 0.0, 3.0)) == [REACTS]  # in the lane beside


def test_who_is_too_far_from_the_path_stands_even_if_it_moves():
    town = with_lane("12", right_boundary=small_town().lanes["12"].right_boundary - [0.0, 5.0])
    vehicles = (30.0, -2.9, 0.0, 9.0), (40.0, -3.1, 0.0, 9.0), (50.0, -3.1, 0.0, 0.0)
    assert roles(*vehicles, town=town) == [REACTS, STANDS, STANDS]


def test_parked_off_the_lanes():
    slow, fast = 0.09, 0.1
    beside = (30.0, -4.0, 0.0, slow), (40.0, -4.0, 0.0, fast)
    assert roles(*beside) == [STANDS, ABSENT]
    assert roles((70.0, 9.0, 0.0, slow)) == [ABSENT]  # in an intersection, on no connector: on the lanes, without one


def test_a_limit_stays_for_the_next_that_has_none():
    def wanted(*vehicles, limit):
        town = with_lane("12", speed_limit_mps=limit)
        return [rails.wanted_speed for _, rails in placed(*vehicles, town=town)]

    without, other, touching = (20.0, 0.0, 0.0, 1.0), (20.0, 3.5, 0.0, 1.0), (30.0, 0.0, 0.0, 1.0)
    for limit in (0.0, float("nan")):
        assert wanted(without, other, touching, limit=limit) == [10.0, 13.0, 13.0]
        assert wanted(other, without, limit=limit) == [13.0, 13.0]
    assert wanted(other, (7.0, 0.0, 0.0, 1.0), (90.0, 0.0, 0.0, 1.0), limit=4.0) == [13.0, 0.0, 13.0]
    # Who is not put on its path leaves nobody its limit.
    town = with_lane("12", speed_limit_mps=4.0)
    town = replace(town, lanes={**town.lanes, "32": replace(town.lanes["32"], speed_limit_mps=0.0)})
    assert [rails.wanted_speed for _, rails in placed((7.0, 0.0, 0.0, 1.0), (90.0, 0.0, 0.0, 1.0), town=town)] == [
        0.0,
        10.0,
    ]


NOW = 3
CAR, LATE = "00000000000000aa", "00000000000000bb"  # of the small drive


def scene_of(*extra):
    """The small drive's first scene, the ego 7.5 m along the lane; more objects (frame, name, x, y) in its frames."""
    frames = log_frames(small_drive(), {})
    for number, (index, name, x, y) in enumerate(extra):
        ego = small_drive().ego.poses[5 * index]
        anns = frames[index]["anns"]
        local = (*(ORIGIN + np.array([x, y]) - ego[:2]), 0.0, 0.8, 0.6, 1.7, 0.0)
        frames[index]["anns"] = {
            **anns,
            "gt_boxes": np.concatenate((anns["gt_boxes"], [local])),
            "gt_names": np.append(anns["gt_names"], name),
            "gt_velocity_3d": np.concatenate((anns["gt_velocity_3d"], [[3.0, 4.0, 0.0]])),
            "instance_tokens": [*anns["instance_tokens"], f"i{index}-{number}"],
            "track_tokens": [*anns["track_tokens"], f"{name}-{number}"],
        }
    return SceneBuilder(TownMap(small_town()), frames).build(NOW)


def test_a_scene_has_all_that_reactive_traffic_needs():
    scene = scene_of()
    require_traffic(scene)
    assert scene.traffic_token == (CAR,)  # the pedestrian is no vehicle
    assert scene.traffic_role.tolist() == [REACTS]
    # 25 m + 1.5 s at 4 m/s, the ego's rear axle at 12.5 m; the left lane at 3.5 m.
    np.testing.assert_allclose(scene.traffic_pose, [[18.5, 3.5, 0.0]], atol=1e-8)
    np.testing.assert_allclose(scene.traffic_snapped_pose, [[18.5, 3.5, 0.0]], atol=1e-8)
    assert float(scene.traffic_progress[0]) == pytest.approx(31.0)
    assert scene.traffic_path_offsets.tolist() == [0, 120]
    np.testing.assert_allclose(scene.traffic_path_poses[0], [-12.5, 3.5, 0.0], atol=1e-8)
    traffic = reactive_traffic(scene, np.zeros((41, 11)))
    assert traffic.poses[0, 40, 0] > 18.5 + 16.0  # the road is free: it is faster than 4 m/s in the end
    assert traffic.poses[0, 40, 1] == pytest.approx(3.5, abs=1e-8)


def test_the_reference_driver_and_files_know_the_fields_too(tmp_path):
    scene = scene_of()
    scene.save(tmp_path / "scene.npz")
    again = type(scene).load(tmp_path / "scene.npz")
    for name in NEEDED:
        value, other = getattr(scene, name), getattr(again, name)
        assert value == other if isinstance(value, tuple) else bool((value == other).all()), FIELDS[name]


def test_what_touches_the_ego_is_replayed_by_reactive_traffic_alone():
    """A pedestrian beneath the ego is no track of log replay; a vehicle there is in neither; one beside it is."""
    scene = scene_of((NOW, "pedestrian", 14.0, 0.5), (NOW, "vehicle", 14.0, -0.9), (NOW, "pedestrian", 14.0, 1.5))
    assert set(scene.track_token) >= {"pedestrian-2", CAR}
    assert not {"pedestrian-0", "vehicle-1"} & set(scene.track_token)
    assert scene.ignored_track_token == ("pedestrian-0",)
    assert scene.ignored_track_type == ("pedestrian",)
    assert scene.ignored_track_is_agent.tolist() == [True]
    assert scene.ignored_track_speed.tolist() == [5.0]
    np.testing.assert_allclose(scene.ignored_track_poses[0, :41], np.tile([1.5, 0.5, 0.0], (41, 1)), atol=1e-8)
    assert scene.ignored_track_valid[0, :41].all()  # seen once: it stands there for good
    assert scene.traffic_token == (CAR, "vehicle-1")
    traffic = reactive_traffic(scene, np.zeros((41, 11)))
    assert set(traffic.token) == {*scene.traffic_token, "pedestrian-0", "pedestrian-2", LATE}


def test_what_is_seen_once_and_later_is_not_there_at_first():
    """Log replay shows it all the time; so does reactive traffic, but for t0."""
    scene = scene_of((NOW + 2, "barrier", 30.0, -3.0), (NOW, "barrier", 30.0, 8.0), (NOW + 1, "barrier", 14.0, 0.0))
    early = dict(zip(scene.track_token, scene.traffic_early_track.tolist()))
    assert early == {CAR: False, LATE: False, "barrier-0": True, "barrier-1": False}
    assert [bool(seen) for seen in scene.track_valid[:, 0]] == [token != LATE for token in scene.track_token]
    assert scene.ignored_track_token == ("barrier-2",)
    assert scene.ignored_track_valid[0].tolist() == [False] + [True] * 50
    traffic = reactive_traffic(scene, np.zeros((41, 11)))
    seen = dict(zip(traffic.token, traffic.valid[:, :2].tolist()))
    assert seen["barrier-0"] == seen["barrier-2"] == [False, True]
    assert seen["barrier-1"] == [True, True]
