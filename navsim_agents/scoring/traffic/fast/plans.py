"""The traffic of one plan after the other: only what its ego changes is simulated anew."""

from __future__ import annotations

from math import atan2, inf

from navsim_agents.common.poses import HEADING, FloatArray, X, Y
from navsim_agents.scoring.traffic.fast.columns import BEGIN, END, HIGH_Y, LOW_Y
from navsim_agents.scoring.traffic.fast.common import note_common
from navsim_agents.scoring.traffic.fast.driving import claim, drive_on, who_stands
from navsim_agents.scoring.traffic.fast.fleet import (
    AHEAD,
    AT_STEP,
    BOX,
    BUILT,
    CLAIMS_WAY,
    DIFFERS,
    DUE,
    HALF_LENGTH,
    HALF_WIDTH,
    HULL,
    MAY_LEAVE,
    NEAR_EGO,
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
from navsim_agents.scoring.traffic.fast.leads import ROUNDING_M, UNSURE, lead_of
from navsim_agents.scoring.traffic.fast.sight import build_ground, look_ahead, near_chunks, settle
from navsim_agents.scoring.traffic.fast.states import bring
from navsim_agents.scoring.traffic.fast.ties import CAPACITY
from navsim_agents.scoring.traffic.fast.touching import box_gap_squared
from navsim_agents.scoring.traffic.fast.ways import IntArray

STEPS = 0  # column of a run's effort
NEVER = -1  # instead of a step


@kernel
def simulate_plans(
    fleet: Fleet,
    figures: Figures,
    base: Base,
    run: Run,
    ego: FloatArray,
    until: IntArray,
    is_own: IntArray,
    where: IntArray,
    progress: FloatArray,
    stands: FloatArray,
    is_sure: FloatArray,
    num_places: IntArray,
) -> None:
    """Fill in what N plans meet.

    Args:
        ego: [N, S, 5] x, y, cos, sin, speed of each step's ego (m, m/s), frame turned as the map.
        until: [N, R], S at first; out: the step at which a vehicle is dropped.
        is_own: [N, R] bool, False at first; out: whether a vehicle is anywhere else than in the base while it is there.
        where: [N * S * R, 3] out: the plan, row and step of each place.
        progress: [N * S * R] out: how far along the path it is [m].
        stands: [N, S, Q] bool, that of the base at first; out: which standing vehicles are kept.
        is_sure: [N] bool, True at first; out: False where a tie hangs on rounding; then the rest says nothing.
        num_places: [1] out: at how many places a vehicle differs from the base.
    """
    num_places[0] = 0
    for plan in range(len(ego)):
        num_watched, num_changed, num_dropped = _begin(fleet, figures, base, run, ego[plan], until[plan]), 0, 0
        for step in range(1, len(base.state)):
            now = ego[plan, step - 1]  # the ego comes one step late
            num_dropped = _drop(base, run, figures, now, step, until[plan], num_watched, num_changed, num_dropped)
            _place_ego(fleet, run, now)
            is_quiet = num_changed == 0 and num_dropped == 0
            if is_quiet and not _meets_anyone(fleet, base, run, step, num_watched):
                continue
            num_changed = _step(fleet, figures, base, run, step, num_changed, num_dropped)
            if num_changed == UNSURE:
                is_sure[plan] = False
                break
            _note(run, plan, step, num_changed, is_own[plan], where, progress, num_places)
            if _may_stand_otherwise(fleet, run, num_changed, num_dropped):
                for row in range(len(fleet.start)):
                    if fleet.is_beside[row] and run.mark[row, THERE]:
                        bring(base, run, row, step)
                who_stands(fleet, run, stands[plan, step])


@part
def _note(
    run: Run,
    plan: int,
    step: int,
    num_changed: int,
    is_own: IntArray,
    where: IntArray,
    progress: FloatArray,
    num_places: IntArray,
) -> None:
    """Put down where those are who differ from the base."""
    for index in range(num_changed):
        row, place = run.changed[index], num_places[0]
        for column, number in enumerate((plan, row, step)):
            where[place, column] = number
        progress[place], is_own[row] = run.now[row, PROGRESS], True
        num_places[0] += 1


@part
def _begin(fleet: Fleet, figures: Figures, base: Base, run: Run, ego: FloatArray, until: IntArray) -> int:
    """Nobody differs from the base yet; note whom the ego may come near or leave behind, and return their number."""
    ways, last, num_watched = fleet.ways, len(fleet.start), 0
    reach, hull = fleet.body[last, HALF_LENGTH] + fleet.body[last, HALF_WIDTH], run.hull
    hull[0], hull[1], hull[2], hull[3] = inf, inf, -inf, -inf
    for step in range(len(ego)):
        x, y = ego[step, X], ego[step, Y]
        hull[0], hull[1] = min(hull[0], x - reach), min(hull[1], y - reach)
        hull[2], hull[3] = max(hull[2], x + reach), max(hull[3], y + reach)
    for row in range(last):
        mark, span = run.mark[row], base.span[row]
        mark[THERE], mark[DIFFERS], mark[AT_STEP], mark[DUE] = not base.gone[row], 0, NEVER, NEVER
        if base.gone[row]:
            until[row] = 1
            continue
        note_common(ways, row, hull, run.common[row, last])
        mark[NEAR_EGO] = run.common[row, last, BEGIN] < run.common[row, last, END]
        x, y = max(hull[2] - span[0], span[2] - hull[0]), max(hull[3] - span[1], span[3] - hull[1])
        mark[MAY_LEAVE] = x * x + y * y > figures.radius_m * figures.radius_m
        if mark[NEAR_EGO] or mark[MAY_LEAVE]:
            run.watched[num_watched] = row
            num_watched += 1
    return num_watched


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
def _drop(
    base: Base,
    run: Run,
    figures: Figures,
    now: FloatArray,
    step: int,
    until: IntArray,
    num_watched: int,
    num_changed: int,
    num_dropped: int,
) -> int:
    """Drop who is too far away, for good; returns how many have been."""
    for index in range(num_watched + num_changed):
        row = run.watched[index] if index < num_watched else run.changed[index - num_watched]
        differs = run.mark[row, DIFFERS] != 0
        if not run.mark[row, THERE] or not (differs or run.mark[row, MAY_LEAVE]):
            continue
        state = run.now[row] if differs else base.state[step - 1, row]
        x, y = state[PLACE] - now[0], state[PLACE + 1] - now[1]
        if x * x + y * y > figures.radius_m * figures.radius_m:
            run.mark[row, THERE] = 0
            until[row] = step
            run.dropped[num_dropped] = row
            num_dropped += 1
    return num_dropped


@part
def _meets_anyone(fleet: Fleet, base: Base, run: Run, step: int, num_watched: int) -> bool:
    """Whether the ego is near the way of anybody, of whom nobody differs."""
    ego = len(fleet.start)
    for index in range(num_watched):
        row = run.watched[index]
        is_here = run.mark[row, NEAR_EGO] != 0 and run.mark[row, THERE] != 0
        if is_here and near_chunks(fleet.ways, run, row, int(base.state[step - 1, row, AHEAD]), ego)[0] >= 0:
            return True
    return False


@part
def _step(fleet: Fleet, figures: Figures, base: Base, run: Run, step: int, num_changed: int, num_dropped: int) -> int:
    """Move everyone on whom the plan may concern; returns how many differ now, or UNSURE."""
    for index in range(num_changed):
        _call(fleet, run, run.changed[index], step)
    for index in range(num_dropped):
        _call(fleet, run, run.dropped[index], step)
    calls_all, num_changed = step == 1 and num_dropped > 0, 0
    for row in range(len(fleet.start)):
        if run.mark[row, THERE] and run.mark[row, DIFFERS]:
            run.changed[num_changed] = row
            num_changed += 1
    for row in range(len(fleet.start)):
        mark = run.mark[row]
        did_differ = mark[DIFFERS] != 0
        if not mark[THERE] or not (did_differ or calls_all or mark[NEAR_EGO] or mark[DUE] == step):
            continue
        bring(base, run, row, step - 1)
        if not did_differ and not _is_concerned(fleet, base, run, row, step, num_changed):
            continue
        if not _move(fleet, figures, base, run, row, step, num_changed):
            return UNSURE
        if mark[DIFFERS] and not did_differ:
            run.changed[num_changed] = row
            num_changed += 1
            _call(fleet, run, row, step)
    num_left = 0
    for index in range(num_changed):
        row = run.changed[index]
        if run.mark[row, DIFFERS]:
            run.changed[num_left] = row
            num_left += 1
    return num_left


@part
def _call(fleet: Fleet, run: Run, row: int, step: int) -> None:
    """Those past whose paths a vehicle comes look whether it concerns them."""
    for index in range(fleet.beside.first[row], fleet.beside.first[row + 1]):
        run.mark[fleet.beside.other[index], DUE] = step


@part
def _may_stand_otherwise(fleet: Fleet, run: Run, num_changed: int, num_dropped: int) -> bool:
    """Whether somebody who differs or is gone may have to do with those who stand."""
    for index in range(num_changed + num_dropped):
        row = run.changed[index] if index < num_changed else run.dropped[index - num_changed]
        if fleet.is_beside[row]:
            return True
    return False


@part
def _is_concerned(fleet: Fleet, base: Base, run: Run, row: int, step: int, num_changed: int) -> bool:
    """Whether the step of a vehicle that does not differ may be another than in the base.

    It is none where whom it follows in the base does not differ, and who does is farther away, or comes later among
    those at 0 m.
    """
    ego, vertex = len(fleet.start), int(run.now[row, AHEAD])
    begin, end = base.met_first[step * ego + row], base.met_first[step * ego + row + 1]
    nearest, lowest, is_lead_lost, is_any_lost = inf, inf, False, False
    for index in range(begin, end):
        other, gap = base.met[index], base.gap[index]
        is_lost = run.mark[other, DIFFERS] != 0 or not run.mark[other, THERE]
        y = _height(base, row, other, step)
        if gap < nearest or (gap == nearest and y < lowest):
            is_lead_lost = is_lost or (gap == nearest and gap > 0.0 and is_lead_lost)
            nearest, lowest = gap, y
        is_any_lost = is_any_lost or is_lost
    if is_lead_lost:
        return True
    if nearest == 0.0 and end - begin + num_changed + 1 > CAPACITY:  # all have a say in who is followed
        if is_any_lost:
            return True
        nearest = inf
    for index in range(-1, num_changed):
        other = ego if index < 0 else run.changed[index]
        if not run.mark[row, NEAR_EGO] if index < 0 else not run.mark[other, DIFFERS]:
            continue
        if box_gap_squared(run.now[row, HULL : HULL + 4], run.now[other, HULL : HULL + 4]) > nearest * nearest:
            continue
        if near_chunks(fleet.ways, run, row, vertex, other)[0] < 0:
            continue
        y = run.now[other, HULL + LOW_Y] + run.now[other, HULL + HIGH_Y]
        if nearest > 0.0 or y < lowest or _is_level(base, run, row, step, begin, end, y):
            return True
    return False


@part
def _height(base: Base, row: int, other: int, step: int) -> float:
    """Twice the y [m] of the middle of what another claims in the base, as a vehicle sees it in a step."""
    state = base.state[step if other < row else step - 1, other]
    return state[HULL + LOW_Y] + state[HULL + HIGH_Y]


@part
def _is_level(base: Base, run: Run, row: int, step: int, begin: int, end: int, height: float) -> bool:
    """Whether any two of those at 0 m, or the one of that height and one of them, change places by rounding."""
    for index in range(begin, end):
        if base.gap[index] == 0.0:
            y = _height(base, row, base.met[index], step)
            if abs(y - height) < ROUNDING_M:
                return True
            for other in range(begin, index):
                if base.gap[other] == 0.0 and abs(y - _height(base, row, base.met[other], step)) < ROUNDING_M:
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
        run.mark[row, DIFFERS], run.mark[row, AT_STEP] = 0, NEVER
        return True
    run.mark[row, DIFFERS] = 1
    claim(ways, run, row)
    build_ground(ways, body, run, row, headway_s)
    return True


@kernel
def poses_at(fleet: Fleet, run: Run, rows: IntArray, progress: FloatArray, out: FloatArray) -> None:
    """Poses [M, 3] of vehicles ``rows`` [M] at progresses [M]: x, y, heading in (-pi, pi]."""
    state = run.now[0]
    for index in range(len(rows)):
        state[PROGRESS] = progress[index]
        settle(fleet.ways, rows[index], state)
        out[index, X], out[index, Y] = state[PLACE], state[PLACE + 1]
        out[index, HEADING] = atan2(state[PLACE + 3], state[PLACE + 2])
