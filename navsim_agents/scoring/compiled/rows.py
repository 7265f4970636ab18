"""One trajectory from its plan to its sub-scores, rule by rule: what ``score._evaluate`` does for all at once."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from navsim_agents.scoring.axes import State
from navsim_agents.scoring.compiled.comfort import Bounds, Signals, Smoothers, is_comfortable, prepare
from navsim_agents.scoring.compiled.ego import (
    HALF_LENGTH,
    HALF_WIDTH,
    MULTIPLE_LANES,
    NON_DRIVABLE,
    ONCOMING,
    Ego,
    Layers,
    locate,
    place_ego,
)
from navsim_agents.scoring.compiled.following import WHEEL_BASE, Bench, Tracker, fit_reference, follow, sample_plan
from navsim_agents.scoring.compiled.jit import compiled
from navsim_agents.scoring.compiled.lanes import (
    Keeping,
    LineTables,
    arc_length,
    driving_direction,
    keeps_lane,
    obeys_lights,
)
from navsim_agents.scoring.compiled.location import AreaTables, Floats, Ints
from navsim_agents.scoring.compiled.meetings import Bools, Meeting, Tracks, judge_meetings

NUM_STATE = len(State)


class Column(IntEnum):
    """Columns of a trajectory's answers."""

    NO_COLLISION = 0
    DRIVABLE = 1
    DIRECTION = 2
    TTC = 3
    COMFORT = 4
    LIGHTS = 5
    LANE = 6
    PROGRESS = 7  # m
    COLLISION_STEP = 8
    TTC_STEP = 9
    COLLISION_TRACK = 10
    TTC_TRACK = 11


(
    NO_COLLISION,
    DRIVABLE,
    DIRECTION,
    TTC,
    COMFORT,
    LIGHTS,
    LANE,
    PROGRESS,
    COLLISION_STEP,
    TTC_STEP,
    COLLISION_TRACK,
    TTC_TRACK,
) = (int(column) for column in Column)


class Rules(NamedTuple):
    """Figures of a metric."""

    tracker: Tracker
    meeting: Meeting
    keeping: Keeping
    smoothers: Smoothers
    bounds: Bounds
    uses_history: bool


class Scenes(NamedTuple):
    """B scenes as arrays, and what is asked of them."""

    plans: Floats  # [B, N, P, 3]
    references: Floats  # [B, E, S, 3]: of E more trajectories behind them
    ego_pose: Floats  # [B, 3]
    ego_state: Floats  # [B, 11]
    vehicle: Floats  # [B, 4]
    knots_us: Ints  # [B, P1]
    samples_us: Ints  # [B, S]
    history: Floats  # [B, H, 11], zeros in front
    history_length: Ints  # [B]
    centerline: Floats  # [B, M, 2]
    tracks: Tracks
    columns: Ints  # [1 or N + E, K]: the tracks' columns
    until: Ints  # [1 or N + E, K]: when they are gone
    red: Bools  # [B, L, T]
    red_bits: Ints  # [B, S, W]
    areas: AreaTables
    layers: Layers
    line: LineTables
    lights: LineTables


class Answers(NamedTuple):
    """What is known of each trajectory, R = N + E."""

    states: Floats  # [B, R, S, 11]
    areas: npt.NDArray[np.bool_]  # [B, R, S, 3]
    columns: Floats  # [B, R, C]


class Room(NamedTuple):
    """Where one trajectory is worked on."""

    bench: Bench
    ego: Ego
    ways: Floats  # [S]
    signals: Signals


@compiled
def score_blocks(rules, scenes, room, answers, blocks):  # type: ignore[no-untyped-def]
    """Answers of some blocks [n, 3]: trajectories from the second number to the third of a scene."""
    for block in range(len(blocks)):
        _score_rows(rules, scenes, room, answers, blocks[block, 0], blocks[block, 1], blocks[block, 2])


@compiled
def _score_rows(rules, scenes, room, answers, scene, first, last):  # type: ignore[no-untyped-def]
    """Answers of trajectories of one scene, at most as many as the room has lanes."""
    _drive(rules, scenes, scene, first, last, room.bench)
    vehicle, line = scenes.vehicle[scene], scenes.centerline[scene]
    ego = _sized(room.ego, vehicle)
    _take_lane(room.bench, 0, answers.states[scene, first], ego)
    place_ego(answers.states[scene, first], vehicle, ego)
    start = arc_length(ego.center_x[0], ego.center_y[0], line)  # the same of all
    for row in range(first, last):
        states, columns = answers.states[scene, row], answers.columns[scene, row]
        _take_lane(room.bench, row - first, states, ego)
        place_ego(states, vehicle, ego)
        locate(scenes.areas, scenes.layers, scene, ego)
        _judge_areas(rules, scenes, scene, ego, room.ways, columns)
        _judge_meetings(rules, scenes, scene, row, ego, columns)
        columns[COMFORT] = _comfort(rules, scenes, scene, states, room.signals)
        columns[PROGRESS] = max(arc_length(ego.center_x[-1], ego.center_y[-1], line) - start, 0.0)
        _keep_areas(ego, answers.areas[scene, row])


@compiled
def _drive(rules, scenes, scene, first, last, bench):  # type: ignore[no-untyped-def]
    """Simulated states of the trajectories, a lane each."""
    num_plans, lanes = scenes.plans.shape[1], last - first
    start, origin = scenes.ego_state[scene], scenes.ego_pose[scene]
    knots_us, samples_us = scenes.knots_us[scene], scenes.samples_us[scene]
    for lane in range(lanes):
        row = first + lane
        if row < num_plans:
            sample_plan(scenes.plans[scene, row], start, origin, knots_us, samples_us, bench, lane)
        else:
            _take_reference(scenes.references[scene, row - num_plans], bench.reference, lane)
    fit_reference(rules.tracker, bench, lanes)
    follow(rules.tracker, scenes.vehicle[scene, WHEEL_BASE], bench, start, lanes)


@compiled
def _take_reference(poses, reference, lane):  # type: ignore[no-untyped-def]
    """Puts poses [S, 3] into a lane."""
    for sample in range(len(poses)):
        for column in range(poses.shape[1]):
            reference[column, sample, lane] = poses[sample, column]


@compiled
def _take_lane(bench, lane, states, ego):  # type: ignore[no-untyped-def]
    """Writes one lane's ``states`` [S, 11], and sines and cosines of their headings."""
    lanes, cosines, sines, own_cosines, own_sines = bench.states, bench.state_cos, bench.state_sin, ego.cos, ego.sin
    for step in range(len(states)):
        for column in range(states.shape[1]):
            states[step, column] = lanes[step, column, lane]
        own_cosines[step], own_sines[step] = cosines[step, lane], sines[step, lane]


@compiled
def _judge_meetings(rules, scenes, scene, row, ego, columns):  # type: ignore[no-untyped-def]
    """The rules of meetings."""
    seen = row if len(scenes.columns) > 1 else 0
    own, until = scenes.columns[seen], scenes.until[seen]
    found = judge_meetings(rules.meeting, scenes.tracks, own, until, scene, ego, scenes.areas, scenes.layers)
    columns[NO_COLLISION], columns[COLLISION_STEP], columns[COLLISION_TRACK] = found[0], found[1], float(found[2])
    columns[TTC], columns[TTC_STEP], columns[TTC_TRACK] = 1.0 if np.isinf(found[3]) else 0.0, found[3], float(found[4])


@compiled
def _comfort(rules, scenes, scene, states, signals):  # type: ignore[no-untyped-def]
    """Comfort, always met where history is asked for and there is none."""
    length = scenes.history_length[scene]
    if rules.uses_history and length == 0:
        return 1.0
    past = scenes.history[scene, scenes.history.shape[1] - length :]
    prepare(states, past, scenes.vehicle[scene], rules.uses_history, signals)
    return 1.0 if is_comfortable(rules.smoothers, rules.bounds, signals, length + len(states)) else 0.0


@compiled
def _sized(ego, vehicle):  # type: ignore[no-untyped-def]
    """The same room for a car of this size."""
    return Ego(
        ego.x,
        ego.y,
        ego.cos,
        ego.sin,
        ego.speed,
        ego.center_x,
        ego.center_y,
        ego.multiple_lanes,
        ego.non_drivable,
        ego.oncoming,
        ego.in_intersection,
        ego.points,
        ego.point_bits,
        ego.corner_bits,
        ego.entries,
        ego.sweep,
        vehicle[HALF_LENGTH],
        vehicle[HALF_WIDTH],
    )


@compiled
def _judge_areas(rules, scenes, scene, ego, ways, columns):  # type: ignore[no-untyped-def]
    """The rules of lanes, areas and lights."""
    drivable = True
    for outside in ego.non_drivable:
        drivable = drivable and not outside
    columns[DRIVABLE] = 1.0 if drivable else 0.0
    columns[DIRECTION] = driving_direction(rules.keeping, ego, ways)
    if not rules.uses_history:
        return
    lit = obeys_lights(scenes.red[scene], scenes.red_bits[scene], scenes.lights, scene, ego)
    columns[LIGHTS] = 1.0 if lit else 0.0
    columns[LANE] = 1.0 if keeps_lane(rules.keeping, scenes.line, scene, ego) else 0.0


@compiled
def _keep_areas(ego, areas):  # type: ignore[no-untyped-def]
    """Writes the areas [S, 3] of each state."""
    for step in range(len(areas)):
        areas[step, MULTIPLE_LANES] = ego.multiple_lanes[step]
        areas[step, NON_DRIVABLE] = ego.non_drivable[step]
        areas[step, ONCOMING] = ego.oncoming[step]
