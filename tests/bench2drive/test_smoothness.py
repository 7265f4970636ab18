"""Smoothness: hand-worked logs as the benchmark's script takes them, and as the definition means them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Optional

import numpy as np
import pytest

from navsim_agents.bench2drive.metrics import smoothness_as_defined, smoothness_as_scripted
from navsim_agents.bench2drive.records import TickInfo
from tests.bench2drive.files import tick

EVEN = [tick(lon=1.0)] * 100
CASES: dict[str, tuple[Sequence[TickInfo], Optional[float], Optional[float]]] = {
    "6 even": (EVEN, 1.0, 1.0),
    "6b 0.9 deg/s": ([tick(lon=1.0, turn=0.9)] * 100, 1.0, 1.0),
    "6b 1.0 deg/s": ([tick(lon=1.0, turn=1.0)] * 100, 0.0, 1.0),
    "54 deg/s, just under 0.95 rad/s": ([tick(turn=54.0)] * 40, 0.0, 1.0),
    "55 deg/s, just over it": ([tick(turn=55.0)] * 40, 0.0, 0.0),
    "6c a step of 2 within the third stretch": ([tick()] * 50 + [tick(lon=2.0)] * 50, 0.8, 0.8),
    "6d the rest is dropped": ([tick()] * 40 + [tick(lon=-5.0)] * 5, 1.0, 1.0),
    "6e too hard a brake": ([tick(lon=-4.5)] * 20 + [tick()] * 20, 0.5, 0.5),
    "6f 4 m/s³": ([tick(lon=0.2 * at) for at in range(11)] + [tick(lon=2.0)] * 9, 1.0, 1.0),
    "5 m/s³: twice what the script sees": ([tick(lon=0.25 * at - 2.5) for at in range(20)], 1.0, 0.0),
    "6g a jump by about 2 pi is no turn": ([tick()] * 10 + [tick(turn=6.3)] * 50, 1.0 / 3.0, 1.0),
    "yaw acceleration 2 rad/s²": ([tick(turn=math.degrees(0.1 * (at % 10) - 0.45)) for at in range(20)], 0.0, 0.0),
    "lateral": ([tick(lat=5.0)] * 20 + [tick(lat=-4.8)] * 20, 0.5, 0.5),
    "shorter than a stretch": ([tick(lon=1.0)] * 5, 1.0, 1.0),
    "shorter and rough": ([tick(lon=-4.5)] * 5, 0.0, 0.0),
    "too short": ([tick()] * 2, None, None),
    "none": ([], None, None),
}


@pytest.mark.parametrize("case", CASES)
def test_worked_logs(case: str) -> None:
    """Case 6 of the hand-worked ones, a to g, and one for each way in which the two differ."""
    ticks, scripted, defined = CASES[case]
    assert smoothness_as_scripted(ticks) == pytest.approx(scripted)
    assert smoothness_as_defined(ticks) == pytest.approx(defined)


def test_yaw_acceleration_counts_by_the_definition_alone() -> None:
    """0.7 deg/s forth and back in 0.05 s would be 0.5 rad/s²; at 100 Hz the same rates turn too suddenly."""
    ticks = [tick(turn=20.0 * math.sin(0.3 * at)) for at in range(40)]
    assert smoothness_as_defined(ticks) == 0.0  # 0.35 rad/s, but 20 deg · 0.3 / 0.05 s = 2.1 rad/s²
    assert smoothness_as_defined(ticks, 0.1) == 1.0


def test_what_counts_is_along_the_car() -> None:
    """Braking with 4.5 m/s² is too hard, whichever way the car points; to the side it is allowed."""
    for angle in np.linspace(-3.0, 3.0, 7):
        ahead = (math.cos(angle), math.sin(angle))
        assert smoothness_as_scripted([tick(lon=-4.5, ahead=ahead)] * 20) == 0.0
        assert smoothness_as_scripted([tick(lat=-4.5, ahead=ahead)] * 20) == 1.0
