"""Mistakes that a whole set of plans has in common, recognised from the plans alone.

A car rolls the way it points and starts at (0, 0) along x, so headings, directions of motion and the first step bind
one another. Where most of the plans that could show it break such a bond in the same way, the slip has a name.

What cannot be told: a set in which y *and* the headings are mirrored is as good a set of plans as the right one, and
so is any set of straight plans whose y alone is mirrored. Only the scenes could tell.

The thresholds were chosen on 8192 plans of the public vocabulary and 1040 futures of the built-in world's expert: as
whole sets, log by log, one by one, and with noise of up to 0.2 m, none of the correct ones is suspected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Float64

from navsim_agents.common.poses import HEADING, XY, X, Y
from navsim_agents.poses import wrap_angle

BoolArray = npt.NDArray[np.bool_]

STRIDE_S = 0.5  # directions of motion are taken over such strides: over 0.1 s they are mostly noise
MOVING_M = 0.5  # a stride's length from which it has a direction; 1 m/s
TRAVEL_M = 2.0  # from start to end, from which a plan counts as moving; shorter ones are noise about a standing car
HALF_PATH_M = 3.0  # length of half a path, from which two halves show a turn in spite of noise
TURN_RAD = 0.15  # between the halves of a path, from which it counts as a turn: half of the turn of an arc
REVERSE_MPS = 5.0  # no car drives backwards faster in traffic
STIFF_SHARE = 0.1  # headings that turn by less than this share of their path's turn do not follow it
OPPOSED_SHARE = 0.3  # headings that turn against their path by more than this share of its turn
SIDEWAYS_RAD = np.pi / 4  # a direction nearer to the y axis than to the x axis
OFFSET_RAD = np.deg2rad(25.0)  # between headings and motion; of the public vocabulary's 8192 plans none is off by more
ALIKE = 0.8  # resultant length of angles that agree
FIRST_STEP_RATIO = (0.2, 1.7)  # of the first step to the second: 0 where now was listed, 2 where a pose is left out
FIRST_STEP_MPS = 2.0  # of the second step, from which the ratio counts: no car pulls off faster
MAJORITY = 0.5
MIN_TURNING_SHARE = 0.03  # of the moving plans: fewer turns are noise on straight paths


@dataclass(frozen=True)
class Motion:
    """What tells slips, a row a plan; NaN where a plan does not move enough to tell."""

    first_direction: Float64[np.ndarray, " N"]  # of the first moving step [rad]
    speed: Float64[np.ndarray, " N"]  # mean [m/s]
    path_turn: Float64[np.ndarray, " N"]  # from the first half to the second [rad]
    heading_turn: Float64[np.ndarray, " N"]  # that of the mean headings of the halves [rad]
    offset: Float64[np.ndarray, " N"]  # headings less directions of motion, mean [rad]
    first_ratio: Float64[np.ndarray, " N"]  # length of the first step over that of the second


def likely_slips(plans: Sequence[npt.NDArray[np.floating]], intervals_s: Sequence[float]) -> list[str]:
    """Slips that most of ``plans`` share, in words.

    Args:
        plans: poses [P, 3] each: x, y [m] and heading [rad] in the ego frame of now, the first one an interval later.
        intervals_s: between the poses of each plan.
    """
    motion = _joined([motion_of(np.stack(group), interval) for interval, group in _groups(plans, intervals_s)])
    return [*_repeated(plans), *_frame_slips(motion), *_first_step(motion)]


def motion_of(plans: Float[np.ndarray, "N P 3"], interval_s: float) -> Motion:
    """Features of ``plans`` with the same interval."""
    every = max(1, round(STRIDE_S / interval_s))
    own = _steps(plans.astype(np.float64))
    poses = plans[:, every - 1 :: every].astype(np.float64)
    steps = _steps(poses)
    lengths = np.linalg.norm(steps, axis=-1)  # [N, T]
    directions = np.arctan2(steps[..., Y], steps[..., X])
    travels = np.linalg.norm(poses[:, -1, XY], axis=-1) > TRAVEL_M  # [N]
    moving = travels[:, None] & (lengths > MOVING_M * (every * interval_s / STRIDE_S))
    middles = _middles(poses[..., HEADING])  # [N, T - 1] heading in the middle of all steps but the first
    path_turn, heading_turn = _turns(poses)
    return Motion(
        first_direction=_first_direction(directions, moving),
        speed=lengths.mean(axis=1) / (every * interval_s),
        path_turn=path_turn,
        heading_turn=heading_turn,
        offset=_circular_mean(middles - directions[:, 1:], moving[:, 1:]),
        first_ratio=np.where(travels, _first_ratio(np.linalg.norm(own, axis=-1), interval_s), np.nan),
    )


def _groups(
    plans: Sequence[npt.NDArray[np.floating]], intervals_s: Sequence[float]
) -> Iterator[tuple[float, list[npt.NDArray[np.floating]]]]:
    """Plans of the same shape and interval."""
    groups: dict[tuple[int, float], list[npt.NDArray[np.floating]]] = {}
    for plan, interval_s in zip(plans, intervals_s):
        groups.setdefault((len(plan), interval_s), []).append(plan)
    for (_, interval_s), group in groups.items():
        yield interval_s, group


def _joined(parts: Sequence[Motion]) -> Motion:
    names = Motion.__dataclass_fields__
    return Motion(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _steps(poses: Float64[np.ndarray, "N T C"]) -> Float64[np.ndarray, "N T 2"]:
    """Displacements; the first from the origin."""
    return np.diff(poses[..., XY], axis=1, prepend=0.0)


def _middles(headings: Float64[np.ndarray, "N T"]) -> Float64[np.ndarray, "N gaps"]:
    """Headings halfway between poses: on an arc that is the direction of the step."""
    return headings[:, :-1] + wrap_angle(np.diff(headings, axis=1)) / 2.0


def _turns(poses: Float64[np.ndarray, "N T 3"]) -> tuple[Float64[np.ndarray, " N"], Float64[np.ndarray, " N"]]:
    """Turns [N] from the first half to the second: of the path, NaN where a half is short, and of the headings."""
    middle = poses.shape[1] // 2
    if not middle:
        return np.full(len(poses), np.nan), np.full(len(poses), np.nan)
    headings = np.unwrap(poses[..., HEADING], axis=1)
    halves = np.stack((poses[:, middle - 1, XY], poses[:, -1, XY] - poses[:, middle - 1, XY]), axis=1)  # [N, 2, 2]
    first, second = np.moveaxis(np.arctan2(halves[..., Y], halves[..., X]), 1, 0)
    is_clear = (np.linalg.norm(halves, axis=-1) > HALF_PATH_M).all(axis=1)
    path = np.where(is_clear, wrap_angle(second - first), np.nan)
    return path, headings[:, middle:].mean(axis=1) - headings[:, :middle].mean(axis=1)


def _first_direction(
    directions: Float64[np.ndarray, "N Q"], moving: Bool[np.ndarray, "N T"]
) -> Float64[np.ndarray, " N"]:
    """Direction of the first moving step; NaN where there is none."""
    first = directions[np.arange(len(directions)), moving.argmax(axis=1)]
    return np.where(moving.any(axis=1), first, np.nan)


def _circular_mean(angles: Float64[np.ndarray, "N T"], is_valid: Bool[np.ndarray, "N T"]) -> Float64[np.ndarray, " N"]:
    """Mean direction of the valid ones of ``angles``; NaN without any, or where they disagree."""
    phasors = np.where(is_valid, np.exp(1j * angles), 0.0).sum(axis=1)
    count = is_valid.sum(axis=1)
    agrees = (count > 0) & (np.abs(phasors) > ALIKE * count)
    return np.where(agrees, np.angle(phasors), np.nan)


def _first_ratio(lengths: Float64[np.ndarray, "N T"], interval_s: float) -> Float64[np.ndarray, " N"]:
    """First step over second; NaN where the second is too slow to tell."""
    if lengths.shape[1] < 2:
        return np.full(len(lengths), np.nan)
    is_fast = lengths[:, 1] > FIRST_STEP_MPS * interval_s
    return np.where(is_fast, lengths[:, 0] / np.where(is_fast, lengths[:, 1], 1.0), np.nan)


def _repeated(plans: Sequence[npt.NDArray[np.floating]]) -> Iterator[str]:
    """One plan, regardless of the signs of zeros, that most scenes have."""
    counts = Counter((plan + 0.0).tobytes() for plan in plans)
    content, count = counts.most_common(1)[0]
    if count <= MAJORITY * len(plans) or count < 2:
        return
    which = f"all {count}" if count == len(plans) else f"{count} of {len(plans)}"
    if not any(content):
        yield f"{which} plans are zeros: the car stands in every one; did the agent plan at all?"
    else:
        yield f"{which} plans are the same; did the agent load its weights?"


def _frame_slips(motion: Motion) -> Iterator[str]:
    """At most one mistake of axes or headings, the one that explains the others."""
    for slip in (_sideways, _backwards, _stiff_headings, _opposed_headings, _turned_headings):
        text = slip(motion)
        if text:
            yield text
            return


def _sideways(motion: Motion) -> str:
    first = motion.first_direction
    share, which = _share(np.abs(np.abs(wrap_angle(first)) - np.pi / 2) < SIDEWAYS_RAD, np.isfinite(first))
    return f"{which} set off sideways: are x and y swapped? x is ahead, y is left" if share > MAJORITY else ""


def _backwards(motion: Motion) -> str:
    is_fast = np.isfinite(motion.first_direction) & (motion.speed > REVERSE_MPS)
    share, which = _share(np.abs(motion.first_direction) > np.pi - SIDEWAYS_RAD, is_fast, "fast")
    hint = f"(over {REVERSE_MPS:g} m/s) go backwards: is the sign of x turned? x is ahead"
    return f"{which} {hint}" if share > MAJORITY else ""


def _stiff_headings(motion: Motion) -> str:
    votes = np.abs(motion.heading_turn) < STIFF_SHARE * np.abs(motion.path_turn)
    share, which = _share(votes, _turning(motion), "turning")
    hint = "have headings that do not turn with them: are the headings left at zero, or constant?"
    return f"{which} {hint}" if share > MAJORITY else ""


def _opposed_headings(motion: Motion) -> str:
    votes = motion.heading_turn * np.sign(motion.path_turn) < -OPPOSED_SHARE * np.abs(motion.path_turn)
    share, which = _share(votes, _turning(motion), "turning")
    hint = "have headings that turn the other way: is y mirrored (y is left), or the sign of the heading turned?"
    return f"{which} {hint}" if share > MAJORITY else ""


def _turning(motion: Motion) -> BoolArray:
    """Plans with a turn, where there are enough of them to rule out noise."""
    turning = np.abs(motion.path_turn) > TURN_RAD
    return turning & (turning.sum() > MIN_TURNING_SHARE * np.isfinite(motion.first_direction).sum())


def _turned_headings(motion: Motion) -> str:
    is_known = np.isfinite(motion.offset) & ~_reverses(motion)
    if not is_known.any():
        return ""
    mean = np.exp(1j * motion.offset[is_known]).mean()
    angle = float(np.angle(mean))
    share, which = _share(np.abs(motion.offset) > OFFSET_RAD, is_known)
    if np.abs(mean) < ALIKE or np.abs(angle) < OFFSET_RAD or share <= MAJORITY:
        return ""
    return (
        f"{which} have headings {np.rad2deg(angle):+.0f}° off their direction of motion: a heading counts from the x "
        "axis, which is ahead, counter-clockwise, in radians"
    )


def _reverses(motion: Motion) -> BoolArray:
    """Slow plans that set off backwards: their headings are rightly opposed to the motion."""
    return (np.abs(motion.first_direction) > np.pi - SIDEWAYS_RAD) & (motion.speed <= REVERSE_MPS)


def _first_step(motion: Motion) -> Iterator[str]:
    """A first pose at another time than one interval after now."""
    known = np.isfinite(motion.first_ratio)
    share, which = _share(motion.first_ratio < FIRST_STEP_RATIO[0], known)
    if share > MAJORITY:
        yield f"{which} have their first pose at the start: it must be one interval after now, not now"
    share, which = _share(motion.first_ratio > FIRST_STEP_RATIO[1], known)
    if share > MAJORITY:
        yield f"{which} have a first step about twice the second: was the pose one interval after now left out?"


def _share(votes: BoolArray, counts: BoolArray, kind: str = "moving") -> tuple[float, str]:
    """Share of ``votes`` among the plans that count, and both numbers in words."""
    total, found = int(counts.sum()), int((votes & counts).sum())
    return (found / total if total else 0.0), f"{found} of {total} {kind} plans"
