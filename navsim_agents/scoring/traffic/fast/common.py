"""Where two paths come near each other, and where a path leads past those who stand."""

from __future__ import annotations

from math import inf

from navsim_agents.common.poses import FloatArray
from navsim_agents.scoring.traffic.fast.columns import BEGIN, END
from navsim_agents.scoring.traffic.fast.fleet import HALF_LENGTH, HALF_WIDTH, HULL, Fleet, Run
from navsim_agents.scoring.traffic.fast.jit import kernel, part
from navsim_agents.scoring.traffic.fast.touching import box_gap_squared
from navsim_agents.scoring.traffic.fast.ways import IntArray, Ways


@part
def note_common(ways: Ways, row: int, hull: FloatArray, out: IntArray) -> None:
    """From which chunk of a path to before which a bounding box meets any; the same twice where it meets none."""
    out[0], out[1] = 0, 0
    for chunk in range(ways.chunk_first[row], ways.chunk_first[row + 1]):
        if box_gap_squared(ways.chunk[chunk], hull) <= 0.0:
            if out[1] == 0:
                out[0] = chunk
            out[1] = chunk + 1


@part
def _note_hull(ways: Ways, row: int, out: FloatArray) -> None:
    """Bounding box of the ground beside a whole path."""
    out[0], out[1], out[2], out[3] = inf, inf, -inf, -inf
    for chunk in range(ways.chunk_first[row], ways.chunk_first[row + 1]):
        box = ways.chunk[chunk]
        out[0], out[1], out[2], out[3] = (
            min(out[0], box[0]),
            min(out[1], box[1]),
            max(out[2], box[2]),
            max(out[3], box[3]),
        )


@kernel
def find_common(fleet: Fleet, run: Run, out: IntArray) -> None:
    """Fill in who stands beside which path, and for two vehicles [R, R, 2] the chunks of the first's near the second's.

    A vehicle's box may stick out of its path, but no farther than half its length and half its width together.
    """
    ways, body, hull, found = fleet.ways, fleet.body, run.hull, run.common[0][0]
    for row in range(len(fleet.start)):
        _note_hull(ways, row, run.now[row, HULL : HULL + 4])
    for other in range(len(fleet.start)):
        aside = body[other, HALF_LENGTH] + body[other, HALF_WIDTH]
        for row in range(len(fleet.start)):
            out[row, other, BEGIN], out[row, other, END] = len(ways.chunk), 0
        for chunk in range(ways.chunk_first[other], ways.chunk_first[other + 1]):
            box = ways.chunk[chunk]
            hull[0], hull[1], hull[2], hull[3] = box[0] - aside, box[1] - aside, box[2] + aside, box[3] + aside
            for row in range(len(fleet.start)):
                if box_gap_squared(run.now[row, HULL : HULL + 4], hull) > 0.0:
                    continue
                note_common(ways, row, hull, found)
                if found[1] > 0:
                    out[row, other, BEGIN] = min(out[row, other, BEGIN], found[0])
                    out[row, other, END] = max(out[row, other, END], found[1])
        for row in range(len(fleet.standing)):
            place = fleet.standing[row]
            reach = place[4] + place[5] + aside
            hull[0], hull[1], hull[2], hull[3] = place[0] - reach, place[1] - reach, place[0] + reach, place[1] + reach
            note_common(ways, other, hull, found)
            fleet.nearby[row, other] = found[1] > 0
            fleet.is_beside[other] = fleet.is_beside[other] or fleet.nearby[row, other]
