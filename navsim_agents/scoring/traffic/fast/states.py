"""Where a vehicle's state comes from, whether it differs from the base or not."""

from __future__ import annotations

from navsim_agents.scoring.traffic.fast.fleet import (
    AT_STEP,
    BUILT,
    CLAIMS_WAY,
    DIFFERS,
    NUM_COLUMNS,
    Base,
    Run,
)
from navsim_agents.scoring.traffic.fast.jit import part


@part
def bring(base: Base, run: Run, row: int, step: int) -> None:
    """Have the state of a vehicle of a step in ``run.now``, where it is that of the base."""
    if run.mark[row, DIFFERS] or run.mark[row, AT_STEP] == step:
        return
    for column in range(NUM_COLUMNS):
        run.now[row, column] = base.state[step, row, column]
    run.mark[row, BUILT], run.mark[row, AT_STEP] = 0, step
    run.mark[row, CLAIMS_WAY] = 1 if step > 0 else 0


@part
def bring_seen(base: Base, run: Run, row: int, other: int, step: int) -> None:
    """The same as ``row`` sees another in a step: those before it have moved already."""
    bring(base, run, other, step if other < row else step - 1)
