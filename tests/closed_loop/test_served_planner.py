"""A served driver in the world's closed loop, over real gRPC: it drives as its agent does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch

from navsim_agents.closed_loop import runs
from navsim_agents.closed_loop.config import DriveLoopConfig
from navsim_agents.closed_loop.drive import CRASHED, Driven, drive_route
from navsim_agents.closed_loop.line import RouteLine
from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.planners import Plan, Planner
from navsim_agents.closed_loop.results import summarise
from navsim_agents.closed_loop.runs import DriveTask, choose_routes, drive_all
from navsim_agents.closed_loop.stage import Stage, place_of
from navsim_agents.common.conventions import FRONT_CAMERA
from navsim_agents.data.types import AgentInput
from navsim_agents.drive_jepa import ProposalAgent
from navsim_agents.drive_jepa.sequential import SequentialAgent
from navsim_agents.errors import InputError
from navsim_agents.evaluation.baselines import ConstantVelocity
from navsim_agents.poses import points_to_global, poses_to_global
from navsim_agents.world.writers.logs import frame_steps, timestamp_us
from tests.alpasim.package import needing_package
from tests.closed_loop.given import TOWN, WORLD_SEED, route_of, stage_of
from tests.drive_jepa.planner_scenes import TINY_PLANNER, picture

rollouts: Any = needing_package("tests.alpasim.rollouts")

from navsim_agents.alpasim.client import TimedPlan  # noqa: E402
from navsim_agents.alpasim.driver import Driver  # noqa: E402
from navsim_agents.alpasim.route import LEFT, RIGHT, STRAIGHT, UNKNOWN, driving_command, one_hot  # noqa: E402
from navsim_agents.alpasim.server import GRACE_S, Limits, serving  # noqa: E402
from navsim_agents.closed_loop.served_planner import (  # noqa: E402
    ServedPlanner,
    from_nearest,
    in_rig,
    line_ahead,
    told_route,
)

TOLERANCE = 1e-5  # m and rad in the rig frame, near the origin of the local one; the wire is float32
QUALITY = 80
SECONDS = 2.0
PLANS = 4


class Painter:
    """Patches that every step has others of; the real one takes a second a picture."""

    def render(self, drive: Any, step: int, camera: Any) -> np.ndarray:
        assert camera.name == FRONT_CAMERA
        return picture(timestamp_us(drive, step) // 100_000 % 100_000)


class Commanded:
    """An agent in the loop itself, with the commands that a served one makes of the route."""

    is_expert = False
    cameras: Mapping[str, tuple[int, ...]] = {FRONT_CAMERA: (2, 3)}

    def __init__(self, agent: Any) -> None:
        self._agent, self.plans = agent, list[Plan]()

    def plan(self, stage: Stage, witness: Witness, decision: Any) -> Plan:
        drive = witness.drive()
        scene = witness.scene(drive)
        shown = witness.agent_input(drive, scene)
        line, statuses = line_ahead(stage.graph, stage.route), []
        for step, status in zip(frame_steps(drive), shown.ego_statuses):
            pose = drive.ego.poses[step]
            command = driving_command(told_route(from_nearest(line, pose), pose))
            statuses.append(replace(status, driving_command=one_hot(command)))
        extra = (scene,) if getattr(self._agent, "requires_scene", False) else ()
        poses = self._agent.compute_trajectory(AgentInput(statuses, shown.cameras), *extra).poses
        self.plans.append(np.asarray(poses, dtype=np.float64))
        return self.plans[-1]


class Beside:
    """Follows a served driver; from the same frames its agent plans beside it."""

    is_expert = False
    cameras = ServedPlanner.cameras

    def __init__(self, served: ServedPlanner, beside: Commanded) -> None:
        self._served, self._beside, self.plans = served, beside, list[Plan]()

    def plan(self, stage: Stage, witness: Witness, decision: Any) -> Plan:
        self._beside.plan(stage, witness, decision)
        self.plans.append(self._served.plan(stage, witness, decision))
        return self.plans[-1]


def drive(planner: Planner, situation: str = "light_left") -> Driven:
    stage = stage_of(situation, time_limit_s=SECONDS)
    return drive_route(stage, planner, Witness(stage, planner.cameras, Painter(), QUALITY), 5, SECONDS)


def proposal_agent(mode: str) -> ProposalAgent:
    torch.manual_seed(7)
    return ProposalAgent({**TINY_PLANNER, "momentum": {"mode": mode, "comfort_weight": 0.9}}, device="cpu")


def local(agent: ProposalAgent, mode: str) -> Commanded:
    return Commanded(SequentialAgent(agent) if mode == "on" else agent)


@contextmanager
def served(agent: Any, port: int = 0) -> Iterator[tuple[str, Any]]:
    """Where ``agent`` is served, and the service."""
    with serving(Driver(agent, "told"), Limits(), port=port) as (bound, service):
        yield f"localhost:{bound}", service


@pytest.mark.parametrize("mode", ["off", "on"])
def test_a_served_agent_drives_as_the_agent_does(mode: str) -> None:
    agent = proposal_agent(mode)
    alone, beside = local(agent, mode), local(agent, mode)
    expected = drive(alone)
    with served(agent) as (target, service):
        with ServedPlanner(target, QUALITY) as planner:
            both = Beside(planner, beside)
            found = drive(both)
            assert len(service.sessions) == 1
        assert len(service.sessions) == 0
    assert found.error == expected.error == ""
    assert len(both.plans) == len(beside.plans) == len(alone.plans) == PLANS
    assert np.ptp(np.stack(alone.plans), axis=0).max() > 0.01, "the agent always plans the same"
    np.testing.assert_allclose(both.plans, beside.plans, atol=TOLERANCE, rtol=0.0)
    np.testing.assert_allclose(both.plans, alone.plans, atol=TOLERANCE, rtol=0.0)
    assert replace(found.record, duration_system_s=0.0) == replace(expected.record, duration_system_s=0.0)


def test_a_server_that_vanishes_costs_its_routes_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the first of two; when it is back both are driven, and what another has driven is kept."""
    monkeypatch.setattr(type(runs.REAL), "painter", lambda *asked: Painter())
    with ExitStack() as stack:
        agent = ConstantVelocity()
        target, _ = stack.enter_context(served(Vanishing(agent, stack, calls=2)))
        config = DriveLoopConfig(
            str(tmp_path), ["constant_velocity"], towns=[TOWN], world_seed=WORLD_SEED, routes=2, vehicles=2,
            time_limit_s=1.5, served={"far": target},
        )  # fmt: skip
        chosen = choose_routes(config)
        summary = summarise(config, chosen, drive_all(config, chosen))
    assert [(crash["agent"], crash["route"]) for crash in summary["crashed"]] == [("far", it.name) for it in chosen]
    assert all(CRASHED in crash["status"] for crash in summary["crashed"])
    for route in chosen:
        words = DriveTask("far", route, config).error_path.read_text()
        assert f"the driver at {target} answers " in words
    with pytest.raises(InputError, match=f"the driver at {target} answers UNAVAILABLE"):
        drive_all(config, chosen)
    monkeypatch.setattr(runs, "planner_of", lambda *asked: pytest.fail("what was driven is driven again"))
    with served(agent, int(target.rpartition(":")[-1])) as (_, service):
        driven = drive_all(config, chosen)
        assert len(service.sessions) == 0
    for ours, theirs in zip(driven["far"], driven["constant_velocity"]):
        assert replace(ours, duration_system_s=0.0) == replace(theirs, duration_system_s=0.0)
    assert drive_all(config, chosen)["far"] == driven["far"]  # nothing is left to drive: nobody is called


class Vanishing:
    """An agent whose server stops in one of its calls; it does not come to answer."""

    def __init__(self, agent: Any, stack: ExitStack, calls: int) -> None:
        self._agent, self._stack, self._left = agent, stack, calls
        self.get_sensor_config = agent.get_sensor_config

    def compute_trajectory(self, agent_input: AgentInput) -> Any:
        self._left -= 1
        if self._left == 0:
            Thread(target=self._stack.close).start()
            sleep(2 * GRACE_S)
        return self._agent.compute_trajectory(agent_input)


class Refusing:
    """An agent that does not like its second frame."""

    def __init__(self) -> None:
        self._agent, self._calls = ConstantVelocity(), 0
        self.get_sensor_config = self._agent.get_sensor_config

    def compute_trajectory(self, agent_input: AgentInput) -> Any:
        self._calls += 1
        if self._calls > 1:
            raise InputError("the road is too grey")
        return self._agent.compute_trajectory(agent_input)


def test_the_session_is_closed_after_an_error() -> None:
    with served(Refusing()) as (target, service):
        with ServedPlanner(target, QUALITY) as planner:
            found = drive(planner)
            assert len(service.sessions) == 1
        assert len(service.sessions) == 0
    assert CRASHED in found.record.status
    assert "answers FAILED_PRECONDITION (the road is too grey)" in found.error
    assert found.record.duration_game_s == pytest.approx(0.5)  # one plan, and the second one refused


def test_pictures_that_no_quality_is_set_for_arrive_as_rendered() -> None:
    agent = rollouts.Told()
    stage = stage_of("light_left", time_limit_s=0.1)
    with served(agent) as (target, _), ServedPlanner(target, 0) as planner:
        drive_route(stage, planner, Witness(stage, planner.cameras, Painter(), 0), 5, 0.1)
        drive_of_now = Witness(stage, {}, None, 0).drive()
    (shown,) = agent.inputs
    found = [cameras.cam_f0.image for cameras in shown.cameras[-2:]]
    assert [image.shape for image in found] == [(1080, 1920, 3)] * 2
    assert any((found[1] == picture(timestamp_us(drive_of_now, step) // 100_000 % 100_000)).all() for step in (14, 15))


@pytest.mark.parametrize("situation", ["light_left", "lane_change", "roadworks"])
def test_the_route_is_told_as_alpasim_tells_it(situation: str) -> None:
    """All along, and beyond its end: ten points over the second half of 80 m, along the line."""
    route, (graph, _) = route_of(situation), place_of(TOWN, WORLD_SEED)
    left = line = line_ahead(graph, route)
    for at in range(0, int(route.length_m), 7):
        pose = line.points[at]
        left = from_nearest(left, pose)
        told = told_route(left, pose)
        assert told.shape == (20, 2)
        assert np.isnan(told[:10]).all()
        assert np.isfinite(told[10:]).all()
        assert (np.hypot(*np.diff(told[10:], axis=0).T) < 80 / 19 + 1e-6).all()
        along = line.points[min(at + 42, len(line.points) - 1), :2]
        assert np.hypot(*(points_to_global(told[10:11], pose)[0] - along)) < 1.0


def test_what_is_told_of_a_turn_is_a_turn() -> None:
    """Bends of 50 m that begin 20 m ahead."""
    for side, command in ((1.0, LEFT), (0.0, STRAIGHT), (-1.0, RIGHT)):
        turns = np.clip(np.arange(200.0) - 20.0, 0.0, None) / 50.0 * side
        places = np.cumsum(np.stack((np.cos(turns), np.sin(turns)), axis=1), axis=0)
        line = RouteLine(np.column_stack((places, turns)))
        assert driving_command(told_route(line, np.array([1.0, 0.0, 0.0]))) == command
    assert driving_command(told_route(RouteLine(line.points[-20:]), line.points[-20])) == UNKNOWN  # ends before 42 m


def test_the_plan_of_a_driver_with_another_clock() -> None:
    """Poses every 0.4 s from a moment before now; at 0.5 s and 1.0 s they lie between."""
    here = np.array([3.0, -2.0, 3.1])
    stamps = np.arange(-1, 4) * 400_000 + 7_000_000
    local = np.column_stack((stamps * 1e-6 * 10.0 - 70.0, np.zeros(5), (stamps * 1e-6 - 7.0) * 0.2))
    plan = TimedPlan(stamps.astype(np.int64), poses_to_global(local, here))
    np.testing.assert_allclose(in_rig(plan, 7_000_000, here), [[5.0, 0.0, 0.1], [10.0, 0.0, 0.2]], atol=1e-9)


@pytest.mark.parametrize("target", ["localhost", ":50051", "localhost:", "localhost:0", "localhost:x", "h:65536"])
def test_an_address_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(InputError, match=r"served\.far=.*must be host:port"):
        DriveLoopConfig("out", served={"far": target})


@pytest.mark.parametrize("name", ["expert", "mine", "a/b", ".a"])
def test_names_are_one_rows_each(name: str) -> None:
    with pytest.raises(InputError, match="served drivers are called"):
        DriveLoopConfig("out", runs={"mine": "run"}, served={name: "localhost:1"})
