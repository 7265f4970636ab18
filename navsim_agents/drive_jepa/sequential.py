"""Closed-loop use: frames of a log in order of time, each plan chosen with the one that was really driven before it."""

from __future__ import annotations

from typing import Any

from navsim_agents.data.types import FRAME_INTERVAL_S
from navsim_agents.devkit.bases import make_trajectory
from navsim_agents.drive_jepa.proposal_agent import ProposalAgent
from navsim_agents.drive_jepa.selection import Choice, choose

MICROSECONDS = 1e-6


class SequentialPlanner:
    """Keeps the last choice of every log; a gap of 0.55 s or more, or a step back in time, starts a log afresh.

    The released evaluation works like this. ``ProposalAgent.compute_trajectory`` keeps nothing and replans instead.
    """

    def __init__(self, agent: ProposalAgent) -> None:
        self._agent = agent
        self._last: dict[str, tuple[int, Choice]] = {}

    def compute_trajectory(self, agent_input: Any, log_name: str, timestamp_us: int) -> Any:
        """Plan one frame, taken at ``timestamp_us`` (microseconds) of ``log_name``.

        Raises:
            InputError: the scene lacks a camera, or its values break a rule.
        """
        return make_trajectory(self.choose(agent_input, log_name, timestamp_us).plan.numpy(), FRAME_INTERVAL_S)

    def choose(self, agent_input: Any, log_name: str, timestamp_us: int) -> Choice:
        """The same, with what the plan was chosen from and by.

        Raises:
            InputError: as :meth:`compute_trajectory`.
        """
        last_us, previous = self._last.get(log_name, (timestamp_us, None))
        gap_s = (timestamp_us - last_us) * MICROSECONDS
        choice = choose(self._agent.propose(agent_input), previous, self._agent.config.comfort_weight, gap_s)
        self._last[log_name] = (timestamp_us, choice)
        return choice

    def forget(self, log_name: str) -> None:
        """Drop what is kept of a log that has ended."""
        self._last.pop(log_name, None)
