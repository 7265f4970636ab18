"""Steering, speed profiles, car following and right of way, one by one."""

from __future__ import annotations

import numpy as np
import pytest

from navsim_agents.world.fleet import Body, Fleet
from navsim_agents.world.following import (
    NO_LEAD_M,
    FollowRule,
    Obstacles,
    find_leads,
    limit_accel,
    wanted_accel,
)
from navsim_agents.world.lane_graph import LaneGraph
from navsim_agents.world.motion import MotionPlan, PathGate, Reference, SpeedRule, speed_profile
from navsim_agents.world.right_of_way import RightOfWay, YieldRule
from navsim_agents.world.steering import SteeringRule, drive_along
from navsim_agents.world.types import Turn

RULE = FollowRule()


def straight_plan(length: float, y: float = 0.0, speed: float = 10.0, gates: tuple[PathGate, ...] = ()) -> MotionPlan:
    points = round(length / 0.5) + 1
    path = np.column_stack((np.arange(points) * 0.5, np.full(points, y), np.zeros((points, 2))))
    return MotionPlan(path, np.full(points, speed), gates, ())


def fleet_at(*stations: float, rows: tuple[float, ...] = ()) -> Fleet:
    fleet = Fleet([Body(4.0, 2.0, 1.5)] * len(stations), 500)
    for i, station in enumerate(stations):
        fleet.set_plan(i, straight_plan(200.0, rows[i] if rows else 0.0), station)
    return fleet


def obstacles_of(fleet: Fleet) -> Obstacles:
    sizes = np.column_stack((fleet.length, fleet.width))
    velocities = np.column_stack((fleet.speed, np.zeros(len(fleet))))
    return Obstacles(fleet.centers(fleet.poses()), sizes, velocities)


def leads_of(fleet: Fleet):
    return find_leads(fleet, fleet.poses(), obstacles_of(fleet), RULE)


def test_lead_is_the_nearest_vehicle_ahead_in_the_lane():
    fleet = fleet_at(10.0, 30.0, 45.0, 20.0, rows=(0.0, 0.0, 0.0, 3.5))
    fleet.speed = np.array([8.0, 6.0, 5.0, 4.0])
    lead = leads_of(fleet)
    assert lead.obstacle.tolist() == [1, 2, -1, -1]
    assert np.allclose(lead.gap_m[:2], [16.0, 11.0])  # between bumpers
    assert lead.gap_m[2] == NO_LEAD_M
    assert np.allclose(lead.speed_mps[:2], [6.0, 5.0])


def test_idm_keeps_the_gap_it_wants():
    fleet = fleet_at(10.0, 50.0)
    fleet.speed = np.array([9.0, 9.0])
    gap = RULE.min_gap_m + 9.0 * RULE.headway_s
    for extra, sign in ((0.0, 0), (3.0, 1), (-3.0, -1)):
        fleet.station[0] = fleet.station[1] - 4.0 - gap - extra
        wanted = wanted_accel(fleet, leads_of(fleet), np.full(2, NO_LEAD_M), RULE)[0]
        assert np.sign(np.round(wanted, 6)) == sign


def test_follower_stops_behind_a_wall_comfortably_and_close():
    fleet = fleet_at(0.0)
    fleet.speed = np.array([10.0])
    hardest = []
    for _ in range(300):
        wall = np.array([60.0 - fleet.station[0] - fleet.front[0]])
        lead = leads_of(fleet)
        fleet.advance(limit_accel(fleet, wanted_accel(fleet, lead, wall, RULE), lead, wall, RULE, 0.1), 0.1)
        hardest.append(fleet.accel[0])
    assert fleet.speed[0] == 0.0
    assert 0.3 < 60.0 - fleet.station[0] - fleet.front[0] < 2.0
    assert min(hardest) > -2.6
    assert np.abs(np.diff(hardest)).max() < 0.5  # per 0.1 s


def test_speed_profile_slows_in_time_for_a_curve():
    curvature = np.zeros(200)
    curvature[120:140] = 0.1
    rule = SpeedRule(lateral_accel_mps2=1.6, decel_mps2=1.0)
    speeds = speed_profile(curvature, np.full(200, 10.0), rule)
    assert np.allclose(speeds[120:140], 4.0)
    assert speeds[119] ** 2 == pytest.approx(16.0 + 2 * 1.0 * 0.5)
    assert np.diff(speeds**2).min() > -2 * 1.0 * 0.5 - 1e-9
    assert speeds[[0, 150]].tolist() == [10.0, 10.0]


def test_pursuit_settles_on_a_circle():
    angle = np.linspace(0.0, 3.0, 400)
    circle = np.column_stack((20 * np.sin(angle), 20 * (1 - np.cos(angle)), angle))
    reference = Reference(circle, np.full(400, 9.0), (), (PathGate("7", 20.0, 30.0),), ())
    plan, progress = drive_along(reference, circle[0], 0.0, SteeringRule(), SpeedRule())
    settled = plan.path[30:]
    assert np.abs(settled[:, 3] - 1 / 20).max() < 0.002
    assert np.abs(np.hypot(settled[:, 0], settled[:, 1] - 20.0) - 20.0).max() < 0.1
    assert np.all(np.diff(progress) >= 0.0)
    assert plan.gates[0].stop_m == pytest.approx(20.0, abs=0.5)


def test_path_is_that_of_a_rear_axle_that_does_not_slip():
    line = np.column_stack((np.linspace(0, 80, 161), 2.0 * np.sin(np.linspace(0, 8, 161)), np.zeros(161)))
    plan, _ = drive_along(
        Reference(line, np.full(161, 9.0), (), (), ()), np.array([0.0, 0.5, 0.2]), 0.0, SteeringRule(), SpeedRule()
    )
    steps = np.diff(plan.path[:, :2], axis=0)
    assert np.abs(np.arctan2(*steps.T[::-1]) - (plan.path[1:, 2] + plan.path[:-1, 2]) / 2).max() < 0.01
    assert np.allclose(np.hypot(*steps.T), 0.5, atol=0.005)


def test_conflicts_are_mutual_and_lie_where_connectors_cross(town):
    graph = LaneGraph(town)
    for one, others in graph.conflicts.items():
        for other, (start, end) in others.items():
            assert one in graph.conflicts[other]
            assert 0.0 <= start <= end <= graph.lengths[one] + 1e-6
            assert town.lanes[one].intersection_id == town.lanes[other].intersection_id
    crossing = [one for one, others in graph.conflicts.items() if others]
    assert 0 < len(crossing) < len(graph.conflicts)


def _gate_fleet(graph: LaneGraph, connectors: list[str], distances: list[float], speeds: list[float]) -> Fleet:
    fleet = Fleet([Body(4.0, 2.0, 1.5)] * len(connectors), 500)
    for i, (connector, distance) in enumerate(zip(connectors, distances)):
        gate = PathGate(connector, 100.0, 100.0 + graph.lengths[connector])
        fleet.set_plan(i, straight_plan(240.0, y=50.0 * i, gates=(gate,)), 100.0 - distance - 2.0)
    fleet.speed = np.array(speeds)
    return fleet


@pytest.fixture(scope="module")
def left_and_oncoming(towns) -> tuple[LaneGraph, str, str]:
    """A left turn at signals, and the oncoming straight connector that it crosses."""
    graph = LaneGraph(towns["us-ma-boston"])
    lanes = graph.town.lanes
    for one, others in graph.conflicts.items():
        if lanes[one].turn is Turn.LEFT and lanes[one].signal_group is not None:
            for other in others:
                if lanes[other].turn is Turn.STRAIGHT and lanes[other].signal_group == lanes[one].signal_group:
                    return graph, one, other
    raise AssertionError("no left turn across oncoming traffic")


@pytest.mark.parametrize(
    ("distance", "speed", "expected"), [(30.0, 10.0, {0: "yield"}), (64.9, 3.0, {1: "yield"}), (0.9, 0.0, {0: "yield"})]
)
def test_left_turn_goes_only_where_oncoming_traffic_is_far(left_and_oncoming, distance, speed, expected):
    graph, left, oncoming = left_and_oncoming
    fleet = _gate_fleet(graph, [left, oncoming], [2.0, distance], [0.0, speed])
    codes = {left: np.zeros(1, int), oncoming: np.zeros(1, int)}
    _, reasons = RightOfWay(graph, codes, 2, YieldRule()).walls(fleet, leads_of(fleet), 0)
    assert reasons == expected


@pytest.mark.parametrize(
    ("code", "distance", "speed", "expected"),
    [(2, 30.0, 10.0, "red"), (1, 30.0, 10.0, "red"), (1, 8.0, 10.0, None), (0, 30.0, 10.0, None)],
)
def test_lights_hold_who_can_stop(left_and_oncoming, code, distance, speed, expected):
    graph, _, straight = left_and_oncoming
    fleet = _gate_fleet(graph, [straight], [distance], [speed])
    walls, reasons = RightOfWay(graph, {straight: np.array([code])}, 1, YieldRule()).walls(fleet, leads_of(fleet), 0)
    assert reasons.get(0) == expected
    assert walls[0] == pytest.approx(distance if expected else NO_LEAD_M)
