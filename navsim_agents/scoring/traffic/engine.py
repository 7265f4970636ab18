"""The traffic of many plans of one scene at once, as :func:`reactive_traffic` has it plan by plan.

A scene's traffic is simulated once without an ego, and kept with the scene; for each plan only those are simulated anew
whom its ego stops, who follow one of these, or who lose whom they follow. Numba compiles it; without Numba, or where a
path is too rough for its geometry, plans are simulated one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from navsim_agents.common.processes import run_on_threads
from navsim_agents.errors import TrajectoryError
from navsim_agents.scoring.machine_code import can_compile
from navsim_agents.scoring.scene_fields import SceneFields
from navsim_agents.scoring.traffic.checks import require_traffic
from navsim_agents.scoring.traffic.of_plans import PlansTraffic, traffic_one_by_one
from navsim_agents.scoring.traffic.reactive import Traffic, reactive_traffic
from navsim_agents.scoring.traffic.roles import TRAFFIC, TrafficConfig

if TYPE_CHECKING:
    from navsim_agents.scoring.traffic.fast.simulation import PlansRun, PreparedTraffic, SharedTraffic

WITHOUT_NUMBA = "the reactive traffic of many plans is simulated plan by plan, a thousand times as slowly"
BLOCK = 512  # plans that are simulated at once: what they hold meanwhile stays small
LEAST_BLOCK = 32  # plans from which on a thread more pays
SHARES = 2  # blocks for each thread: one that is held up by others' work leaves its next to the rest


@dataclass(frozen=True)
class Effort:
    """What the traffic of some plans took."""

    num_steps: int = 0  # of vehicles, that were simulated anew
    num_ways: int = 0  # whose meeting was looked at in full
    num_gaps: int = 0  # distances that were measured
    num_slow: int = 0  # plans that were simulated one by one


def plans_traffic(
    scene: SceneFields, states: Float64[np.ndarray, "N S 11"], config: TrafficConfig = TRAFFIC, threads: int = 1
) -> PlansTraffic:
    """The traffic that N plans meet; each as :func:`reactive_traffic` has it.

    Args:
        states: the egos' simulated states [N, 41, 11] in the frame of the scene (m, rad, s), t0 first.
        threads: share the work; the answers do not depend on them.

    Raises:
        SceneError: the scene was written without reactive traffic.
        TrajectoryError: the states are fewer or more than 41.
    """
    return plans_traffic_with_effort(scene, states, config, threads)[0]


def plans_traffic_with_effort(
    scene: SceneFields, states: Float64[np.ndarray, "N S 11"], config: TrafficConfig = TRAFFIC, threads: int = 1
) -> tuple[PlansTraffic, Effort]:
    """The same, and what it took."""
    require_traffic(scene)
    if states.shape[1] != config.num_states:
        raise TrajectoryError(
            f"states has shape {states.shape}, but traffic is simulated with {config.num_states} states a plan, 0.1 s "
            "apart; hand over the simulated states of each plan"
        )
    from navsim_agents.scoring.traffic.fast.jit import ROOM
    from navsim_agents.scoring.traffic.fast.simulation import PreparedTraffic

    if not ROOM.is_kept and not can_compile(WITHOUT_NUMBA):
        return traffic_one_by_one(scene, states, config), Effort(num_slow=len(states))
    prepared = PreparedTraffic.of(scene, config)
    groups = (
        prepared.groups(states) if len(states) else [(np.zeros(len(prepared.reacting), dtype=bool), np.zeros(0, int))]
    )
    shared = [prepared.shared_by(scene, gone) for gone, _ in groups]
    if not (prepared.is_tame and all(one.is_sure for one in shared)):
        return traffic_one_by_one(scene, states, config), Effort(num_slow=len(states))
    until = np.zeros((len(states), len(shared[0].traffic.token)), dtype=np.int64)
    blocks = [(one, chosen) for one, (_, plans) in zip(shared, groups) for chosen in _blocks(plans, threads)]
    own: list[Optional[Own]] = [None] * len(blocks)
    efforts, left = [Effort()] * len(blocks), iter(range(len(blocks)))

    def work() -> None:
        for number in left:  # one step of the interpreter: no two threads get the same
            one, chosen = blocks[number]
            found, efforts[number] = _block(scene, prepared, one, states[chosen])
            found = found if one is shared[0] else _against(shared[0].traffic, found)
            until[chosen] = found.until
            own[number] = (chosen[found.own_plan], found.own_track, found.own_poses, found.own_valid)

    run_on_threads(work, min(threads, len(blocks)))
    return PlansTraffic(shared[0].traffic, until, *_joined([one for one in own if one is not None])), _total(efforts)


def _blocks(plans: npt.NDArray[np.int64], threads: int) -> list[npt.NDArray[np.int64]]:
    """The plans in pieces: at least one piece, and where there are plans enough, several for each thread."""
    pieces = -(-len(plans) // BLOCK)
    if threads > 1:
        pieces = max(pieces, min(SHARES * threads, len(plans) // LEAST_BLOCK))
    return np.array_split(plans, max(pieces, 1))


def _block(
    scene: SceneFields, prepared: PreparedTraffic, shared: SharedTraffic, states: Float64[np.ndarray, "N S 11"]
) -> tuple[PlansTraffic, Effort]:
    """The traffic of some plans, that begin at one place."""
    run = prepared.run(shared.base, states)
    slow = np.flatnonzero(~run.is_sure)
    own = [_own_of_reacting(prepared, shared, run), _own_of_standing(prepared, shared, run)]
    until = np.full((len(states), len(shared.traffic.token)), prepared.config.num_states)
    until[:, prepared.reacting] = run.until
    for plan in slow:
        until[plan] = prepared.config.num_states
        own.append(_own_of_slow(scene, prepared, int(plan), states[plan]))
    plans, tracks, poses, valid = _joined(own)
    until[plans, tracks] = 0
    steps, ways, gaps = run.effort.tolist()
    return PlansTraffic(shared.traffic, until, plans, tracks, poses, valid), Effort(steps, ways, gaps, len(slow))


def _against(shared: Traffic, found: PlansTraffic) -> PlansTraffic:
    """The same with another shared traffic: what that has otherwise is each plan's own."""
    is_same = (shared.poses == found.shared.poses) | (np.isnan(shared.poses) & np.isnan(found.shared.poses))
    others = np.flatnonzero(~is_same.all(axis=(1, 2)))
    own: list[Own] = [(found.own_plan, found.own_track, found.own_poses, found.own_valid)]
    until = found.until.copy()
    for plan in range(len(found)):
        tracks = others[until[plan, others] > 0]
        valid = found.shared.valid[tracks] & (np.arange(shared.valid.shape[1]) < until[plan, tracks, None])
        poses = np.where(valid[..., None], found.shared.poses[tracks], np.nan)
        own.append((np.full(len(tracks), plan), tracks, poses, valid))
        until[plan, tracks] = 0
    return PlansTraffic(shared, until, *_joined(own))


Own = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]
"""Plans [O], tracks [O], poses [O, S, 3] and where they are valid [O, S]."""


def _own_of_reacting(prepared: PreparedTraffic, shared: SharedTraffic, run: PlansRun) -> Own:
    """Vehicles that drive otherwise than without an ego."""
    is_own = run.is_own & run.is_sure[:, None]
    plan, row = np.nonzero(is_own)
    track, own = prepared.reacting[row], np.full(is_own.shape, -1)
    own[plan, row] = np.arange(len(plan))
    poses = shared.traffic.poses[track]
    changing, rows, step = run.where.T
    which = own[changing, rows]
    is_sure = which >= 0
    poses[which[is_sure], step[is_sure]] = prepared.poses_of(rows[is_sure], run.progress[is_sure])
    valid = np.arange(poses.shape[1]) < run.until[plan, row][:, None]
    poses[~valid] = np.nan
    return plan, track, poses, valid


def _own_of_standing(prepared: PreparedTraffic, shared: SharedTraffic, run: PlansRun) -> Own:
    """Vehicles that stand at other steps than without an ego."""
    differs = (run.stands != shared.base.stands).any(axis=1) & run.is_sure[:, None]
    plan, row = np.nonzero(differs)
    track, valid = prepared.standing[row], run.stands[plan, :, row]
    poses = np.where(valid[..., None], prepared.logged[track, None], np.nan)
    return plan, track, poses, valid


def _own_of_slow(scene: SceneFields, prepared: PreparedTraffic, plan: int, states: Float64[np.ndarray, "S 11"]) -> Own:
    """All vehicles of a plan that is simulated alone."""
    traffic = reactive_traffic(scene, states, prepared.config)
    track = np.arange(len(traffic.token))
    return np.full(len(track), plan), track, traffic.poses, traffic.valid


def _joined(parts: list[Own]) -> Own:
    """All of them, one after the other."""
    plans, tracks, poses, valid = (np.concatenate(part) for part in zip(*parts))
    return plans, tracks, poses, valid


def _total(efforts: list[Effort]) -> Effort:
    """All of them together."""
    names = ("num_steps", "num_ways", "num_gaps", "num_slow")
    return Effort(**{name: sum(getattr(effort, name) for effort in efforts) for name in names})
