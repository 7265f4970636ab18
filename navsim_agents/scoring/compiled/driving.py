"""Plans driven by the tracker and the vehicle model, a block at a time."""

from __future__ import annotations

from typing import NamedTuple

from navsim_agents.scoring.compiled.arrays import Floats, Ints
from navsim_agents.scoring.compiled.following import WHEEL_BASE, Bench, Tracker, fit_reference, follow, sample_plan
from navsim_agents.scoring.compiled.jit import kernel, part


class Plans(NamedTuple):
    """What is driven in B scenes, and where it begins."""

    plans: Floats  # [B, N, P, 3]
    references: Floats  # [B, E, S, 3]: sampled poses of E more trajectories behind them
    ego_pose: Floats  # [B, 3]
    ego_state: Floats  # [B, 11]
    vehicle: Floats  # [B, 4]
    knots_us: Ints  # [B, P1]
    samples_us: Ints  # [B, S]


@kernel
def drive_block(
    tracker: Tracker, plans: Plans, bench: Bench, states: Floats, scene: int, first: int, last: int
) -> None:
    """Writes ``states`` [B, N + E, S, 11] of trajectories ``first`` to ``last`` of a scene, at most a lane each."""
    start, origin = plans.ego_state[scene], plans.ego_pose[scene]
    knots_us, samples_us, num_plans = plans.knots_us[scene], plans.samples_us[scene], plans.plans.shape[1]
    for row in range(first, last):
        if row < num_plans:
            sample_plan(plans.plans[scene, row], start, origin, knots_us, samples_us, bench, row - first)
        else:
            _take_reference(plans.references[scene, row - num_plans], bench.reference, row - first)
    fit_reference(tracker, bench, last - first)
    follow(tracker, plans.vehicle[scene, WHEEL_BASE], bench, start, last - first)
    _hand_over(bench.states, states[scene, first:last])


@part
def _take_reference(poses: Floats, reference: Floats, lane: int) -> None:
    """Puts poses [S, 3] into a lane."""
    for sample in range(len(poses)):
        for column in range(poses.shape[1]):
            reference[column, sample, lane] = poses[sample, column]


@part
def _hand_over(lanes: Floats, states: Floats) -> None:
    """States [S, 11, n] as states [n, S, 11]."""
    for row in range(len(states)):
        for step in range(states.shape[1]):
            for column in range(states.shape[2]):
                states[row, step, column] = lanes[step, column, row]
