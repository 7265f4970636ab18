"""A planner of Bench2Drive's clips sees in the loop what a clip of the same moment shows, and drives."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from jaxtyping import UInt8

from navsim_agents.bench2drive.clips import read_clip
from navsim_agents.bench2drive.frames import BACK, FRONT, FRONT_LEFT
from navsim_agents.bench2drive.inputs import COMMANDS, Bench2DriveInput
from navsim_agents.closed_loop import runs
from navsim_agents.closed_loop.clip_planner import NOW, ClipPlanner
from navsim_agents.closed_loop.config import DriveLoopConfig
from navsim_agents.closed_loop.drive import drive_route
from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.planners import AgentPlanner, Planner
from navsim_agents.closed_loop.restart import RestartingPlanner
from navsim_agents.closed_loop.runs import choose_routes, drive_all, planner_of
from navsim_agents.closed_loop.stage import Stage, town_map_of
from navsim_agents.common.conventions import NUM_POSES
from navsim_agents.common.poses import XY
from navsim_agents.errors import InputError
from navsim_agents.evaluation.baselines import ConstantVelocity
from navsim_agents.world.camera.model import CameraModel
from navsim_agents.world.config import ClipPictures
from navsim_agents.world.types import Drive
from navsim_agents.world.writers.bench2drive import ClipWriter, clip_camera, clip_name
from tests.bench2drive.planners import StandIn, straight
from tests.closed_loop.given import TOWN, WORLD_SEED, stage_of

CAMERAS = (BACK, FRONT, FRONT_LEFT)
SMALL = ClipPictures(width=160)


class Noise:
    """Paints noise of its own for every place of the car, every camera, and everybody who is there."""

    def render(self, drive: Drive, step: int, camera: CameraModel) -> UInt8[np.ndarray, "H W 3"]:
        others = [track.poses[step] for track in drive.tracks if track.valid[step]]
        place = (drive.ego.poses[step], camera.sensor2lidar_rotation, camera.sensor2lidar_translation, *others)
        told = np.concatenate([*map(np.ravel, place), np.ravel(camera.intrinsics)]).tobytes()
        rng = np.random.default_rng(np.frombuffer(told, np.uint8))
        return rng.integers(0, 256, (camera.height, camera.width, 3), np.uint8)


def staged(situation: str, planner: Planner) -> tuple[Stage, Witness]:
    stage = stage_of(situation)
    stage.hand_over(is_expert=False)
    return stage, Witness(stage, planner.cameras, Noise(), 90)


def read_back(folder: Path, stage: Stage, witness: Witness) -> Bench2DriveInput:
    """The moment as the reader of a clip has it that the world's writer wrote."""
    folder /= clip_name(TOWN, 0)
    writer = ClipWriter(witness.drive(), town_map_of(TOWN, WORLD_SEED), folder)
    writer.write_annotations()
    cameras = [clip_camera(name, SMALL.width, SMALL.height) for name in CAMERAS]
    writer.write_pictures(Noise().render, cameras, 5, SMALL.jpeg_quality)
    return read_clip(folder).input(NOW, CAMERAS, 2)


def aside(stage: Stage, metres: float, turn: float) -> None:
    """The car to the left of where it is, turned: no expert would be there."""
    x, y, heading = stage.car.pose
    stage.car.state[:3] = x - metres * np.sin(heading), y + metres * np.cos(heading), heading + turn


@pytest.mark.parametrize("situation", ["light_left", "lane_change"])
def test_it_sees_what_a_clip_of_the_moment_shows(situation: str, tmp_path: Path) -> None:
    agent = StandIn(cameras=CAMERAS)
    planner = ClipPlanner(agent, SMALL)
    stage, witness = staged(situation, planner)
    stage.decide()
    stage.car.follow(straight(stage.car.speed))
    for _ in range(6):
        stage.car.move()
        stage.move(stage.decide())
    aside(stage, 1.2, 0.3)
    stage.move(stage.decide())
    planner.plan(stage, witness, stage.decide())
    seen, wanted = agent.seen[-1], read_back(tmp_path, stage, witness)
    assert list(seen.pictures) == list(CAMERAS)
    for name in CAMERAS:
        assert seen.pictures[name].shape == (2, 90, 160, 3)
        np.testing.assert_array_equal(seen.pictures[name], wanted.pictures[name])
        assert (seen.pictures[name][0] != seen.pictures[name][1]).any()
    assert seen.command == wanted.command
    assert seen.speed_mps == pytest.approx(wanted.speed_mps)
    assert seen.speed_mps == pytest.approx(stage.car.speed)
    np.testing.assert_allclose(seen.acceleration, wanted.acceleration, atol=1e-9)
    np.testing.assert_allclose(seen.target_point, wanted.target_point, atol=1e-6)
    assert seen.target_point[0] > 4.0


def test_targets_and_commands_are_those_of_the_true_place() -> None:
    """Turned to the left by 0.3 rad, the target lies farther to the right; near the junction it is its left turn."""
    agent = StandIn(cameras=(FRONT,), num_input_frames=1)
    planner = ClipPlanner(agent, SMALL)
    stage, witness = staged("light_left", planner)
    planner.plan(stage, witness, stage.decide())
    aside(stage, 0.0, 0.3)
    stage.move(stage.decide())
    planner.plan(stage, witness, stage.decide())
    before, turned = (seen.target_point for seen in agent.seen)
    assert np.hypot(*turned) == pytest.approx(np.hypot(*before))
    assert np.arctan2(*turned[::-1]) - np.arctan2(*before[::-1]) == pytest.approx(-0.3)
    assert COMMANDS[agent.seen[0].command] == "follow"
    at = stage.graph.lengths[stage.route.start_lane] - stage.route.start_m - 3.0  # m before the junction
    stage.car.state[:3] = stage.line.points[round(at / np.hypot(*np.diff(stage.line.points[:2, XY], axis=0)[0]))]
    stage.move(stage.decide())
    planner.plan(stage, witness, stage.decide())
    assert COMMANDS[agent.seen[-1].command] == "left"


def test_plans_go_on_to_four_seconds_and_are_driven_as_they_are() -> None:
    """The rear axle drives what the plan says, without a shift to CARLA's origin."""
    agent = StandIn(cameras=(FRONT,))
    agent.plan_input = lambda seen: straight(6.0)  # type: ignore[method-assign]
    planner = ClipPlanner(agent, SMALL)
    stage, witness = staged("light_straight", planner)
    plan = planner.plan(stage, witness, stage.decide())
    assert len(plan) == NUM_POSES
    np.testing.assert_allclose(plan, np.column_stack((3.0 * np.arange(1, 9), np.zeros((8, 2)))))


def test_it_drives_to_its_targets() -> None:
    agent = StandIn(speed_mps=6.0, cameras=(FRONT,))
    planner = ClipPlanner(agent, ClipPictures(width=64))
    stage = stage_of("light_straight", time_limit_s=3.0)
    start = stage.simulation.record.ego[-1][XY]
    found = drive_route(stage, planner, Witness(stage, planner.cameras, Noise(), 90), 5, 3.0)
    assert (found.error, found.record.status) == ("", "Failed - TickRuntime")
    assert len(agent.seen) == 6
    assert stage.car.speed == pytest.approx(6.0, abs=1.0)
    assert np.hypot(*(stage.car.pose[XY] - start)) > 12.0
    assert not {"outside_route_lanes", "route_dev"} & found.record.infractions.keys()


@pytest.mark.parametrize("plan", [np.zeros((6, 2)), np.full((6, 3), np.nan)])
def test_what_is_no_plan_is_refused(plan: np.ndarray) -> None:
    agent = StandIn(cameras=(FRONT,))
    agent.plan_input = lambda seen: plan  # type: ignore[method-assign]
    planner = ClipPlanner(agent, SMALL)
    stage, witness = staged("light_straight", planner)
    with pytest.raises(InputError, match="mend the agent"):
        planner.plan(stage, witness, stage.decide())


def test_who_looks_too_far_back_is_refused() -> None:
    with pytest.raises(InputError, match="agent sees 5 frames"):
        ClipPlanner(StandIn(num_input_frames=5), SMALL)


def settings(folder: Path, **given: Any) -> DriveLoopConfig:
    known = {"towns": [TOWN], "world_seed": WORLD_SEED, "routes": 1, "vehicles": 2, "time_limit_s": 1.0}
    return DriveLoopConfig(str(folder), **{"baselines": [], "runs": {"mine": "RUN"}, **known, **given})


def test_the_loaded_agent_says_who_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for agent, kind in ((StandIn(cameras=(FRONT,)), ClipPlanner), (ConstantVelocity(), AgentPlanner)):
        monkeypatch.setattr(runs, "_PLANNERS", {})
        monkeypatch.setattr(runs, "load_agent", lambda *given, agent=agent, **more: agent)
        assert type(planner_of(settings(tmp_path), "mine")) is kind
        restarting = planner_of(settings(tmp_path, restart_after_s=10.0), "mine")
        assert isinstance(restarting, RestartingPlanner)


def test_drives_with_pictures_of_two_sizes_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = StandIn(cameras=(FRONT,))
    monkeypatch.setattr(runs, "_PLANNERS", {})
    monkeypatch.setattr(runs, "load_agent", lambda *given, **more: agent)
    monkeypatch.setattr(runs, "REAL", SimpleNamespace(painter=lambda *given: Noise()))
    config = settings(tmp_path, clips=SMALL)
    drive_all(config, choose_routes(config))
    assert [seen.pictures[FRONT].shape for seen in agent.seen] == [(2, 90, 160, 3)] * 2
    for other in (ClipPictures(), ClipPictures(width=320)):
        config = settings(tmp_path, clips=other)
        with pytest.raises(InputError, match=r"holds routes driven with clips=.*'width': 160"):
            drive_all(config, choose_routes(config))
