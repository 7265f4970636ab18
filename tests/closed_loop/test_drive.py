"""Whole routes of a real town: who gets through, who does not, and that the others see where the ego really is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from navsim_agents.bench2drive.records import HIT_VEHICLE, MIN_SPEED
from navsim_agents.closed_loop import drive
from navsim_agents.closed_loop.contacts import Surroundings
from navsim_agents.closed_loop.drive import Referee, drive_route
from navsim_agents.closed_loop.moment import WINDOW, Witness
from navsim_agents.closed_loop.planners import AgentPlanner, ExpertPlanner, ReferencePlanner, checked_plan
from navsim_agents.common.conventions import NUM_HISTORY_FRAMES
from navsim_agents.common.planar import corners
from navsim_agents.common.poses import LARGEST_M, XY
from navsim_agents.devkit.bases import make_trajectory
from navsim_agents.drive_jepa.sequential import SequentialAgent
from navsim_agents.errors import InputError
from navsim_agents.evaluation.baselines import ConstantVelocity
from navsim_agents.poses import poses_to_local
from navsim_agents.scoring.axes import State
from navsim_agents.world.curves import unit
from navsim_agents.world.fleet import EGO
from navsim_agents.world.traffic import TrafficConfig
from tests.closed_loop.given import Standing, driven, stage_of


@pytest.mark.parametrize("situation", ["pedestrians", "double_parked"])
def test_the_expert_completes(situation: str) -> None:
    record = driven(situation, ExpertPlanner()).record
    assert (record.score_route, record.score_composed) == (100.0, 100.0), record
    assert record.is_success
    assert len(record.infractions[MIN_SPEED]) in range(15, 22)


def test_the_reference_driver_gets_on() -> None:
    found = driven("left_across", ReferencePlanner(), time_limit_s=4.0)
    assert (found.error, found.record.status) == ("", "Failed - TickRuntime")
    assert found.record.score_route > 10.0


def test_constant_velocity_crashes_or_leaves_the_road() -> None:
    record = driven("light_left", AgentPlanner(ConstantVelocity()), time_limit_s=15.0).record
    assert record.score_route < 90.0
    assert record.status.startswith("Failed")
    assert {"collisions_layout", "collisions_vehicle", "outside_route_lanes", "route_dev"} & record.infractions.keys()


def test_who_stands_is_blocked_after_a_minute_and_nobody_runs_into_it() -> None:
    found = driven("light_straight", Standing(), traffic=TrafficConfig(16, 2, 0, 0))
    assert found.record.status == "Failed - Agent got blocked"
    assert set(found.record.infractions) - {MIN_SPEED} == {"vehicle_blocked"}
    assert 60.0 < found.record.duration_game_s < 70.0
    assert len(found.ticks) == 2 * round(found.record.duration_game_s * 10) + 1


def test_the_others_see_the_true_car() -> None:
    """Moved to the side by hand, it is there for whoever comes, and where it stands along the path."""
    stage = stage_of("light_straight")
    stage.hand_over(is_expert=False)
    aside = stage.car.pose
    aside[XY] += 3.0 * np.array([-np.sin(aside[2]), np.cos(aside[2])])
    stage.car.state[:3] = aside
    stage.car.stop()
    stage.move(stage.decide())
    fleet = stage.simulation.fleet
    poses = fleet.poses()
    assert poses[EGO, :3] == pytest.approx(aside)
    obstacle = stage.simulation.obstacles(poses).centers[EGO]
    assert obstacle[:2] == pytest.approx(aside[XY] + fleet.center[EGO] * unit(aside[2]))
    stage.decide()
    path = fleet.path_poses(np.array([EGO]), fleet.station[None, :1])[0, 0]
    assert abs(poses_to_local(path[None, :3], aside)[0, 0]) < 0.5


def test_the_car_stops_at_what_it_runs_into() -> None:
    stage = stage_of("light_straight")
    stage.hand_over(is_expert=False)
    other = 1
    fleet = stage.simulation.fleet
    fleet.is_active[other] = True
    ahead = stage.car.box[XY] + 3.0 * unit(stage.car.box[2])
    fleet.paths[other, :, :3] = [*ahead, stage.car.box[2]]
    touched = Surroundings(stage).touching(stage.car.box)
    assert [thing.name for thing in touched] == ["fleet-1"]
    referee = Referee(stage)
    assert referee.touching(stage.car.box)[0].list_name == HIT_VEHICLE
    stage.car.follow(np.column_stack((np.arange(1.0, 9.0), np.zeros((8, 2)))))
    before = stage.car.pose
    assert stage.car.speed > 0.0
    drive._move_car(stage, referee)
    assert stage.car.speed == 0.0
    np.testing.assert_array_equal(stage.car.pose, before)
    fleet.is_active[other] = False
    stage.car.follow(np.column_stack((np.arange(1.0, 9.0), np.zeros((8, 2)))))
    for _ in range(5):
        drive._move_car(stage, referee)
    assert np.hypot(*(stage.car.pose - before)[XY]) > 0.05


def test_buildings_are_walls() -> None:
    stage = stage_of("light_straight")
    wall = next(iter(stage.graph.town.buildings.values())).polygon
    inside = np.array([*wall.mean(axis=0), 0.0, 5.0, 2.0])
    found = Surroundings(stage).touching(inside)
    assert [thing.list_name for thing in found] == ["collisions_layout"]
    assert corners(inside).shape == (4, 2)


class Painter:
    """Paints the step's number."""

    def __init__(self) -> None:
        self.calls: list[float] = []

    def render(self, drive, step, camera):
        self.calls.append(float(drive.ego.poses[step, 0]))
        return np.full((6, 8, 3), len(self.calls), np.uint8)


def test_an_agent_sees_what_the_data_room_would_show() -> None:
    stage = stage_of("light_left")
    stage.hand_over(is_expert=False)
    painter = Painter()
    witness = Witness(stage, {"cam_f0": (2, 3)}, painter, 0)
    stage.decide()
    moment = witness.drive()
    scene = witness.scene(moment)
    seen = witness.agent_input(moment, scene)
    assert len(moment.ego.poses) == WINDOW
    assert len(seen.ego_statuses) == NUM_HISTORY_FRAMES
    now, before = seen.ego_statuses[-1], seen.ego_statuses[0]
    assert now.ego_pose == pytest.approx(np.zeros(3))
    assert before.ego_pose[0] < -0.5
    assert now.ego_velocity == pytest.approx([stage.car.speed, 0.0])
    assert now.ego_acceleration[0] == pytest.approx(stage.car.state[State.ACCELERATION_X])
    assert now.driving_command.sum() == 1
    assert [frame.cam_f0.image is None for frame in seen.cameras] == [True, True, False, False]
    assert seen.cameras[3].cam_l0.image is None
    assert painter.calls == moment.ego.poses[[10, 15], 0].tolist()
    witness.agent_input(moment, scene)
    assert len(painter.calls) == 2  # the pictures are remembered


def test_the_command_is_that_of_the_route_at_the_true_place() -> None:
    stage = stage_of("light_left")
    stage.hand_over(is_expert=False)
    stage.decide()
    assert int(Witness(stage, {}, None, 0).drive().ego.commands[-1]) == 1  # straight on, the junction is far
    line = stage.line
    for index in range(len(line.points)):
        if stage.graph.lengths[stage.route.start_lane] - stage.route.start_m - index < 15.0:
            break
    stage.car.state[:3] = line.points[index]
    stage.car.stop()
    stage.move(stage.decide())
    stage.decide()
    assert int(Witness(stage, {}, None, 0).drive().ego.commands[-1]) == 0  # left


class Raising:
    """An agent that fails at its third plan."""

    is_expert = False

    def __init__(self) -> None:
        self.cameras, self.calls = {}, 0

    def plan(self, stage, witness, decision):
        self.calls += 1
        if self.calls == 3:
            raise InputError("no more")
        return np.zeros((8, 3))


def test_an_agent_that_crashes_costs_its_route() -> None:
    found = driven("light_left", Raising())
    assert (found.record.status, found.error) == ("Failed - Agent crashed", "InputError: no more")
    assert found.record.is_crashed
    assert found.record.duration_game_s == pytest.approx(1.0)


@pytest.mark.parametrize(
    "poses", [np.zeros((8, 2)), np.zeros(3), np.full((8, 3), np.nan), np.full((8, 3), 2.0 * LARGEST_M)]
)
def test_what_is_no_plan_is_refused(poses: np.ndarray) -> None:
    with pytest.raises(InputError, match="mend the agent"):
        checked_plan(poses)


class Noting(Standing):
    """Notes the steps at which it plans."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def plan(self, stage, witness, decision):
        self.steps.append(stage.step)
        return super().plan(stage, witness, decision)


def test_plans_are_asked_for_as_often_as_set() -> None:
    for steps, times_s in ((2, np.arange(10) * 0.2), (5, np.arange(4) * 0.5)):
        stage, planner = stage_of("light_left", time_limit_s=2.0), Noting()
        drive_route(stage, planner, Witness(stage, {}, None, 0), steps, 2.0)
        assert [(step - stage.first_step) / 10.0 for step in planner.steps] == pytest.approx(times_s)


def test_an_agent_with_momentum_begins_afresh_on_another_route_of_the_same_name() -> None:
    """Drives of a world of recoveries share names of routes."""

    class Noting(SequentialAgent):
        def __init__(self) -> None:
            self.noted: list[str] = []

        def compute_trajectory(self, agent_input: Any, scene: Any) -> Any:
            self.noted.append("plan")
            return make_trajectory(np.zeros((8, 3), dtype=np.float32), 0.5)

        def forget(self, log_name: str) -> None:
            self.noted.append(log_name)

    agent = Noting()
    planner = AgentPlanner(agent)
    for _ in range(2):
        stage = stage_of("light_straight")
        witness = Witness(stage, {}, None, 0)
        for _ in range(2):
            planner.plan(stage, witness, stage.decide())
    name = "closed_loop_1_light_straight-000"
    assert agent.noted == [name, "plan", "plan", name, "plan", "plan"]
