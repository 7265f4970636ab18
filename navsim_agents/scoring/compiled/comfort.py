"""Comfort of one ego: ``scoring/rules/comfort.py``."""

from __future__ import annotations

from math import hypot, pi
from typing import NamedTuple

import numpy as np

from navsim_agents.common.conventions import STEP_S
from navsim_agents.scoring.axes import State, Vehicle
from navsim_agents.scoring.compiled.arrays import Floats
from navsim_agents.scoring.compiled.jit import part
from navsim_agents.scoring.config import ComfortBounds, MetricConfig
from navsim_agents.scoring.rules.comfort import (
    ACCELERATION,
    DECIMALS,
    JERK,
    WHOLE,
    YAW_ACCELERATION,
    YAW_RATE,
    Filter,
    savitzky_golay,
)

SCALE = 10.0**DECIMALS
FULL_TURN = 2.0 * pi
HEADING, AHEAD, LEFT = int(State.HEADING), int(State.ACCELERATION_X), int(State.ACCELERATION_Y)
YAW, YAW_CHANGE = int(State.ANGULAR_VELOCITY), int(State.ANGULAR_ACCELERATION)
LEVER = int(Vehicle.REAR_AXLE_TO_CENTER)


class Smoother(NamedTuple):
    """A filter of any number of samples, its window or more: rows of both ends, and one that slides between them."""

    window: int
    ends: Floats  # [2 * half, window]; the first half of them at the front
    middle: Floats  # [window]

    @staticmethod
    def of(described: Filter) -> Smoother:
        """The same filter."""
        window = described.window
        length = 2 * window  # whatever the length, the rows are the same
        matrix = savitzky_golay(length, window, described.order, described.derivative, STEP_S).numpy()
        half, behind = window // 2, (window - 1) // 2
        ends = np.concatenate((matrix[:half, :window], matrix[length - half :, length - window :]))
        middle = matrix[half, half - behind : half - behind + window]
        return Smoother(window, np.ascontiguousarray(ends), np.ascontiguousarray(middle))


class Smoothers(NamedTuple):
    """The filters of a metric."""

    acceleration: Smoother  # of what is compared with bounds of acceleration
    jerk: Smoother
    short: Smoother  # of what jerks are taken of
    yaw_rate: Smoother
    yaw_acceleration: Smoother

    @staticmethod
    def of(metric: MetricConfig) -> Smoothers:
        """Those of a metric."""
        own = (ACCELERATION, JERK) if metric.uses_history else (Filter(WHOLE), Filter(WHOLE, derivative=1))
        return Smoothers(*(Smoother.of(one) for one in (*own, ACCELERATION, YAW_RATE, YAW_ACCELERATION)))


class Bounds(NamedTuple):
    """Open bounds, see :class:`~navsim_agents.scoring.config.ComfortBounds`."""

    braking: float
    speeding_up: float
    sideways: float
    jerk: float
    jerk_ahead: float
    yaw_rate: float
    yaw_acceleration: float

    @staticmethod
    def of(bounds: ComfortBounds) -> Bounds:
        """The same numbers."""
        return Bounds(
            bounds.min_longitudinal_acceleration,
            bounds.max_longitudinal_acceleration,
            bounds.max_lateral_acceleration,
            bounds.max_jerk,
            bounds.max_longitudinal_jerk,
            bounds.max_yaw_rate,
            bounds.max_yaw_acceleration,
        )


class Signals(NamedTuple):
    """Room for what is filtered."""

    ahead: Floats  # [n]
    left: Floats
    magnitude: Floats
    heading: Floats
    once: Floats
    twice: Floats

    @staticmethod
    def of(length: int) -> Signals:
        """Room for ``length`` samples."""
        return Signals(*(np.empty(length) for _ in range(6)))


@part
def smooth(smoother: Smoother, signal: Floats, out: Floats) -> None:
    """Filters a signal, rounded as the devkit rounds it."""
    length, window = len(signal), smoother.window
    half, behind = window // 2, (window - 1) // 2
    first, last = half, length - half
    out[:] = 0.0
    for tap in range(window):
        weight = smoother.middle[tap]
        for row in range(first, last):
            out[row] += weight * signal[row - behind + tap]
    for row in range(half):
        front, back = 0.0, 0.0
        for tap in range(window):
            front += smoother.ends[row, tap] * signal[tap]
            back += smoother.ends[half + row, tap] * signal[length - window + tap]
        out[row], out[last + row] = front, back
    for row in range(length):
        out[row] = np.rint(out[row] * SCALE) / SCALE


@part
def prepare(states: Floats, past: Floats, vehicle: Floats, at_center: bool, signals: Signals) -> None:
    """Fills the signals from the logged states [h, 11] and the simulated ones [S, 11]."""
    before, turns = 0.0, 0.0
    for row in range(len(past) + len(states)):
        state = past[row] if row < len(past) else states[row - len(past)]
        ahead = state[AHEAD]
        signals.magnitude[row] = hypot(ahead, state[LEFT])
        if at_center:
            ahead += vehicle[LEVER] * (state[YAW] * state[YAW] + state[YAW_CHANGE])
        signals.ahead[row], signals.left[row] = ahead, state[LEFT]
        heading = state[HEADING]
        if row > 0:
            turns += np.rint((heading - before) / FULL_TURN)
        before = heading
        signals.heading[row] = heading - FULL_TURN * turns


@part
def stays_within(values: Floats, low: float, high: float) -> bool:
    """Whether all values are between the bounds."""
    stays = True
    for value in values:
        stays &= (value > low) & (value < high)
    return stays


@part
def is_comfortable(smoothers: Smoothers, bounds: Bounds, signals: Signals, length: int) -> bool:
    """Whether all six bounds are kept by the first ``length`` samples."""
    once, twice = signals.once[:length], signals.twice[:length]
    ahead, left, heading = signals.ahead[:length], signals.left[:length], signals.heading[:length]
    smooth(smoothers.acceleration, ahead, once)
    if not stays_within(once, bounds.braking, bounds.speeding_up):
        return False
    smooth(smoothers.yaw_acceleration, heading, once)
    if not stays_within(once, -bounds.yaw_acceleration, bounds.yaw_acceleration):
        return False
    smooth(smoothers.short, ahead, once)
    smooth(smoothers.jerk, once, twice)
    if not stays_within(twice, -bounds.jerk_ahead, bounds.jerk_ahead):
        return False
    smooth(smoothers.short, signals.magnitude[:length], once)
    smooth(smoothers.jerk, once, twice)
    if not stays_within(twice, -bounds.jerk, bounds.jerk):
        return False
    smooth(smoothers.yaw_rate, heading, once)
    if not stays_within(once, -bounds.yaw_rate, bounds.yaw_rate):
        return False
    smooth(smoothers.acceleration, left, once)
    return stays_within(once, -bounds.sideways, bounds.sideways)
