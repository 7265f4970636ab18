"""Which scenes of a log get follow-ups, and the steps of a follow-up."""

from __future__ import annotations

import numpy as np

from navsim_agents.common.conventions import NUM_HISTORY_FRAMES, NUM_STEPS, WORLD_STEP_S
from navsim_agents.world.types import Drive
from navsim_agents.world.writers.logs import STEPS_PER_FRAME

HISTORY_STEPS = (NUM_HISTORY_FRAMES - 1) * STEPS_PER_FRAME
FIRST_NOW = HISTORY_STEPS + STEPS_PER_FRAME
"""The scene one frame earlier needs a history too."""
STEPS_AFTER_NOW = 2 * NUM_STEPS
"""A plan's 4 s, and as much again to judge the plans of its follow-up."""
LEAST_DURATION_S = (FIRST_NOW + STEPS_AFTER_NOW) * WORLD_STEP_S
SCENES_APART_STEPS = 2 * STEPS_PER_FRAME
"""No scene belongs to two pairs, for its score would have two weights."""


def pair_steps(drive: Drive, count: int, rng: np.random.Generator) -> list[int]:
    """Up to ``count`` steps, in order, at which the later scene of a pair is now; the other is a frame earlier."""
    last = len(drive.ego.poses) - 1 - STEPS_AFTER_NOW
    routes = drive.route_roadblock_ids
    steps = range(FIRST_NOW, last + 1, STEPS_PER_FRAME)
    options = [now for now in steps if routes[now] and routes[now - STEPS_PER_FRAME]]
    chosen: list[int] = []
    for now in rng.permutation(np.array(options, dtype=np.int64)).tolist():
        if len(chosen) < count and all(abs(now - other) >= SCENES_APART_STEPS for other in chosen):
            chosen.append(now)
    return sorted(chosen)


def shown_steps(now: int) -> range:
    """Steps of all frames of a follow-up pair: those of the earlier scene and the end of the plan."""
    end = now + NUM_STEPS
    return range(end - HISTORY_STEPS - STEPS_PER_FRAME, end + 1, STEPS_PER_FRAME)
