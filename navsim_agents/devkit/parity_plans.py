"""Trajectories that try every branch of the rules: what parity with the devkit is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from navsim_agents.common.conventions import NUM_POSES, POSE_INTERVAL_S, STEPS_PER_POSE

FloatArray = npt.NDArray[np.float64]

SPEEDS_MPS = (0.0, 40.0)
ACCELERATIONS_MPSS = (-6.0, 6.0)
CURVATURES_PM = (-0.25, 0.25)
NOISE = np.array([1.0, 1.0, 0.1])  # m, m, rad
JUMP = np.array([30.0, 30.0, np.pi])


def arcs(
    speed: Float64[np.ndarray, " N"], acceleration: Float64[np.ndarray, " N"], curvature: Float64[np.ndarray, " N"]
) -> Float64[np.ndarray, "N 8 3"]:
    """Poses along circles at constant acceleration; those that would drive backwards stand still (m/s, m/s^2, 1/m)."""
    fine = 50
    time = np.linspace(0.0, NUM_POSES * POSE_INTERVAL_S, NUM_POSES * fine + 1)
    pace = np.maximum(speed[:, None] + acceleration[:, None] * time, 0.0)
    way = np.cumsum((pace[:, 1:] + pace[:, :-1]) / 2.0 * np.diff(time), axis=1)
    heading = curvature[:, None] * way
    advance = np.diff(way, axis=1, prepend=0.0)
    x, y = np.cumsum(advance * np.cos(heading), axis=1), np.cumsum(advance * np.sin(heading), axis=1)
    return np.stack((x, y, heading), axis=-1)[:, fine - 1 :: fine]


def _uniform(generator: np.random.Generator, bounds: tuple[float, float], count: int) -> FloatArray:
    return generator.uniform(*bounds, size=count)


def parity_plans(
    human: FloatArray,
    speed_mps: float,
    count: int,
    generator: np.random.Generator,
    vocabulary: Optional[Float64[np.ndarray, "V 40 3"]],
) -> Float64[np.ndarray, "N 8 3"]:
    """``count`` trajectories at 0.5 s in the ego frame (m, rad).

    Half come from ``vocabulary`` at 0.1 s where it is given. The rest: the human (where known), the human
    with noise, standing, constant velocity, braking, reversing, arcs of any speed and curvature, and leaps that no car
    can follow.
    """
    parts = list(_special_plans(human, speed_mps, generator, max(1, count // 8)))
    if vocabulary is not None:
        rows = generator.choice(len(vocabulary), size=min(count // 2, len(vocabulary)), replace=False)
        parts.append(np.asarray(vocabulary[rows, STEPS_PER_POSE - 1 :: STEPS_PER_POSE], dtype=np.float64))
    rest = max(count - sum(len(part) for part in parts), 0)
    speeds, accelerations = _uniform(generator, SPEEDS_MPS, rest), _uniform(generator, ACCELERATIONS_MPSS, rest)
    parts.append(arcs(speeds, accelerations, _uniform(generator, CURVATURES_PM, rest) * generator.random(rest) ** 3))
    return np.concatenate(parts)[:count]


def _special_plans(
    human: FloatArray, speed_mps: float, generator: np.random.Generator, count: int
) -> Iterator[FloatArray]:
    """The plans that a vocabulary lacks."""
    zero, speed = np.zeros(1), np.array([speed_mps])
    yield arcs(zero, zero, zero)
    yield arcs(speed, zero, zero)
    yield arcs(speed, np.array([-4.0]), zero)
    yield -arcs(speed, zero, zero)
    known = human if np.isfinite(human).all() else arcs(speed, zero, zero)[0]
    yield known[None]
    scale = generator.random((count, 1, 1))
    yield known + scale * NOISE * generator.standard_normal((count, 1, 3)) * np.linspace(0.0, 1.0, NUM_POSES)[:, None]
    yield known + scale * NOISE * generator.standard_normal((count, NUM_POSES, 3))
    yield JUMP * generator.uniform(-1.0, 1.0, size=(max(1, count // 2), NUM_POSES, 3))


def plans_among_others(speed_mps: float, count: int, generator: np.random.Generator) -> Float64[np.ndarray, "N 8 3"]:
    """``count`` plans that others react to: they keep on, stand, brake, cut in, leave, run into others, turn off."""
    t, nought, made = POSE_INTERVAL_S * np.arange(1, NUM_POSES + 1), np.zeros(NUM_POSES), []
    for number in range(count):
        pace, lane = speed_mps + generator.uniform(-2.0, 2.0), generator.choice([-1.75, 1.75])
        ways = (
            (pace * t, nought),
            (nought, nought),
            (np.maximum.accumulate(speed_mps * t - generator.uniform(0.3, 2.0) * t**2), nought),
            (speed_mps * t, lane * (1.0 - np.cos(np.pi * np.minimum(t / generator.uniform(2.0, 4.0), 1.0)))),
            (speed_mps * t, -generator.uniform(1.0, 4.0) * np.minimum(t / 3.0, 1.0)),
            ((speed_mps + generator.uniform(0.0, 6.0)) * t + 0.5 * t**2, nought),
            (generator.uniform(0.1, 1.0) * speed_mps * t, generator.uniform(-2.0, 2.0) * t),
        )
        x, y = ways[number % len(ways)]
        made.append(np.column_stack((x, y, np.arctan2(np.gradient(y), np.gradient(x)))))
    return np.stack(made)
