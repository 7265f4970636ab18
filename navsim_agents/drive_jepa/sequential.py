"""Frames of a log in order of time, each plan chosen with the one that was really made before it."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from navsim_agents.common.conventions import POSE_INTERVAL_S
from navsim_agents.devkit.bases import make_trajectory
from navsim_agents.drive_jepa.proposal_agent import ProposalAgent
from navsim_agents.drive_jepa.selection import Choice, choose

MICROSECONDS = 1e-6


class Frame(NamedTuple):
    """A frame that was planned."""

    timestamp_us: int
    choice: Choice
    before: Optional[Choice]  # what it was chosen with
    gap_s: float  # since then


class SequentialPlanner:
    """Keeps the last choice of every log; a gap of 0.55 s or more, or a step back in time, starts a log afresh.

    The released evaluation works like this. ``ProposalAgent.compute_trajectory`` keeps nothing and replans instead.
    A frame that is asked for again is planned again with what came before it. With momentum off nothing is kept.
    """

    def __init__(self, agent: ProposalAgent) -> None:
        self._agent = agent
        self._last: dict[str, Frame] = {}

    def compute_trajectory(self, agent_input: Any, log_name: str, timestamp_us: int) -> Any:
        """Plan one frame, taken at ``timestamp_us`` (microseconds) of ``log_name``.

        Raises:
            InputError: the scene lacks a camera, or its values break a rule.
        """
        return make_trajectory(self.choose(agent_input, log_name, timestamp_us).plan.numpy(), POSE_INTERVAL_S)

    def choose(self, agent_input: Any, log_name: str, timestamp_us: int) -> Choice:
        """The same, with what the plan was chosen from and by.

        Raises:
            InputError: as :meth:`compute_trajectory`.
        """
        momentum = self._agent.config.momentum
        before, gap_s = self._before(log_name, timestamp_us) if momentum.is_on else (None, 0.0)
        choice = choose(self._agent.propose(agent_input), before, momentum, gap_s)
        self._last[log_name] = Frame(timestamp_us, choice, before, gap_s)
        return choice

    def _before(self, log_name: str, timestamp_us: int) -> tuple[Optional[Choice], float]:
        last = self._last.get(log_name)
        if last is None:
            return None, 0.0
        if last.timestamp_us == timestamp_us:
            return last.before, last.gap_s
        return last.choice, (timestamp_us - last.timestamp_us) * MICROSECONDS

    def forget(self, log_name: str) -> None:
        """Drop what is kept of a log that has ended."""
        self._last.pop(log_name, None)


class SequentialAgent:
    """``agent`` for an evaluation that hands over every scene of a log in order of time, with the scene itself."""

    requires_scene = True

    def __init__(self, agent: ProposalAgent) -> None:
        self._planner = SequentialPlanner(agent)
        self.config = agent.config
        self.get_sensor_config = agent.get_sensor_config
        self.propose = agent.propose

    def compute_trajectory(self, agent_input: Any, scene: Any) -> Any:
        """Plan the present frame of ``scene``, a NAVSIM ``Scene``.

        Raises:
            InputError: the scene lacks a camera, or its values break a rule.
        """
        metadata = scene.scene_metadata
        now = scene.frames[metadata.num_history_frames - 1]
        return self._planner.compute_trajectory(agent_input, metadata.log_name, now.timestamp)

    def forget(self, log_name: str) -> None:
        """Drop what is kept of a log: another of this name begins."""
        self._planner.forget(log_name)
