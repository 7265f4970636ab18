"""Criteria on hand-made ways along a straight route of 100 m to the east, by Bench2Drive's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.bench2drive.metrics import route_efficiency
from navsim_agents.bench2drive.records import MIN_SPEED, OUTSIDE_LANES, RouteRecord, compose
from navsim_agents.closed_loop.contacts import CollisionWatch, Thing, is_run_into
from navsim_agents.closed_loop.line import RouteLine
from navsim_agents.closed_loop.watches import (
    BlockedWatch,
    CompletionWatch,
    DeviationWatch,
    LanesWatch,
    LightWatch,
    SpeedWatch,
)
from tests.world.small_town import ORIGIN, small_town

LENGTH_M = 100


def line() -> RouteLine:
    x = np.arange(LENGTH_M + 1.0)
    return RouteLine(np.column_stack((x + ORIGIN[0], np.full_like(x, ORIGIN[1]), np.zeros_like(x))))


def at(x: float, y: float = 0.0) -> np.ndarray:
    return ORIGIN + np.array([x, y])


def box(x: float, y: float = 0.0) -> np.ndarray:
    return np.array([*at(x, y), 0.0, 5.0, 2.0])


def thing(name: str, x: float, y: float = 0.0, stops: bool = True) -> Thing:
    return Thing(name, "collisions_vehicle", "vehicle", box(x, y), stops)


def test_all_of_the_route_is_complete_and_half_of_it_is_half() -> None:
    watch = CompletionWatch(line())
    for x in np.arange(0.0, 50.6, 0.5):
        watch.update(at(x))
    assert (watch.percent, watch.is_complete) == (50.0, False)
    for x in np.arange(50.5, 99.0, 0.5):
        watch.update(at(x))
    assert not watch.is_complete
    for x in np.arange(99.0, 101.0, 0.5):
        watch.update(at(x))
    assert (watch.percent, watch.is_complete) == (100.0, True)


def test_a_car_as_fast_as_the_benchmark_can_follow_is_followed() -> None:
    """At 40 m/s two points a tick of 0.05 s, four a look; the criteria of lanes and of deviation look farther."""
    completion, deviation, lanes, speeds = (
        CompletionWatch(line()),
        DeviationWatch(line()),
        LanesWatch(line(), small_town()),
        SpeedWatch(line()),
    )
    for x in np.arange(0.5, 101.0, 4.0):
        completion.update(at(x))
        deviation.update(at(x))
        lanes.update(at(x, -2.3), 0.0)
        speeds.update(at(x), 40.0, np.array([20.0]))
    assert (completion.percent, completion.is_complete) == (100.0, True)
    assert not deviation.message
    assert "about 100.0 meters (100.0%" in lanes.message
    speeds.end()
    assert len(speeds.messages) > 10


def test_a_contact_is_one_collision_however_long() -> None:
    watch, other = CollisionWatch(), thing("a", 5.0)
    for step in range(200):
        watch.update(step / 10.0, box(0.0), 3.0, [other])
    assert [name for name, _ in watch.events] == ["collisions_vehicle"]
    assert "type=vehicle and id=a" in watch.events[0][1]


def test_a_second_contact_counts_once_it_is_another_place_and_time() -> None:
    watch = CollisionWatch()
    watch.update(0.0, box(0.0), 3.0, [thing("a", 4.0)])
    watch.update(1.0, box(0.0), 3.0, [])
    watch.update(2.0, box(20.0), 3.0, [thing("a", 24.0)])  # the same thing within 5 s
    watch.update(2.1, box(20.0), 3.0, [])
    watch.update(2.2, box(4.9), 3.0, [thing("b", 9.0)])  # within 5 m of the first one
    assert len(watch.events) == 1
    watch.update(2.3, box(5.1), 3.0, [thing("b", 9.0)])
    watch.update(2.4, box(5.1), 3.0, [])
    watch.update(9.0, box(40.0), 3.0, [thing("a", 44.0)])
    assert len(watch.events) == 3


def test_whoever_stands_has_not_collided() -> None:
    watch = CollisionWatch()
    watch.update(0.0, box(0.0), 0.09, [thing("a", -4.0)])
    assert watch.events == []
    watch.update(0.1, box(0.0), 0.11, [thing("a", -4.0)])
    assert len(watch.events) == 1


@pytest.mark.parametrize(("x", "stops", "expected"), [(4.0, True, True), (-4.0, True, False), (4.0, False, False)])
def test_the_car_is_stopped_by_what_is_ahead_and_firm(x: float, stops: bool, expected: bool) -> None:
    assert is_run_into(box(0.0), thing("a", x, stops=stops)) is expected


def test_thirty_of_ninety_metres_beside_the_lanes() -> None:
    """The lanes of the small town lie at y = 0 and 3.5 m; half a lane and half a metre beside the right one: -2.25."""
    watch = LanesWatch(line(), small_town())
    for x in np.arange(0.25, 90.3, 0.5):
        watch.update(at(x, -2.3 if 30.0 < x <= 60.0 else -2.2), 0.0)
    assert watch.message == "Agent went outside its route lanes for about 30.0 meters (33.33% of the completed route)"
    assert compose(90.0, {OUTSIDE_LANES: [watch.message]})[0] == pytest.approx(0.6667)


def test_against_the_lane_is_outside_but_not_in_a_junction() -> None:
    watch = LanesWatch(line(), small_town())
    watch.update(at(30.0), np.deg2rad(119.0))
    assert not watch.is_outside
    watch.update(at(30.0), np.deg2rad(121.0))
    assert watch.is_outside
    junction = next(lane for lane in small_town().lanes.values() if lane.is_connector)
    watch.update(junction.centerline[len(junction.centerline) // 2, :2], np.deg2rad(121.0))
    assert not watch.is_outside


def test_thirty_metres_off_the_route_ends_it() -> None:
    watch = DeviationWatch(line())
    watch.update(at(1.0, 29.9))
    assert not watch.message
    watch.update(at(1.0, 30.1))
    assert (
        watch.message == f"Agent deviated from the route at (x={ORIGIN[0] + 1:.3f}, y={-ORIGIN[1] - 30.1:.3f}, z=0.0)"
    )


@pytest.mark.parametrize(("aside_m", "ends"), [(14.9, False), (15.1, True)])
def test_fifteen_metres_off_for_a_third_of_the_route_ends_it(aside_m: float, ends: bool) -> None:
    watch, ended_at = DeviationWatch(line()), np.inf
    for x in np.arange(0.0, 60.0, 0.5):
        watch.update(at(x, aside_m))
        if watch.message:
            ended_at = min(ended_at, x)
    assert bool(ended_at < np.inf) is ends
    if ends:
        assert ended_at == pytest.approx(30.5, abs=0.6)  # more than 30 % of 100 m


def test_a_minute_without_motion_is_blocked() -> None:
    watch = BlockedWatch()
    for step in range(1, 631):
        watch.update(step / 10.0, at(7.0), 0.2 if step <= 20 else 0.05)
        assert bool(watch.message) is (step > 620)
    assert watch.message.startswith("Agent got blocked at (x=")


def test_a_message_every_five_percent() -> None:
    """5 m/s past others that do 4 m/s: 125 % each; 101 points give 16 messages of 6 m and one at the end."""
    watch = SpeedWatch(line())
    for x in np.arange(0.5, 100.6, 0.5):
        watch.update(at(x), 5.0, np.array([3.0, 5.0]))
    watch.end()
    assert len(watch.messages) == 17
    assert set(watch.messages) == {"Average speed is 125.0% of the surrounding traffic's one"}
    record = RouteRecord("RouteScenario_1_rep0", infractions={MIN_SPEED: tuple(watch.messages)})
    assert route_efficiency(record) == pytest.approx(125.0)


def test_without_others_the_speed_is_as_theirs() -> None:
    watch = SpeedWatch(line())
    for x in np.arange(0.5, 7.0, 0.5):
        watch.update(at(x), 5.0, np.zeros(0))
    assert watch.messages == ["Average speed is 100.0% of the surrounding traffic's one"]


def test_the_tail_over_the_line_at_red_is_an_infraction_the_front_is_not() -> None:
    """The line is at 60 m. From 0.8 of the half length to 1 m behind the bumper: 2 to 3.5 m behind the middle."""
    town = small_town()
    red = {lane.lane_id: 2 for lane in town.lanes.values() if lane.is_connector}
    watch = LightWatch(town)
    for x in (55.0, 58.0, 61.9, 63.6):
        watch.update(box(x), red)
    assert watch.messages == []
    watch.update(box(62.1), dict.fromkeys(red, 0))
    watch.update(box(62.1), dict.fromkeys(red, 1))
    assert watch.messages == []
    for x in (62.1, 62.9, 63.4):
        watch.update(box(x), red)
    assert len(watch.messages) == 1
    assert watch.messages[0].startswith("Agent ran a red light 40-0 at ")
