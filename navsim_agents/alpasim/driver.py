"""An agent at the wheel: plans one after another, each session with its own memory of what it planned before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from navsim_agents.alpasim.ego import SECONDS
from navsim_agents.alpasim.fair_lock import FairLock
from navsim_agents.alpasim.faults import FAILED_PRECONDITION, INVALID_ARGUMENT, DriverFault
from navsim_agents.alpasim.pictures import DeclaredCamera
from navsim_agents.alpasim.plans import LocalPlan, hang, refuse_beyond
from navsim_agents.alpasim.route import UNKNOWN, one_hot
from navsim_agents.alpasim.session import NOW, Sensors, Session
from navsim_agents.common.conventions import CAMERA_HEIGHT_PX, CAMERA_WIDTH_PX, NUM_HISTORY_FRAMES
from navsim_agents.data.logs import sensors_of
from navsim_agents.data.types import AgentInput, Cameras, EgoStatus
from navsim_agents.drive_jepa.sequential import SequentialPlanner
from navsim_agents.errors import InputError
from navsim_agents.evaluation.agents import has_momentum

OPTICAL_IN_RIG = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Turn of a camera that looks straight ahead."""


class Driver:
    """One agent for all sessions; the network is one, so it plans for one at a time, in the order of asking."""

    def __init__(self, agent: Any, name: str, *, sequential: bool = True, max_age_s: float = 1.0) -> None:
        """Take an agent.

        Args:
            agent: with NAVSIM's interface; its weights are loaded.
            name: what clients are told.
            sequential: whether momentum goes on from what a session was really answered, as the released evaluation
                does; else, and in an agent without momentum, every plan is made from the pictures and poses alone.
            max_age_s: of the newest pictures and of the newest pose that a plan is made from.

        Raises:
            InputError: the agent plans from what only a log knows.
        """
        if getattr(agent, "requires_scene", False):
            raise InputError(f"{name} needs the scene of a log, which no client sends; serve another agent")
        self.name = name
        self._agent = agent
        self._max_age_us = round(max_age_s * 1e6)
        self._planner = SequentialPlanner(agent) if sequential and has_momentum(agent) else None
        self._turn = FairLock()
        self.sensors: Sensors = self._wanted()

    def _wanted(self) -> Sensors:
        """Cameras and frames; a plan that goes on from a real one needs none to plan the frame before again."""
        wanted = sensors_of([self._agent])
        if self._planner is None:
            return wanted
        replanned = int(self._agent.config.momentum.replanned)
        return {name: frames[replanned:] for name, frames in wanted.items()}

    def plan(self, session: Session, now_us: int, query_us: int) -> LocalPlan:
        """From ``now_us`` to past ``query_us`` [us], in the session's local frame.

        Raises:
            DriverFault: something is missing, too old, or not as the agent needs it.
        """
        planned_us = session.planning_time_us(now_us, self._max_age_us)
        age_us = session.ego.age_us(now_us) or 0
        agent_input = session.agent_input(planned_us)
        try:
            with self._turn.held():
                trajectory = self._trajectory(agent_input, session.uuid, planned_us)
        except InputError as error:
            raise DriverFault(FAILED_PRECONDITION, str(error)) from error
        planned_at, now_at = session.ego.pose(planned_us), session.ego.pose(now_us)
        plan = hang(trajectory, planned_us, planned_at, now_us, now_at)
        plan.ages_s.update(pictures=(now_us - planned_us) * SECONDS, egomotion=age_us * SECONDS)
        refuse_beyond(plan, query_us)
        session.forget_before(planned_us)
        return plan

    def _trajectory(self, agent_input: AgentInput, session: str, planned_us: int) -> Any:
        if self._planner is None:
            return self._agent.compute_trajectory(agent_input)
        return self._planner.compute_trajectory(agent_input, session, planned_us)

    def forget(self, session: str) -> None:
        """Drop the memory of a session that has ended."""
        if self._planner is not None:
            with self._turn.held():
                self._planner.forget(session)

    def names_of(self, declared: list[str], names: Mapping[str, str]) -> dict[str, str]:
        """What the client calls the cameras that the agent looks through.

        Args:
            declared: the client's names.
            names: NAVSIM's → the client's, where they differ by more than capital letters.

        Raises:
            DriverFault: one is not there.
        """
        usual = {theirs.lower(): theirs for theirs in declared}
        found = {name: names.get(name, usual.get(name, "")) for name in self.sensors}
        missing = [name for name, theirs in found.items() if theirs not in declared]
        if missing:
            raise DriverFault(
                INVALID_ARGUMENT,
                f"the session has cameras {sorted(declared)}, but {self.name} looks through {missing[0]}; declare it, "
                f"or serve with +cameras.{missing[0]}=<what it is called there>",
            )
        return found

    def warm_up(self) -> None:
        """Plan once from black pictures, so that no client waits for what the first plan loads."""
        camera = DeclaredCamera(
            CAMERA_WIDTH_PX,
            CAMERA_HEIGHT_PX,
            np.array([[1e3, 0.0, CAMERA_WIDTH_PX / 2], [0.0, 1e3, CAMERA_HEIGHT_PX / 2], [0.0, 0.0, 1.0]]),
            OPTICAL_IN_RIG,
            np.zeros(3),
            np.zeros(5),
        ).with_picture(np.zeros((CAMERA_HEIGHT_PX, CAMERA_WIDTH_PX, 3), np.uint8))
        still = EgoStatus(np.zeros(3), np.zeros(2, np.float32), np.zeros(2, np.float32), one_hot(UNKNOWN))
        shown = Cameras(**dict.fromkeys(self.sensors, camera))
        black = AgentInput([still] * NUM_HISTORY_FRAMES, [shown] * NUM_HISTORY_FRAMES)
        self._trajectory(black, "", NOW)
        self.forget("")
