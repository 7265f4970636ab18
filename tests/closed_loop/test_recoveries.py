"""Logs in which an expert saves a car from trouble: where they begin, what they show, and that nothing is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from navsim_agents.closed_loop import recoveries
from navsim_agents.closed_loop.guides import RouteExpert
from navsim_agents.closed_loop.moment import WINDOW
from navsim_agents.closed_loop.planners import Plan, expert_plan
from navsim_agents.closed_loop.recoveries import Attempt, Recoveries, is_recovery
from navsim_agents.closed_loop.stage import Stage, place_of
from navsim_agents.closed_loop.troubles import (
    DAWDLES,
    HURRIES,
    KEEPS_PACE,
    LETS_GO,
    SPEEDS,
    STANDS,
    Trouble,
    draw_trouble,
)
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.errors import WorldDataError
from navsim_agents.world.curves import left_normal
from navsim_agents.world.drive import DriveConfig, simulate_drive
from navsim_agents.world.fleet import EGO
from navsim_agents.world.simulation import Decision
from navsim_agents.world.tracks import ego_boxes, ever_overlaps, track_boxes
from navsim_agents.world.types import Drive, Town, Turn
from tests.closed_loop.given import FEW, TOWN, WORLD_SEED, stage_of

CONFIG = DriveConfig(duration_s=6.0, traffic=FEW)
NOW = WINDOW - 1  # the step at which the expert takes over
SAMPLE = 12


def drive_on(stage: Stage, num_steps: int, plan: Callable[[Decision], Plan]) -> None:
    for step in range(num_steps):
        decision = stage.decide()
        if step % 5 == 0:
            stage.car.follow(plan(decision))
        stage.car.move()
        stage.move(decision)


def town() -> Town:
    return place_of(TOWN, WORLD_SEED)[0].town


def recovered(trouble: Trouble, begins: int = 20, number: int = 0) -> Drive:
    """The log of the first of some cars in ``trouble`` that is saved."""
    for attempt in range(SAMPLE):
        rng = np.random.default_rng([number, attempt])
        found = Attempt(
            place_of(TOWN, WORLD_SEED)[0], (number, WORLD_SEED), CONFIG, rng, lambda *_: trouble, begins
        ).drive()
        if found is not None:
            return found
    raise AssertionError(f"no car in {trouble} is saved")


def from_lane(drive: Drive, step: int) -> float:
    """Distance of the rear axle from the nearest lane's middle [m]."""
    place = drive.ego.poses[step, XY]
    return min(float(np.hypot(*(lane.centerline[:, XY] - place).T).min()) for lane in town().lanes.values())


def test_a_car_that_stood_sets_out_again_where_the_expert_takes_over() -> None:
    drive = recovered(Trouble(STANDS, 6.0, braking_mps2=2.0))
    speeds = drive.ego.velocities[:, 0]
    assert len(speeds) == 61
    assert (speeds[: NOW + 1].max() < 0.5, speeds[NOW] < 0.1) == (True, True)  # the tracker comes to rest slowly
    assert speeds[NOW + 15] > 1.0
    assert np.hypot(*(drive.ego.poses[-1, XY] - drive.ego.poses[NOW, XY])) > 5.0


def test_a_car_beside_its_lane_is_led_back() -> None:
    stage = stage_of("light_straight")
    stage.hand_over(is_expert=True)
    trouble, line = Trouble(KEEPS_PACE, 3.0, aside_m=1.2, aside_within_s=1.5), stage.line

    def aside_m() -> float:
        return float(np.hypot(*(line.points[:, XY] - stage.car.pose[XY]).T).min())

    drive_on(stage, 30, lambda decision: trouble.plan(stage, decision))
    assert 0.9 < aside_m() < 2.0
    guide, fleet = stage.simulation.expert, stage.simulation.fleet
    assert isinstance(guide, RouteExpert)
    guide.take_over(fleet, fleet.poses(), stage.simulation.ways)
    np.testing.assert_allclose(fleet.path_poses(np.array([EGO]), np.zeros((1, 1)))[0, 0, :3], stage.car.pose, atol=1e-6)
    drive_on(stage, 40, lambda decision: expert_plan(stage, decision))
    assert aside_m() < 0.5


def test_an_expert_takes_over_on_a_junction_and_leaves_it_along_its_route() -> None:
    stage = stage_of("light_left")
    stage.hand_over(is_expert=True)
    guide, fleet = stage.simulation.expert, stage.simulation.fleet
    assert isinstance(guide, RouteExpert)
    for _ in range(60):
        if stage.graph.town.lanes[guide.whereabouts(fleet).lane_id].is_connector:
            break
        drive_on(stage, 5, lambda decision: expert_plan(stage, decision))
    before = guide.whereabouts(fleet)
    assert stage.graph.town.lanes[before.lane_id].turn is Turn.LEFT
    guide.take_over(fleet, fleet.poses(), stage.simulation.ways)
    assert guide.whereabouts(fleet) == before
    drive_on(stage, 60, lambda decision: expert_plan(stage, decision))
    after = guide.whereabouts(fleet)
    assert (after.route_index, after.lane_id) == (
        before.route_index + 1,
        stage.graph.town.lanes[before.lane_id].successors[0],
    )


def test_a_car_that_hurries_is_faster_than_one_that_dawdles() -> None:
    ways = {
        speed: recovered(Trouble(speed, 3.0, factor=factor)).ego.velocities[NOW, 0]
        for speed, factor in ((HURRIES, 1.4), (DAWDLES, 0.4), (KEEPS_PACE, 1.0))
    }
    assert ways[DAWDLES] < 0.8 * ways[KEEPS_PACE]
    assert ways[HURRIES] > 1.1 * ways[KEEPS_PACE]
    assert ways[HURRIES] < 15.0


def test_the_wheel_let_go_is_straight_ahead_at_the_speed_that_was() -> None:
    attempt = Attempt(place_of(TOWN, WORLD_SEED)[0], (0, WORLD_SEED), CONFIG, np.random.default_rng(0))
    stage = attempt.stage
    stage.hand_over(is_expert=True)
    plan = Trouble(LETS_GO, 2.0).plan(stage, stage.decide())
    speed = max(stage.car.speed, 2.0)
    np.testing.assert_allclose(plan, np.column_stack((speed * 0.5 * np.arange(1, 9), np.zeros((8, 2)))))


@lru_cache(maxsize=1)
def any_recovery() -> Drive:
    return Recoveries(1.0)(town(), 1, WORLD_SEED, CONFIG)


def test_nothing_is_touched_and_motion_is_of_one_piece() -> None:
    drive = any_recovery()
    ego, boxes = drive.ego, ego_boxes(drive.ego.poses)
    everyone = np.ones(len(boxes), dtype=bool)
    assert drive.tracks
    assert not any(ever_overlaps(track_boxes(track), track.valid, boxes, everyone) for track in drive.tracks)
    steps = np.hypot(*np.diff(ego.poses[:, XY], axis=0).T)
    mean = (ego.velocities[1:, 0] + ego.velocities[:-1, 0]) / 2
    assert np.abs(steps - 0.1 * mean).max() < 0.02
    assert np.abs(np.diff(np.unwrap(ego.poses[:, HEADING]))).max() < 0.08
    assert all(len(states) == len(ego.poses) for states in drive.lights.values())
    assert len(drive.route_roadblock_ids) == len(ego.poses)


def test_they_are_the_same_every_time_and_a_world_without_is_the_plain_one() -> None:
    first, again = any_recovery(), Recoveries(1.0)(town(), 1, WORLD_SEED, CONFIG)
    np.testing.assert_array_equal(first.ego.poses, again.ego.poses)
    assert [track.track_token for track in first.tracks] == [track.track_token for track in again.tracks]
    plain, usual = Recoveries(0.0)(town(), 1, WORLD_SEED, CONFIG), simulate_drive(town(), 1, WORLD_SEED, CONFIG)
    np.testing.assert_array_equal(plain.ego.poses, usual.ego.poses)
    assert not np.array_equal(plain.ego.poses, first.ego.poses)
    assert (first.log_name, first.start_time_us) == (usual.log_name, usual.start_time_us)


def test_every_town_gets_its_share() -> None:
    """Towns take turns over the logs, so that a share must not."""
    chosen = np.array([is_recovery(index, 0, 0.5) for index in range(400)]).reshape(-1, 4)
    assert np.all(np.abs(chosen.mean(axis=0) - 0.5) < 0.15)
    assert not any(is_recovery(index, 0, 0.0) for index in range(50))
    assert all(is_recovery(index, 0, 1.0) for index in range(50))


def test_all_troubles_are_drawn_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_trouble(rng) for _ in range(2000)]
    for speed, share in SPEEDS.items():
        assert np.mean([trouble.speed == speed for trouble in drawn]) == pytest.approx(share, abs=0.04)
    moving = [trouble for trouble in drawn if trouble.speed in (HURRIES, DAWDLES)]
    assert np.mean([trouble.aside_m != 0.0 for trouble in moving]) == pytest.approx(0.6, abs=0.08)
    assert all(trouble.aside_m for trouble in drawn if trouble.speed == KEEPS_PACE)


@pytest.mark.parametrize(("aside_m", "turned"), [(3.5, 0.0), (0.0, 0.7)])
def test_a_car_that_goes_astray_is_saved_at_once(aside_m: float, turned: float) -> None:
    """However long its trouble would last; one that is a little beside its path is not."""
    graph = place_of(TOWN, WORLD_SEED)[0]
    attempt = Attempt(graph, (0, WORLD_SEED), CONFIG, np.random.default_rng(0))
    stage, trouble = attempt.stage, Trouble(LETS_GO, 60.0)
    stage.hand_over(is_expert=True)
    pose, known = stage.car.pose, len(stage.simulation.record.ego)
    stage.car.state[:3] = moved(pose, 0.5, 0.1)
    assert attempt._go(1, trouble)
    assert len(stage.simulation.record.ego) == known + 1
    pose = fleet_pose_of(stage)
    stage.car.state[:3] = moved(pose, aside_m, turned)
    assert attempt._go(100, trouble)
    assert len(stage.simulation.record.ego) == known + 1


def moved(pose: np.ndarray, aside_m: float, turned: float) -> np.ndarray:
    """To the left of where it looks, and to look further left."""
    return pose + np.array([*(aside_m * left_normal(pose[HEADING])), turned])


def fleet_pose_of(stage: Stage) -> np.ndarray:
    """Of the ego's path, where the car is beside it."""
    fleet = stage.simulation.fleet
    return fleet.path_poses(np.array([EGO]), fleet.station[None, :1])[0, 0, :3]


def test_no_car_that_can_be_saved_is_an_error_of_that_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoveries.Attempt, "drive", lambda self: None)
    monkeypatch.setattr(recoveries, "TRIES", 2)
    with pytest.raises(WorldDataError, match=r"log 7 of us-ma-boston: in 2 tries .* take another seed"):
        Recoveries(1.0)(town(), 7, WORLD_SEED, replace(CONFIG, duration_s=2.0))
