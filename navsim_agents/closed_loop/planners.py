"""Who plans in a closed loop: agents with NAVSIM's interface, the world's expert, and the reference driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.stage import Stage, town_map_of
from navsim_agents.common.conventions import NUM_STEPS, STEPS_PER_POSE, WORLD_STEP_S
from navsim_agents.common.poses import HEADING, LARGEST_M, POSE, XY, are_poses
from navsim_agents.data.logs import sensors_of
from navsim_agents.drive_jepa.selection import Proposals
from navsim_agents.drive_jepa.sequential import SequentialAgent
from navsim_agents.errors import InputError
from navsim_agents.poses import poses_to_local, wrap_angle
from navsim_agents.world.fleet import EGO, EGO_BODY, Fleet
from navsim_agents.world.following import Obstacles, find_leads, limit_accel, wanted_accel
from navsim_agents.world.reference_driver.drive import reference_trajectories
from navsim_agents.world.scoring_scenes.build import NOW, SceneBuilder
from navsim_agents.world.simulation import Decision
from navsim_agents.world.writers.logs import STEPS_PER_FRAME

NEAR_M = 70.0
WALL_MARGIN_M = 1.5  # the car stops later than it is told to, and one beyond its line may no longer wait there
FUTURE_STEPS = 10 * STEPS_PER_FRAME
Plan = Float64[np.ndarray, "P 3"]


@runtime_checkable
class Planner(Protocol):
    """Plans from where the car is."""

    is_expert: bool

    @property
    def cameras(self) -> Mapping[str, tuple[int, ...]]:
        """Cameras that it looks through: of each the history frames."""

    def plan(self, stage: Stage, witness: Witness, decision: Decision) -> Plan:
        """Poses 0.5 s apart in the car's frame now."""


class AgentPlanner:
    """An agent with NAVSIM's interface.

    One that goes on from its last plan is told which route it is on, and when that begins: another may have its name.
    """

    is_expert = False

    def __init__(self, agent: Any) -> None:
        self._agent = agent
        self._stage: Optional[Stage] = None

    @property
    def cameras(self) -> Mapping[str, tuple[int, ...]]:
        """Those of its sensor config."""
        asked: Mapping[str, tuple[int, ...]] = sensors_of([self._agent])
        return asked

    def plan(self, stage: Stage, witness: Witness, decision: Decision) -> Plan:
        """What the agent answers.

        Raises:
            InputError: that is no plan.
        """
        drive = witness.drive()
        if stage is not self._stage:
            self._stage = stage
            if isinstance(self._agent, SequentialAgent):
                self._agent.forget(drive.log_name)
        scene = witness.scene(drive)
        extra = (scene,) if self._agent.requires_scene else ()
        poses = np.asarray(
            self._agent.compute_trajectory(witness.agent_input(drive, scene), *extra).poses, dtype=np.float64
        )
        return checked_plan(poses)

    def proposals(self, witness: Witness) -> Optional[Proposals]:
        """What the agent chooses from now, as it foresaw it for its plan; None of one that has no proposals."""
        if not hasattr(self._agent, "propose"):
            return None
        drive = witness.drive()
        found: Proposals = self._agent.propose(witness.agent_input(drive, witness.scene(drive)))
        return found


def checked_plan(poses: np.ndarray) -> Plan:
    """The same; raises InputError unless it is poses [P, 3] of numbers that a car may reach."""
    if poses.ndim != 2 or poses.shape[1:] != (3,) or len(poses) < 2 or not are_poses(poses):
        raise InputError(
            f"plan has shape {poses.shape}, or is not finite or beyond {LARGEST_M:g} m; it must be poses of "
            "metres and radians in the ego frame, [P, 3]: mend the agent"
        )
    return poses


class ExpertPlanner:
    """The world's expert: along its own path, as fast as its rules let it while everybody else keeps his velocity."""

    is_expert = True
    cameras: Mapping[str, tuple[int, ...]] = {}

    def plan(self, stage: Stage, witness: Witness, decision: Decision) -> Plan:
        """Poses of its path at the stations that it will reach."""
        return expert_plan(stage, decision)


def expert_plan(stage: Stage, decision: Decision) -> Plan:
    """Poses [8, 3] of the expert's path, in the car's frame, at the stations that it will reach."""
    return plan_along_path(stage, foreseen_stations(stage, decision)[STEPS_PER_POSE::STEPS_PER_POSE])


def plan_along_path(stage: Stage, stations: Float64[np.ndarray, " P"]) -> Plan:
    """Poses [P, 3] at ``stations`` [m] of the ego's path, in the car's frame."""
    poses = stage.simulation.fleet.path_poses(np.array([EGO]), stations[None])[0, :, POSE]
    local = poses_to_local(poses, stage.car.pose)
    local[:, HEADING] = wrap_angle(local[:, HEADING])
    return local


def foreseen_stations(stage: Stage, decision: Decision) -> Float64[np.ndarray, " S"]:
    """Where the expert will be along its path [m], now and at each of the 40 steps of 0.1 s of a plan."""
    simulation = stage.simulation
    alone = _alone(simulation.fleet)
    others = _near(simulation.obstacles(decision.poses), decision.poses[EGO, XY])
    wall = np.maximum(decision.walls_m[:1] - WALL_MARGIN_M, 0.0) + alone.station
    stations = [float(alone.station[0])]
    for step in range(NUM_STEPS):
        moved = others.velocities * (step * WORLD_STEP_S)
        centers = np.column_stack((others.centers[:, XY] + moved, others.centers[:, HEADING]))
        seen = Obstacles(centers, others.sizes, others.velocities)
        lead = find_leads(alone, alone.poses(), seen, simulation.rule)
        walls = wall - alone.station
        wanted = wanted_accel(alone, lead, walls, simulation.rule)
        alone.advance(limit_accel(alone, wanted, lead, walls, simulation.rule, WORLD_STEP_S), WORLD_STEP_S)
        stations.append(float(alone.station[0]))
    return np.array(stations)


def _alone(fleet: Fleet) -> Fleet:
    """The ego's row as a fleet of its own."""
    alone = Fleet([EGO_BODY], fleet.paths.shape[1])
    for name in ("paths", "profiles", "path_length", "station", "speed", "accel"):
        setattr(alone, name, getattr(fleet, name)[:1].copy())
    return alone


def _near(obstacles: Obstacles, ego: Float64[np.ndarray, "2"]) -> Obstacles:
    """Those near the ego; the first one is the ego itself."""
    is_near = np.hypot(*(obstacles.centers[:, XY] - ego).T) < NEAR_M
    is_near[EGO] = True
    return Obstacles(obstacles.centers[is_near], obstacles.sizes[is_near], obstacles.velocities[is_near])


class ReferencePlanner:
    """The rule-based driver of scoring scenes, in PDM-Closed's role; it knows the present alone."""

    is_expert = False
    cameras: Mapping[str, tuple[int, ...]] = {}

    def plan(self, stage: Stage, witness: Witness, decision: Decision) -> Plan:
        """Every fifth of its states."""
        frames = witness.frames(witness.drive(num_after=FUTURE_STEPS))
        builder = SceneBuilder(town_map_of(stage.route.location, stage.route.world_seed), frames)
        states = reference_trajectories([builder.build(NOW)], [builder.speed_limit_mps(NOW)])[0]
        poses: Plan = states[STEPS_PER_POSE::STEPS_PER_POSE, POSE].double().numpy()
        return checked_plan(poses)
