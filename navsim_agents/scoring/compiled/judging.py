"""The sub-scores of one trajectory, rule by rule: what the rules of ``scoring/rules`` say of all at once."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from navsim_agents.scoring.compiled.arrays import Bools, Floats, Ints
from navsim_agents.scoring.compiled.comfort import Bounds, Signals, Smoothers, is_comfortable, prepare
from navsim_agents.scoring.compiled.ego import (
    MULTIPLE_LANES,
    NON_DRIVABLE,
    ONCOMING,
    Ego,
    Layers,
    locate,
    place_ego,
    sized,
)
from navsim_agents.scoring.compiled.jit import kernel, part
from navsim_agents.scoring.compiled.lanes import (
    Keeping,
    LineTables,
    arc_length,
    driving_direction,
    keeps_lane,
    obeys_lights,
)
from navsim_agents.scoring.compiled.location import AreaTables
from navsim_agents.scoring.compiled.meetings import Meeting, Tracks, judge_meetings


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

    meeting: Meeting
    keeping: Keeping
    smoothers: Smoothers
    bounds: Bounds
    uses_history: bool


class Places(NamedTuple):
    """What B scenes are like where the cars drive."""

    vehicle: Floats  # [B, 4]
    history: Floats  # [B, H, 11], zeros in front
    history_length: Ints  # [B]
    centerline: Floats  # [B, M, 2]
    tracks: Tracks
    columns: Ints  # [1 or N, K]: the column of ``tracks`` that each trajectory sees at each place
    until: Ints  # [1 or N, K]: the step from which it is gone
    red: Bools  # [B, L, T]
    red_bits: Ints  # [B, S, W]
    areas: AreaTables
    layers: Layers
    line: LineTables
    lights: LineTables


class Room(NamedTuple):
    """Where one trajectory is judged."""

    ego: Ego
    ways: Floats  # [S]
    signals: Signals

    @staticmethod
    def of(places: Places, num_samples: int) -> Room:
        """For trajectories of that many states."""
        ego = Ego.of(num_samples, places.layers.lanes.shape[1])
        return Room(ego, np.empty(num_samples), Signals.of(places.history.shape[1] + num_samples))


@kernel
def judge_block(
    rules: Rules,
    places: Places,
    room: Room,
    states: Floats,
    areas: Bools,
    answers: Floats,
    scene: int,
    first: int,
    last: int,
) -> None:
    """Judges trajectories ``first`` to ``last`` of a scene.

    ``states`` [B, N, S, 11] is read, ``areas`` [B, N, S, 3] and ``answers`` [B, N, C] are written.
    """
    vehicle, line = places.vehicle[scene], places.centerline[scene]
    ego = sized(room.ego, vehicle)
    place_ego(states[scene, first], vehicle, ego)
    start = arc_length(ego.center_x[0], ego.center_y[0], line)  # the same of all
    for row in range(first, last):
        columns, driven = answers[scene, row], states[scene, row]
        place_ego(driven, vehicle, ego)
        locate(places.areas, places.layers, scene, ego)
        _judge_areas(rules, places, scene, ego, room.ways, columns)
        _judge_meetings(rules, places, scene, row, ego, columns)
        columns[COMFORT] = _comfort(rules, places, scene, driven, room.signals)
        columns[PROGRESS] = max(arc_length(ego.center_x[-1], ego.center_y[-1], line) - start, 0.0)
        _keep_areas(ego, areas[scene, row])


@kernel
def judge_in_each(rules: Rules, places: Places, room: Room, states: Floats, no_collision: Floats) -> None:
    """No at-fault collision [N] of one trajectory [S, 11] of one scene in what each of N sees."""
    ego = sized(room.ego, places.vehicle[0])
    place_ego(states, places.vehicle[0], ego)
    locate(places.areas, places.layers, 0, ego)
    for row in range(len(no_collision)):
        columns, until = places.columns[row], places.until[row]
        found = judge_meetings(rules.meeting, places.tracks, columns, until, 0, ego, places.areas, places.layers)
        no_collision[row] = found[0]


@part
def _judge_meetings(rules: Rules, places: Places, scene: int, row: int, ego: Ego, columns: Floats) -> None:
    """The rules of meetings."""
    seen = row if len(places.columns) > 1 else 0
    own, until = places.columns[seen], places.until[seen]
    found = judge_meetings(rules.meeting, places.tracks, own, until, scene, ego, places.areas, places.layers)
    columns[NO_COLLISION], columns[COLLISION_STEP], columns[COLLISION_TRACK] = found[0], found[1], float(found[2])
    columns[TTC], columns[TTC_STEP], columns[TTC_TRACK] = 1.0 if np.isinf(found[3]) else 0.0, found[3], float(found[4])


@part
def _comfort(rules: Rules, places: Places, scene: int, states: Floats, signals: Signals) -> float:
    """Comfort, always met where history is asked for and there is none."""
    length = places.history_length[scene]
    if rules.uses_history and length == 0:
        return 1.0
    past = places.history[scene, places.history.shape[1] - length :]
    prepare(states, past, places.vehicle[scene], rules.uses_history, signals)
    return 1.0 if is_comfortable(rules.smoothers, rules.bounds, signals, length + len(states)) else 0.0


@part
def _judge_areas(rules: Rules, places: Places, scene: int, ego: Ego, ways: Floats, columns: Floats) -> None:
    """The rules of lanes, areas and lights."""
    drivable = True
    for outside in ego.non_drivable:
        drivable = drivable and not outside
    columns[DRIVABLE] = 1.0 if drivable else 0.0
    columns[DIRECTION] = driving_direction(rules.keeping, ego, ways)
    if not rules.uses_history:
        return
    lit = obeys_lights(places.red[scene], places.red_bits[scene], places.lights, scene, ego)
    columns[LIGHTS] = 1.0 if lit else 0.0
    columns[LANE] = 1.0 if keeps_lane(rules.keeping, places.line, scene, ego) else 0.0


@part
def _keep_areas(ego: Ego, areas: Bools) -> None:
    """Writes the areas [S, 3] of each state."""
    for step in range(len(areas)):
        areas[step, MULTIPLE_LANES] = ego.multiple_lanes[step]
        areas[step, NON_DRIVABLE] = ego.non_drivable[step]
        areas[step, ONCOMING] = ego.oncoming[step]
