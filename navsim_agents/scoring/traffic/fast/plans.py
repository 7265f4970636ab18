"""The traffic of one plan after the other: only what its ego changes is simulated anew."""

from __future__ import annotations

from math import atan2, inf

from navsim_agents.common.poses import HEADING, FloatArray, X, Y
from navsim_agents.scoring.traffic.fast.columns import BEGIN, END
from navsim_agents.scoring.traffic.fast.common import note_common
from navsim_agents.scoring.traffic.fast.driving import claim, drive_on, who_stands
from navsim_agents.scoring.traffic.fast.fleet import (
    AHEAD,
    BOX,
    BUILT,
    CLAIMS_WAY,
    DIFFERS,
    HALF_LENGTH,
    HALF_WIDTH,
    NEAR_EGO,
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
from navsim_agents.scoring.traffic.fast.sight import build_ground, look_ahead, near_chunks, settle
from navsim_agents.scoring.traffic.fast.ways import IntArray

STEPS = 0  # column of a run's effort


@kernel
def simulate_plans(
    fleet: Fleet,
    figures: Figures,
    base: Base,
    run: Run,
    ego: FloatArray,
    progress: FloatArray,
    until: IntArray,
    is_own: IntArray,
    stands: FloatArray,
    is_sure: FloatArray,
) -> None:
    """Fill in what N plans meet.

    Args:
        ego: [N, S, 5] x, y, cos, sin, speed of each step's ego (m, m/s), frame turned as the map.
        progress: [N, S, R] m, that of the base at first; out.
        until: [N, R], S at first; out: the step at which a vehicle is dropped.
        is_own: [N, R] bool, False at first; out: whether a vehicle is anywhere else than in the base while it is there.
        stands: [N, S, Q] bool, that of the base at first; out: which standing vehicles are kept.
        is_sure: [N] bool, True at first; out: False where a tie hangs on rounding; then the rest says nothing.
    """
    rows = len(fleet.start)
    for plan in range(len(ego)):
        follows_base = True
        _begin(fleet, base, run, ego[plan], until[plan])
        for step in range(1, len(base.state)):
            now = ego[plan, step - 1]  # the ego comes one step late
            states = base.state[step - 1] if follows_base else run.now
            is_quiet = not _drop(states, run, figures, now, step, until[plan], rows) and follows_base
            _place_ego(fleet, run, now)
            if is_quiet and not _meets_anyone(fleet, states, run):
                continue
            if follows_base:
                for row in range(rows):
                    _copy(base, run, row, step - 1)
                follows_base = False
            if not _step(fleet, figures, base, run, step, progress[plan, step], is_own[plan]):
                is_sure[plan] = False
                break
            if len(fleet.standing) > 0:
                who_stands(fleet, run, stands[plan, step])


@part
def _begin(fleet: Fleet, base: Base, run: Run, ego: FloatArray, until: IntArray) -> None:
    """Nobody differs from the base yet; note whose paths the ego comes near at all."""
    ways, last = fleet.ways, len(fleet.start)
    reach, hull = fleet.body[last, HALF_LENGTH] + fleet.body[last, HALF_WIDTH], run.hull
    hull[0], hull[1], hull[2], hull[3] = inf, inf, -inf, -inf
    for step in range(len(ego)):
        x, y = ego[step, X], ego[step, Y]
        hull[0], hull[1] = min(hull[0], x - reach), min(hull[1], y - reach)
        hull[2], hull[3] = max(hull[2], x + reach), max(hull[3], y + reach)
    for row in range(last):
        run.mark[row, THERE], run.mark[row, DIFFERS] = not base.gone[row], 0
        if base.gone[row]:
            until[row] = 1
        note_common(ways, row, hull, run.common[row, last])
        run.mark[row, NEAR_EGO] = run.common[row, last, BEGIN] < run.common[row, last, END]


@part
def _place_ego(fleet: Fleet, run: Run, now: FloatArray) -> None:
    """Put the ego's box there."""
    ego = len(fleet.start)
    state = run.now[ego]
    for column in range(4):
        state[PLACE + column] = now[column]
        state[BOX + column] = now[column]
    state[SPEED] = now[4]
    run.mark[ego, BUILT], run.mark[ego, CLAIMS_WAY] = 0, 0
    build_ground(fleet.ways, fleet.body, run, ego, 0.0)


@part
def _copy(base: Base, run: Run, row: int, step: int) -> None:
    """A vehicle is where it is in the base."""
    for column in range(NUM_COLUMNS):
        run.now[row, column] = base.state[step, row, column]
    run.mark[row, BUILT], run.mark[row, DIFFERS] = 0, 0
    run.mark[row, CLAIMS_WAY] = 1 if step > 0 else 0


@part
def _drop(
    states: FloatArray, run: Run, figures: Figures, now: FloatArray, step: int, until: IntArray, rows: int
) -> bool:
    """Drop who is too far away, for good; says whether anybody was."""
    has_dropped = False
    for row in range(rows):
        x, y = states[row, PLACE] - now[0], states[row, PLACE + 1] - now[1]
        if x * x + y * y > figures.radius_m * figures.radius_m and run.mark[row, THERE]:
            run.mark[row, THERE] = 0
            until[row] = step
            has_dropped = True
    return has_dropped


@part
def _meets_anyone(fleet: Fleet, states: FloatArray, run: Run) -> bool:
    """Whether the ego is near anybody's way."""
    ego = len(fleet.start)
    for row in range(ego):
        is_here = run.mark[row, NEAR_EGO] != 0 and run.mark[row, THERE] != 0
        if is_here and near_chunks(fleet.ways, run, row, int(states[row, AHEAD]), ego)[0] >= 0:
            return True
    return False


@part
def _step(
    fleet: Fleet, figures: Figures, base: Base, run: Run, step: int, progress: FloatArray, is_own: IntArray
) -> bool:
    """Move everyone on; says whether no tie hangs on rounding."""
    num_changed = 0
    for row in range(len(fleet.start)):
        if run.mark[row, THERE] and run.mark[row, DIFFERS]:
            run.changed[num_changed] = row
            num_changed += 1
    for row in range(len(fleet.start)):
        if not run.mark[row, THERE]:
            continue
        did_differ = run.mark[row, DIFFERS]
        if not did_differ and not _is_concerned(fleet, base, run, row, step, num_changed):
            _copy(base, run, row, step)
            continue
        if not _move(fleet, figures, base, run, row, step, num_changed):
            return False
        if run.mark[row, DIFFERS]:
            progress[row], is_own[row] = run.now[row, PROGRESS], True
            if not did_differ:
                run.changed[num_changed] = row
                num_changed += 1
    return True


@part
def _is_concerned(fleet: Fleet, base: Base, run: Run, row: int, step: int, num_changed: int) -> bool:
    """Whether the step of a vehicle that does not differ may be another than in the base."""
    ego, vertex = len(fleet.start), int(run.now[row, AHEAD])
    entry = step * ego + row
    for index in range(base.met_first[entry], base.met_first[entry + 1]):
        other = base.met[index]
        if run.mark[other, DIFFERS] or not run.mark[other, THERE]:
            return True
    if run.mark[row, NEAR_EGO] and near_chunks(fleet.ways, run, row, vertex, ego)[0] >= 0:
        return True
    for index in range(num_changed):
        other = run.changed[index]
        if run.mark[other, DIFFERS] and near_chunks(fleet.ways, run, row, vertex, other)[0] >= 0:
            return True
    return False


@part
def _move(fleet: Fleet, figures: Figures, base: Base, run: Run, row: int, step: int, num_changed: int) -> bool:
    """Move one vehicle; says whether no tie hangs on rounding."""
    run.effort[STEPS] += 1
    ways, body, headway_s = fleet.ways, fleet.body, figures.headway_s
    differs, sees_ego = run.mark[row, DIFFERS] != 0, run.mark[row, NEAR_EGO] != 0
    count = look_ahead(fleet, base, run, row, step, num_changed, sees_ego, differs, headway_s)
    lead = lead_of(fleet, figures, run, row, count, False)
    if lead == UNSURE:
        return False
    drive_on(fleet, figures, run, row, lead)
    same = base.state[step, row]
    if run.now[row, PROGRESS] == same[PROGRESS] and run.now[row, SPEED] == same[SPEED]:
        _copy(base, run, row, step)
        return True
    run.mark[row, DIFFERS] = 1
    claim(ways, run, row)
    build_ground(ways, body, run, row, headway_s)
    return True


@kernel
def poses_at(fleet: Fleet, run: Run, rows: IntArray, progress: FloatArray, out: FloatArray) -> None:
    """Poses [O, S, 3] of vehicles ``rows`` [O] at progresses [O, S]: x, y, heading in (-pi, pi]."""
    state = run.now[0]
    for index in range(len(rows)):
        for step in range(progress.shape[1]):
            state[PROGRESS] = progress[index, step]
            settle(fleet.ways, rows[index], state)
            out[index, step, X], out[index, step, Y] = state[PLACE], state[PLACE + 1]
            out[index, step, HEADING] = atan2(state[PLACE + 3], state[PLACE + 2])
