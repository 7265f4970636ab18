"""One step of one vehicle, and who stands beside those who drive."""

from __future__ import annotations

from navsim_agents.common.poses import FloatArray
from navsim_agents.scoring.traffic.fast.fleet import (
    BOX,
    BUILT,
    CLAIMS_WAY,
    PLACE,
    PROGRESS,
    SPEED,
    THERE,
    Figures,
    Fleet,
    Run,
)
from navsim_agents.scoring.traffic.fast.jit import part
from navsim_agents.scoring.traffic.fast.leads import acceleration_behind
from navsim_agents.scoring.traffic.fast.sight import settle
from navsim_agents.scoring.traffic.fast.touching import places_touch
from navsim_agents.scoring.traffic.fast.ways import Ways


@part
def drive_on(fleet: Fleet, figures: Figures, run: Run, row: int, lead: int) -> None:
    """Move a vehicle behind the one at ``lead`` of those noted, or towards the wall at its path's end."""
    state = run.now[row]
    later = state[SPEED] + figures.step_s * acceleration_behind(fleet, figures, run, row, lead)
    state[PROGRESS] += figures.step_s * state[SPEED]
    state[SPEED] = max(later, 0.0)


@part
def claim(ways: Ways, run: Run, row: int) -> None:
    """Fill in the state of a vehicle that has moved; its outline is not made yet."""
    settle(ways, row, run.now[row])
    for column in range(4):
        run.now[row, BOX + column] = run.now[row, PLACE + column]
    run.mark[row, BUILT], run.mark[row, CLAIMS_WAY] = 0, 1


@part
def who_stands(fleet: Fleet, run: Run, out: FloatArray) -> None:
    """Which standing vehicles touch neither one that drives nor one kept before them."""
    for row in range(len(fleet.standing)):
        out[row] = True
        place, half = fleet.standing[row][:4], fleet.standing[row][4:]
        for other in range(len(fleet.start)):
            if out[row] and fleet.nearby[row, other] and run.mark[other, THERE]:
                out[row] = not places_touch(place, half, run.now[other, PLACE : PLACE + 4], fleet.body[other])
        for other in range(row):
            if out[row] and out[other]:
                out[row] = not places_touch(place, half, fleet.standing[other][:4], fleet.standing[other][4:])
