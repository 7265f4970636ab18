"""The vehicles of a scene, and the tables that one run of its traffic works on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from navsim_agents.common.poses import FloatArray
from navsim_agents.scoring.traffic.fast.outlines import BOX_POINTS
from navsim_agents.scoring.traffic.fast.ties import Tree
from navsim_agents.scoring.traffic.fast.ways import CHUNK, IntArray, Ways
from navsim_agents.scoring.traffic.roles import TrafficConfig

HALF_LENGTH, HALF_WIDTH, WANTED, LONGEST = range(4)
"""Columns of a body [m, m, m/s, m]: the last is the longest segment of its path. One that stands has the first two."""
PROGRESS, SPEED, AHEAD, PLACE, BOX, HULL, NUM_COLUMNS = 0, 1, 2, 3, 7, 11, 15
"""Columns of a state: progress [m], speed [m/s], the first vertex ahead; then three times four: where it is (x, y, cos,
sin), where the box that it claims is (at t0 the snapped one), and the bounding box of all that it claims."""
THERE, DIFFERS, BUILT, CLAIMS_WAY, NUM_POINTS, NUM_CHUNKS, NEAR_EGO, MAY_LEAVE, AT_STEP, DUE, NUM_MARKS = range(11)
"""Columns of a mark: not dropped; in another state than without an ego; the outline is the state's; more than the box
is claimed; sizes of the outline; the ego comes near its path at some step; it may be dropped though it does not
differ; the step of the base that its state was brought from; the last step at which it may be concerned."""
NONE, UNKNOWN = -1, -2
"""Instead of a vertex: there is none; not looked for yet."""


class Figures(NamedTuple):
    """What a step reads of :class:`TrafficConfig`, under the same names."""

    min_gap_m: float
    headway_s: float
    acceleration_mps2: float
    braking_mps2: float
    exponent: int
    radius_m: float
    step_s: float

    @staticmethod
    def of(config: TrafficConfig) -> Figures:
        """The figures of a configuration."""
        return Figures(**{name: getattr(config, name) for name in Figures._fields})


class Neighbours(NamedTuple):
    """For each of R vehicles some of the others, in the order of moving."""

    first: IntArray  # [R + 1] where those of each begin
    other: IntArray

    @staticmethod
    def of(is_one: Bool[np.ndarray, "R R"]) -> Neighbours:
        """Those whom a row says."""
        return Neighbours(np.cumsum([0, *is_one.sum(axis=1)]).astype(np.int64), np.nonzero(is_one)[1].astype(np.int64))


class Last(NamedTuple):
    """How far along one path another one's vertices are, found when it is first asked for; int32 [R, P].

    Each is the vertex at the end of the last segment for which something holds; NONE, or UNKNOWN until then.
    """

    holding: np.ndarray  # beside which a vertex surely lies on the ground
    near: np.ndarray  # whose ground may touch that of the segment that ends at a vertex


class Fleet(NamedTuple):
    """R vehicles that react, in the order of moving, and Q that stand; frame of the scene, turned as the map."""

    ways: Ways
    body: FloatArray  # [R + 1, 4] the last is the ego's
    start: FloatArray  # [R, 2] progress [m] and speed [m/s] at t0
    snapped: FloatArray  # [R, 4] places of the boxes that are claimed at t0
    standing: FloatArray  # [Q, 6] place, half length, half width
    nearby: np.ndarray  # [Q, R] bool, whether a path leads past a standing vehicle
    is_beside: np.ndarray  # [R] bool, whether a path leads past any standing vehicle
    common: IntArray  # [R, R, 2] from which chunk to before which of the first's path the second may come near it
    around: Neighbours  # whose paths come near a vehicle's
    beside: Neighbours  # near whose paths a vehicle's comes
    last: Last


class Run(NamedTuple):
    """One run: row R is the ego, row R + 1 of outlines the way of the vehicle that moves."""

    now: FloatArray  # [R + 1, 15] states
    mark: IntArray  # [R + 2, 8]
    points: FloatArray  # [R + 2, M, 2] outlines
    boxes: FloatArray  # [R + 2, C, 4] bounding boxes of their chunks
    met: IntArray  # [R + 1] who is on that way
    gap: FloatArray  # [R + 1] m; NaN: not known yet
    changed: IntArray  # [R] who differs
    watched: IntArray  # [R] whom the ego may come near or leave behind
    dropped: IntArray  # [R] who is gone, and is not in the base
    common: IntArray  # [R, R + 1, 2] as the fleet's; the last is the ego
    hull: FloatArray  # [4]
    effort: IntArray  # [3] vehicles' steps that were simulated, ways and distances that were looked at in full
    tree: Tree

    @staticmethod
    def room_for(fleet: Fleet) -> Run:
        """Tables that are large enough for every outline along these paths."""
        rows, ways = len(fleet.start), fleet.ways
        common = np.zeros((max(rows, 1), rows + 1, 2), dtype=np.int64)
        common[:rows, :rows] = fleet.common
        corners = np.diff(ways.corner_first[:, ways.vertex_first], axis=1).sum(axis=0)
        points = int(max(corners, default=0)) + BOX_POINTS + 16
        chunks = points // CHUNK + 2
        return Run(
            now=np.zeros((rows + 1, NUM_COLUMNS)),
            mark=np.zeros((rows + 2, NUM_MARKS), dtype=np.int64),
            points=np.zeros((rows + 2, points, 2)),
            boxes=np.zeros((rows + 2, chunks, 4)),
            met=np.zeros(rows + 1, dtype=np.int64),
            gap=np.zeros(rows + 1),
            changed=np.zeros(rows, dtype=np.int64),
            watched=np.zeros(rows, dtype=np.int64),
            dropped=np.zeros(rows, dtype=np.int64),
            common=common,
            hull=np.zeros(4),
            effort=np.zeros(3, dtype=np.int64),
            tree=Tree.room_for(rows + 1),
        )


class Base(NamedTuple):
    """The run without an ego, S states of it; what a plan changes is seen against it.

    Who is too far from the ego at t0, which all plans share, is gone from it.
    """

    state: FloatArray  # [S, R, 15]
    met_first: IntArray  # [S * R + 1] those on the way of each vehicle in each step
    met: IntArray  # [E]
    gap: FloatArray  # [E] m
    stands: np.ndarray  # [S, Q] bool, whether a standing vehicle is kept
    gone: np.ndarray  # [R] bool, dropped in the first step
    span: FloatArray  # [R, 4] bounding box of all places at which a vehicle ever is
