"""Trained agents as those who lead cars into trouble: where their own plans get them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from navsim_agents.closed_loop.config import DriveLoopConfig
from navsim_agents.closed_loop.moment import Witness
from navsim_agents.closed_loop.planners import Plan, Planner
from navsim_agents.closed_loop.recoveries import Lead, wrong_plans
from navsim_agents.closed_loop.runs import one_thread, planner_of, witness_of
from navsim_agents.closed_loop.stage import Stage
from navsim_agents.world.simulation import Decision

RUN_S = (2.0, 15.0)


@dataclass(frozen=True)
class RunLead:
    """One at the wheel."""

    planner: Planner
    witness: Witness
    lasts_s: float

    def plan(self, stage: Stage, decision: Decision) -> Plan:
        """What it answers, the same in whatever process."""
        with one_thread():
            return self.planner.plan(stage, self.witness, decision)


@dataclass(frozen=True)
class RunsLead:
    """Draws a run for a share of the routes; wrong plans lead the others."""

    share: float
    config: DriveLoopConfig = field(hash=False)  # who the runs are, and what they are shown

    def __call__(self, stage: Stage, rng: np.random.Generator) -> Lead:
        """Who leads the car of a route."""
        if rng.random() >= self.share:
            return wrong_plans(stage, rng)
        planner = planner_of(self.config, str(rng.choice([*self.config.runs])))
        return RunLead(planner, witness_of(stage, planner, self.config), float(rng.uniform(*RUN_S)))
