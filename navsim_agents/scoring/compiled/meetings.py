"""Meetings of one ego and the tracks, and the two rules that judge them: ``scoring/rules/collisions.py``."""

from __future__ import annotations

from math import cos, hypot, radians
from typing import NamedTuple

import numpy as np

from navsim_agents.common.conventions import STEP_S
from navsim_agents.common.poses import XY
from navsim_agents.scoring.compiled.arrays import (
    COS,
    HEADING,
    LENGTH,
    RADIUS,
    SIN,
    WIDTH,
    Bools,
    Floats,
    Ints,
    X,
    Y,
)
from navsim_agents.scoring.compiled.ego import Ego, Layers
from navsim_agents.scoring.compiled.jit import part
from navsim_agents.scoring.compiled.location import AreaTables, polygons_at
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.plane import boxes_intersect
from navsim_agents.scoring.rules.collisions import OBJECT_SCORE
from navsim_agents.scoring.scene_batch import SceneBatch

SLACK_M = 1e-3
"""Circles that are as near as this are looked at closely; far more than rounding."""
NONE = -1


class Tracks(NamedTuple):
    """Tracks of B scenes, and circles that hold each from a step on for as long as time to collision looks ahead."""

    half_size: Floats  # [B, K, 2]
    is_agent: Bools  # [B, K]
    stands: Bools  # [B, K]
    left_out: Bools  # [B, K]
    poses: Floats  # [B, K, T, 3]
    direction: Floats  # [B, K, T, 2]
    valid: Bools  # [B, K, T]
    circles: Floats  # [B, K, S, 3]: x, y, radius; radius below 0 where it is not seen

    @staticmethod
    def of(batch: SceneBatch, num_steps: int) -> Tracks:
        """Those of a batch, on the CPU."""
        metric = batch.metric
        half_size = 0.5 * batch.track_size.double().contiguous().numpy()
        poses, valid = batch.track_poses.double().contiguous().numpy(), batch.track_valid.contiguous().numpy()
        windows = [(offset, num_steps if offset == 0 else metric.ttc_steps) for offset in metric.ttc_offsets]
        low, high = (np.full((*valid.shape[:2], num_steps, 2), value) for value in (np.inf, -np.inf))
        for offset, count in windows:
            there = valid[:, :, offset : offset + count, None]
            xy = poses[:, :, offset : offset + count, XY]
            low[:, :, :count] = np.minimum(low[:, :, :count], np.where(there, xy, np.inf))
            high[:, :, :count] = np.maximum(high[:, :, :count], np.where(there, xy, -np.inf))
        reach = np.hypot(*np.moveaxis(half_size, -1, 0))
        collided = batch.collided_track if metric.ignores_tracks_hit_at_start else batch.collided_track & False
        return Tracks(
            half_size=half_size,
            is_agent=batch.track_is_agent.contiguous().numpy(),
            stands=(~batch.track_is_agent | (batch.track_speed <= metric.stopped_speed_mps)).contiguous().numpy(),
            left_out=collided.contiguous().numpy(),
            poses=poses,
            direction=np.stack((np.cos(poses[..., HEADING]), np.sin(poses[..., HEADING])), axis=-1),
            valid=valid,
            circles=_circles(low, high, reach[..., None]),
        )


def _circles(low: Floats, high: Floats, reach: Floats) -> Floats:
    """Circles around boxes of points [..., 2] and ``reach`` about each point."""
    seen = np.asarray(np.isfinite(low).all(axis=-1))
    low, high = (np.where(seen[..., None], corner, 0.0) for corner in (low, high))
    radius = np.where(seen, 0.5 * np.hypot(*np.moveaxis(high - low, -1, 0)) + reach + SLACK_M, -np.inf)
    return np.concatenate(((low + high) * 0.5, radius[..., None]), axis=-1)


class Meeting(NamedTuple):
    """Figures of the two rules."""

    ttc_steps: int
    offsets: Ints
    stopped_speed: float  # m/s
    ttc_stopped_speed: float  # m/s
    ahead_cos: float
    behind_cos: float

    @staticmethod
    def of(metric: MetricConfig) -> Meeting:
        """Those of a metric."""
        return Meeting(
            metric.ttc_steps,
            np.array(metric.ttc_offsets),
            metric.stopped_speed_mps,
            metric.ttc_stopped_speed_mps,
            cos(radians(metric.ahead_angle_deg)),
            cos(radians(metric.behind_angle_deg)),
        )


@part
def judge_meetings(
    rules: Meeting, tracks: Tracks, columns: Ints, until: Ints, scene: int, ego: Ego, areas: AreaTables, layers: Layers
) -> tuple[float, float, int, float, int]:
    """No at-fault collision, its first step and track, and the same of time to collision (inf and -1: none).

    ``columns`` [K] says in which column of ``tracks`` a track is, ``until`` [K] the step from which it is gone.
    """
    score, fault_step, fault_track, ttc_step, ttc_track = 1.0, np.inf, NONE, np.inf, NONE
    _sweep(rules, ego)
    for track in range(len(columns)):
        column = columns[track]
        if tracks.left_out[scene, column] or not _comes_near(tracks.circles[scene, column], ego.sweep):
            continue
        contact, danger, ahead = _first_contacts(rules, tracks, scene, column, until[track], ego)
        if contact >= 0 and _is_at_fault(rules, tracks, scene, column, contact, ego):
            score = min(score, 0.0 if tracks.is_agent[scene, column] else OBJECT_SCORE)
            if contact < fault_step:
                fault_step, fault_track = float(contact), track
        if danger >= 0 and danger < ttc_step:
            center = tracks.poses[scene, column, danger + ahead]
            if _infringes(rules, center, danger, scene, ego, areas, layers):
                ttc_step, ttc_track = float(danger), track
    return score, fault_step, fault_track, ttc_step, ttc_track


@part
def _sweep(rules: Meeting, ego: Ego) -> None:
    """Circles about the ego at each step, and about where time to collision moves it from there."""
    xs, ys, cosines, sines, speeds, sweep = ego.center_x, ego.center_y, ego.cos, ego.sin, ego.speed, ego.sweep
    half_time, own = 0.5 * STEP_S * rules.offsets[-1], hypot(ego.half_length, ego.half_width)
    for step in range(len(xs)):
        way = half_time * speeds[step] if step < rules.ttc_steps else 0.0
        sweep[X, step], sweep[Y, step] = xs[step] + way * cosines[step], ys[step] + way * sines[step]
        sweep[RADIUS, step] = own + way


@part
def _comes_near(circles: Floats, sweep: Floats) -> bool:
    """Whether any of a track's circles [S, 3] touches the ego's of the same step."""
    near = False
    for step in range(len(circles)):
        x, y = circles[step, X] - sweep[X, step], circles[step, Y] - sweep[Y, step]
        reach = circles[step, RADIUS] + sweep[RADIUS, step]
        near |= (x * x + y * y <= reach * reach) & (reach >= 0.0)
    return near


@part
def _first_contacts(
    rules: Meeting, tracks: Tracks, scene: int, track: int, until: int, ego: Ego
) -> tuple[int, int, int]:
    """Step of the first contact, and step and look-ahead of the first that time to collision counts; -1: none."""
    contact, danger, ahead = NONE, NONE, 0
    circles, sweep, speeds, offsets = tracks.circles[scene, track], ego.sweep, ego.speed, rules.offsets
    xs, ys, cosines, sines, length, width = (
        ego.center_x,
        ego.center_y,
        ego.cos,
        ego.sin,
        ego.half_length,
        ego.half_width,
    )
    poses, directions, valid = tracks.poses[scene, track], tracks.direction[scene, track], tracks.valid[scene, track]
    other_length, other_width = tracks.half_size[scene, track, LENGTH], tracks.half_size[scene, track, WIDTH]
    for step in range(len(speeds)):
        x, y = circles[step, X] - sweep[X, step], circles[step, Y] - sweep[Y, step]
        reach = circles[step, RADIUS] + sweep[RADIUS, step]
        if reach < 0.0 or x * x + y * y > reach * reach:
            continue
        counts = danger < 0 and step < rules.ttc_steps and speeds[step] >= rules.ttc_stopped_speed
        for offset in offsets:
            at = step + offset
            if at < until and valid[at]:
                cosine, sine, way = cosines[step], sines[step], speeds[step] * (offset * STEP_S)
                x, y = poses[at, X] - (xs[step] + cosine * way), poses[at, Y] - (ys[step] + sine * way)
                other = directions[at, COS], directions[at, SIN], other_length, other_width
                if boxes_intersect(x, y, cosine, sine, length, width, other):
                    if offset == 0 and contact < 0:
                        contact = step
                    if counts:
                        danger, ahead = step, offset
                        break
            if not counts:
                break
        if contact >= 0 and (danger >= 0 or step >= rules.ttc_steps):
            break
    return contact, danger, ahead


@part
def cuts(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    x: float,
    y: float,
    cosine: float,
    sine: float,
    length: float,
    width: float,
) -> bool:
    """Whether a segment and a box share a point: ``geometry.boxes.segment_intersects_box``."""
    middle_x, middle_y = (x1 + x2) * 0.5 - x, (y1 + y2) * 0.5 - y
    half_x, half_y = (x2 - x1) * 0.5, (y2 - y1) * 0.5
    along, left = cosine * middle_x + sine * middle_y, cosine * middle_y - sine * middle_x
    reach_along, reach_left = cosine * half_x + sine * half_y, cosine * half_y - sine * half_x
    return (
        abs(along) <= length + abs(reach_along)
        and abs(left) <= width + abs(reach_left)
        and abs(along * reach_left - left * reach_along) <= length * abs(reach_left) + width * abs(reach_along)
    )


@part
def _is_ahead_or_behind(rules: Meeting, center: Floats, step: int, ego: Ego) -> tuple[bool, bool]:
    """Bearing of a track's centre from the rear axle below 30, and above 150 degrees."""
    x, y = center[X] - ego.x[step], center[Y] - ego.y[step]
    along, distance = x * ego.cos[step] + y * ego.sin[step], hypot(x, y)
    return along > rules.ahead_cos * distance, along < rules.behind_cos * distance


@part
def _is_at_fault(rules: Meeting, tracks: Tracks, scene: int, track: int, step: int, ego: Ego) -> bool:
    """nuPlan's classes of collision, decided in its order."""
    if ego.speed[step] <= rules.stopped_speed:
        return False
    if tracks.stands[scene, track]:
        return True
    pose = tracks.poses[scene, track, step]
    _, is_behind = _is_ahead_or_behind(rules, pose, step, ego)
    if is_behind:
        return False
    if ego.multiple_lanes[step] or ego.non_drivable[step]:
        return True
    cosine, sine = ego.cos[step], ego.sin[step]
    front_x, front_y = ego.center_x[step] + ego.half_length * cosine, ego.center_y[step] + ego.half_length * sine
    left_x, left_y = -ego.half_width * sine, ego.half_width * cosine
    direction, size = tracks.direction[scene, track, step], tracks.half_size[scene, track]
    x1, y1, x2, y2 = front_x + left_x, front_y + left_y, front_x - left_x, front_y - left_y
    return cuts(x1, y1, x2, y2, pose[X], pose[Y], direction[COS], direction[SIN], size[LENGTH], size[WIDTH])


@part
def _infringes(
    rules: Meeting, center: Floats, step: int, scene: int, ego: Ego, areas: AreaTables, layers: Layers
) -> bool:
    """Whether a track that would be met is ahead, or beside while the ego leaves its lane or crosses."""
    is_ahead, is_behind = _is_ahead_or_behind(rules, center, step, ego)
    if is_ahead or is_behind:
        return is_ahead
    if ego.multiple_lanes[step] or ego.non_drivable[step]:
        return True
    bits = ego.entries[:1]  # as room
    for word in range(layers.intersections.shape[1]):
        polygons_at(areas, scene, ego.x[step : step + 1], ego.y[step : step + 1], word, bits)
        if bits[0] & layers.intersections[scene, word] != 0:
            return True
    return False
