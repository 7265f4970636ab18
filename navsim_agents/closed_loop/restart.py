"""A way out for agents that learnt from logs: who stands in a log mostly stays, so they stand for ever.

Foreseen scores cannot tell it from a wait that is right: a plan that stays scores best in most frames of a car that
stands. Agents of CARLA's leaderboard have a way out, too: TransFuser's (autonomousvision/transfuser,
``team_code_transfuser/submission_agent.py``) creeps for 1.5 s once it was slower than 0.1 m/s for 55 s. Here it is an
option.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

import numpy as np

from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.planners import AgentPlanner, Plan, Planner
from navsim_agents.closed_loop.stage import Stage
from navsim_agents.common.conventions import NUM_POSES, POSE_INTERVAL_S, WORLD_STEP_S
from navsim_agents.common.poses import X
from navsim_agents.drive_jepa.selection import Proposals
from navsim_agents.world.simulation import STANDING_MPS, Decision

MOVES_M = 3.0
"""How far the last pose of a plan lies from the car, at least, for the plan to be one that drives on."""
DRIVES_ON_S = 4.0
CREEP_MPS = 2.0


class Patience:
    """Of a car that stands: over once it has stood for ``after_s``, for the next 4 s."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._stands_since_s: Optional[float] = None
        self._until_s = 0.0

    def is_over(self, now_s: float, speed_mps: float) -> bool:
        """Whether to drive on now; to be asked at each plan."""
        if speed_mps > STANDING_MPS:
            self._stands_since_s = None
        elif self._stands_since_s is None:
            self._stands_since_s = now_s
        elif now_s - self._stands_since_s >= self._after_s:
            self._stands_since_s, self._until_s = None, now_s + DRIVES_ON_S
        return now_s < self._until_s


class RestartingPlanner:
    """``planner``, but after standing for ``after_s`` the car drives on for 4 s.

    It then follows the best foreseen of the proposals that drive on; where none does, or an agent has no proposals, it
    creeps straight ahead. A plan of the agent's own that drives on is always kept. Momentum goes on from the agent's
    own choice, whatever was driven in its place.
    """

    is_expert = False

    def __init__(self, planner: Planner, after_s: float) -> None:
        self._planner, self._after_s = planner, after_s
        self._stage: Optional[Stage] = None
        self._patience = Patience(after_s)

    @property
    def cameras(self) -> Mapping[str, tuple[int, ...]]:
        """The planner's."""
        return self._planner.cameras

    def plan(self, stage: Stage, witness: Witness, decision: Decision) -> Plan:
        """The agent's plan, or one that drives on."""
        if stage is not self._stage:
            self._stage, self._patience = stage, Patience(self._after_s)
        plan = self._planner.plan(stage, witness, decision)
        if not self._patience.is_over(stage.step * WORLD_STEP_S, stage.car.speed) or drives_on(plan):
            return plan
        return driving_on(self._planner.proposals(witness) if isinstance(self._planner, AgentPlanner) else None)


def drives_on(plan: Plan) -> bool:
    """Whether it ends well ahead of the car."""
    return float(plan[-1, X]) >= MOVES_M


def driving_on(proposals: Optional[Proposals]) -> Plan:
    """The best foreseen of ``proposals`` that drives on, else straight ahead at 2 m/s."""
    if proposals is not None:
        order = proposals.scores.argsort(descending=True).tolist()
        for poses in (np.asarray(proposals.poses[row], dtype=np.float64) for row in order):
            if drives_on(poses):
                return poses
    creep = np.zeros((NUM_POSES, 3))
    creep[:, X] = CREEP_MPS * POSE_INTERVAL_S * np.arange(1, NUM_POSES + 1)
    return creep
