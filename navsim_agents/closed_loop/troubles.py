"""What leads a car into trouble: plans that an expert would not make, to be saved from by one.

Each is the expert's own path, driven at a wrong speed, beside its middle, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from navsim_agents.closed_loop.planners import Plan, foreseen_stations, plan_along_path
from navsim_agents.closed_loop.stage import Stage
from navsim_agents.common.conventions import NUM_POSES, POSE_INTERVAL_S, STEPS_PER_POSE
from navsim_agents.common.poses import HEADING, XY
from navsim_agents.world.curves import left_normal
from navsim_agents.world.fleet import EGO
from navsim_agents.world.simulation import Decision

TIMES_S = POSE_INTERVAL_S * np.arange(1, NUM_POSES + 1)
STANDS, LETS_GO, HURRIES, DAWDLES, KEEPS_PACE = "stands", "lets_go", "hurries", "dawdles", "keeps_pace"
SPEEDS = {STANDS: 0.45, LETS_GO: 0.15, HURRIES: 0.1, DAWDLES: 0.1, KEEPS_PACE: 0.2}
"""How a car in trouble goes, and how often: who lets go of wheel and pedals drives straight on at its speed."""
STANDING_S, WRONG_S = (2.0, 12.0), (1.0, 4.0)
BRAKING_MPS2, FACTORS = (1.0, 3.0), {HURRIES: (1.2, 1.6), DAWDLES: (0.3, 0.7)}
ASIDE_SHARE, ASIDE_M, ASIDE_WITHIN_S = 0.6, (0.3, 1.4), (1.0, 2.5)
LEAST_MPS, MOST_MPS = 2.0, 14.0


@dataclass(frozen=True)
class Trouble:
    """One way of driving wrongly."""

    speed: str  # a key of SPEEDS
    lasts_s: float
    factor: float = 1.0  # of the expert's way, of who hurries or dawdles
    braking_mps2: float = 1.0  # of who comes to stand
    aside_m: float = 0.0  # to the left of the expert's path
    aside_within_s: float = 1.0

    def plan(self, stage: Stage, decision: Decision) -> Plan:
        """Poses [8, 3] 0.5 s apart in the car's frame."""
        way = self._way(stage, decision)
        if self.speed == LETS_GO:
            return np.column_stack((way, np.zeros((len(way), 2))))
        station = stage.simulation.fleet.station[EGO]
        poses = plan_along_path(stage, station + way)
        if self.aside_m and way[-1] > LEAST_MPS * TIMES_S[-1]:
            poses = _moved_aside(poses, plan_along_path(stage, station[None])[0], self.aside_m, self.aside_within_s)
        return poses

    def _way(self, stage: Stage, decision: Decision) -> Float64[np.ndarray, " P"]:
        """How far the car goes until each pose [m]."""
        speed = stage.car.speed
        if self.speed == STANDS:
            times = np.minimum(TIMES_S, speed / self.braking_mps2)
            return speed * times - 0.5 * self.braking_mps2 * times**2
        if self.speed == LETS_GO:
            return max(speed, LEAST_MPS) * TIMES_S
        stations = foreseen_stations(stage, decision)
        return np.minimum(self.factor * (stations[STEPS_PER_POSE::STEPS_PER_POSE] - stations[0]), MOST_MPS * TIMES_S)


def _moved_aside(
    poses: Plan, path_now: Float64[np.ndarray, "3"], aside_m: float, within_s: float
) -> Float64[np.ndarray, "P 3"]:
    """A plan along a path, led from where the car is beside it to ``aside_m`` to its left.

    The car's place is the origin; ``path_now`` is the path's pose beside it. Poses point where they lead: a tracker
    keeps to headings as well as to places.
    """
    aside_now = float(-path_now[XY] @ left_normal(path_now[HEADING]))
    share = np.clip(TIMES_S / within_s, 0.0, 1.0)
    offset = aside_now + (aside_m - aside_now) * share
    places = poses[:, XY] + offset[:, None] * left_normal(poses[:, HEADING])
    steps = np.diff(np.concatenate((np.zeros((1, 2)), places)), axis=0)
    return np.column_stack((places, np.arctan2(steps[:, 1], steps[:, 0])))


def draw_trouble(rng: np.random.Generator) -> Trouble:
    """Any of them."""
    speed = str(rng.choice([*SPEEDS], p=[*SPEEDS.values()]))
    lasts_s = float(rng.uniform(*(STANDING_S if speed == STANDS else WRONG_S)))
    factor = float(rng.uniform(*FACTORS.get(speed, (1.0, 1.0))))
    is_aside = speed == KEEPS_PACE or rng.random() < ASIDE_SHARE
    aside_m = float(rng.choice([-1.0, 1.0]) * rng.uniform(*ASIDE_M)) if is_aside else 0.0
    braking, within_s = float(rng.uniform(*BRAKING_MPS2)), float(rng.uniform(*ASIDE_WITHIN_S))
    return Trouble(speed, lasts_s, factor, braking, aside_m, within_s)
