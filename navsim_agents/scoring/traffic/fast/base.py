"""The traffic of a scene without an ego, simulated once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from navsim_agents.common.poses import FloatArray
from navsim_agents.scoring.traffic.fast.driving import claim, drive_on, who_stands
from navsim_agents.scoring.traffic.fast.fleet import (
    BOX,
    BUILT,
    CLAIMS_WAY,
    DIFFERS,
    NUM_COLUMNS,
    PLACE,
    PROGRESS,
    SPEED,
    THERE,
    Base,
    Figures,
    Fleet,
    Run,
)
from navsim_agents.scoring.traffic.fast.jit import kernel, part
from navsim_agents.scoring.traffic.fast.leads import UNSURE, lead_of
from navsim_agents.scoring.traffic.fast.sight import build_ground, look_ahead, settle


def base_of(fleet: Fleet, figures: Figures, num_states: int, gone: Bool[np.ndarray, " R"]) -> tuple[Base, bool]:
    """Everybody's states without an ego, and whether no tie hangs on rounding; ``gone`` are there at t0 alone."""
    rows = len(fleet.start)
    room = num_states * rows * max(rows - 1, 0)
    base = Base(
        state=np.zeros((num_states, rows, NUM_COLUMNS)),
        met_first=np.zeros(num_states * rows + 1, dtype=np.int64),
        met=np.zeros(room, dtype=np.int64),
        gap=np.zeros(room),
        stands=np.ones((num_states, len(fleet.standing)), dtype=np.bool_),
        gone=gone,
        span=np.zeros((rows, 4)),
    )
    run = Run.room_for(fleet)
    is_sure = np.ones(1, dtype=bool)
    _simulate(fleet, figures, base, run, is_sure)
    filled = base.met_first[-1]
    places = base.state[:, :, PLACE : PLACE + 2]
    base.span[:] = np.concatenate((places.min(axis=0), places.max(axis=0)), axis=1)
    return base._replace(met=base.met[:filled].copy(), gap=base.gap[:filled].copy()), bool(is_sure[0])


@part
def _keep(run: Run, row: int, state: FloatArray) -> None:
    """Copy a vehicle's state into the base."""
    for column in range(NUM_COLUMNS):
        state[column] = run.now[row, column]


@part
def _start(fleet: Fleet, figures: Figures, base: Base, run: Run) -> None:
    """The vehicles at t0, claiming no more than their snapped boxes."""
    for row in range(len(fleet.start)):
        run.now[row, PROGRESS], run.now[row, SPEED] = fleet.start[row, PROGRESS], fleet.start[row, SPEED]
        settle(fleet.ways, row, run.now[row])
        for column in range(4):
            run.now[row, BOX + column] = fleet.snapped[row, column]
        run.mark[row, BUILT], run.mark[row, CLAIMS_WAY] = 0, 0
        build_ground(fleet.ways, fleet.body, run, row, figures.headway_s)
        _keep(run, row, base.state[0, row])
        run.mark[row, THERE], run.mark[row, DIFFERS] = not base.gone[row], 1  # from a base that is not there yet


@kernel
def _simulate(fleet: Fleet, figures: Figures, base: Base, run: Run, is_sure: FloatArray) -> None:
    """Fill in the base; ``is_sure`` [1] bool, True at first: False where a tie hangs on rounding."""
    ways, body, headway_s = fleet.ways, fleet.body, figures.headway_s
    rows, filled = len(fleet.start), 0
    _start(fleet, figures, base, run)
    for step in range(1, len(base.state)):
        for row in range(rows):
            base.met_first[step * rows + row] = filled
            if base.gone[row]:
                continue
            count = look_ahead(fleet, base, run, row, step, 0, False, True, headway_s)
            lead = lead_of(fleet, figures, run, row, count, True)
            is_sure[0] = is_sure[0] and lead != UNSURE
            for index in range(count):
                base.met[filled], base.gap[filled] = run.met[index], run.gap[index]
                filled += 1
            drive_on(fleet, figures, run, row, lead)
            claim(ways, run, row)
            build_ground(ways, body, run, row, headway_s)
            _keep(run, row, base.state[step, row])
        who_stands(fleet, run, base.stands[step])
    base.met_first[len(base.state) * rows] = filled
