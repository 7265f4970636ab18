"""Compares reactive traffic, and the scores in it, with the devkit's own: plan by plan, as its script scores them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float64

from navsim_agents.common.conventions import EPDMS_NAME
from navsim_agents.devkit.scoring import Columns, score_with_devkit
from navsim_agents.poses import poses_to_local, wrap_angle
from navsim_agents.scoring import ScoringScene, score_scenes
from navsim_agents.scoring.config import REACTIVE
from navsim_agents.scoring.traffic.of_plans import PlansTraffic
from navsim_agents.scoring.traffic.reactive import Traffic
from navsim_agents.scoring.traffic.scored import plans_traffic

FloatArray = npt.NDArray[np.float64]
Boxes = list[dict[str, FloatArray]]
"""Per step, track to pose (m, rad)."""


@dataclass
class KeptTraffic:
    """The devkit's traffic, asked once for equal egos: a scene's human is the same for every plan."""

    policy: Any
    kept: dict[bytes, Any] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)

    def simulate_environment(self, states: FloatArray, metric_cache: Any) -> Any:
        """The devkit's answer: a list of tracks for each step."""
        key = np.ascontiguousarray(states).tobytes()
        self.asked.append(key)
        if key not in self.kept:
            self.kept[key] = self.policy.simulate_environment(states, metric_cache)
        return self.kept[key]

    def boxes(self, origin: Float64[np.ndarray, "3"]) -> list[Boxes]:
        """What each asked ego met, in the order of asking; poses relative to ``origin``."""
        return [[_boxes(step.tracked_objects, origin) for step in self.kept[key]] for key in self.asked]


@dataclass(frozen=True)
class TrafficParity:
    """How the traffic of one scene's plans differs, and the scores in it, with the human filter and without."""

    num_plans: int = 0
    num_reacting: int = 0  # plans that meet other traffic than the first one
    box_distance: float = 0.0  # m, rad: the largest of all boxes at all steps
    other_tracks: int = 0  # steps at which other tracks are there
    score_distance: float = 0.0  # of all columns
    filtered_distance: float = 0.0  # of all columns with the human filter
    num_excused: int = 0  # answers that the human filter changed
    mismatches: list[str] = field(default_factory=list)  # what lies beyond the tolerance, one by one

    def is_equal(self, tolerance: float) -> bool:
        """Whether nothing differs beyond ``tolerance``."""
        distance = max(self.box_distance, self.score_distance, self.filtered_distance)
        return not self.mismatches and not self.other_tracks and distance <= tolerance


def compare_traffic(
    metric_cache: Any, scene: ScoringScene, plans: Float64[np.ndarray, "N 8 3"], tolerance: float
) -> TrafficParity:
    """Traffic and scores of N plans by both.

    Args:
        scene: the cache's, with traffic.
        plans: x, y, heading (m, rad, ego frame at t0).

    Raises:
        TrajectoryError: the devkit is v1.1, which replays the log alone.
    """
    kept: list[KeptTraffic] = []

    def keep(policy: Any) -> KeptTraffic:
        kept.append(KeptTraffic(policy, kept[0].kept if kept else {}))
        return kept[-1]

    theirs = score_with_devkit(metric_cache, plans, reactive=True, traffic_as=keep)
    boxes = kept[0].boxes(scene.ego_pose.numpy())
    filtered = score_with_devkit(metric_cache, plans, human_penalty_filter=True, reactive=True, traffic_as=keep)
    ours, met = _ours(scene, plans, human_penalty_filter=False)
    ours_filtered, _ = _ours(scene, plans, human_penalty_filter=True)
    mismatches = [*_beyond(ours, theirs, tolerance, ""), *_beyond(ours_filtered, filtered, tolerance, "filtered ")]
    off, missing = _compare_boxes(met, boxes)
    mismatches += [f"plan {plan}: boxes {value:.1e}" for plan, value in enumerate(off) if value > tolerance]
    return TrafficParity(
        num_plans=len(plans),
        num_reacting=len(np.unique(met.own_plan)),
        box_distance=max(off),
        other_tracks=missing,
        score_distance=_distance(ours, theirs),
        filtered_distance=_distance(ours_filtered, filtered),
        num_excused=sum(int((filtered[name] != theirs[name]).sum()) for name in theirs),
        mismatches=mismatches,
    )


def box_distance(found: Traffic, wanted: Boxes) -> tuple[float, int]:
    """The largest difference [m, rad] of all boxes, and the number of steps at which other tracks are there."""
    place = {token: index for index, token in enumerate(found.token)}
    worst, misses = 0.0, 0
    for step, boxes in enumerate(wanted):
        if set(boxes) != {token for token, index in place.items() if found.valid[index, step]}:
            misses += 1
            continue
        for token, pose in boxes.items():
            off = found.poses[place[token], step] - pose
            worst = max(worst, *np.abs(off[:2]).tolist(), abs(float(wrap_angle(off[2]))))
    return worst, misses


def _ours(scene: ScoringScene, plans: FloatArray, human_penalty_filter: bool) -> tuple[Columns, PlansTraffic]:
    scores = score_scenes(
        [scene],
        torch.from_numpy(plans)[None],
        metric=EPDMS_NAME,
        human_penalty_filter=human_penalty_filter,
        traffic=REACTIVE,
    )
    met = plans_traffic(scene, scores.simulated_states[0].double().numpy())
    return {name: value[0].double().numpy() for name, value in scores.columns.items()}, met


def _boxes(tracked_objects: Any, origin: FloatArray) -> dict[str, FloatArray]:
    poses = {item.track_token: np.array(item.center.serialize(), dtype=np.float64) for item in tracked_objects}
    return {token: poses_to_local(pose, origin) for token, pose in poses.items()}


def _compare_boxes(met: PlansTraffic, boxes: list[Boxes]) -> tuple[list[float], int]:
    """Largest difference of each plan, and the number of steps of all plans at which other tracks are there."""
    compared = [box_distance(met.of_plan(plan), boxes[plan]) for plan in range(len(met))]
    return [distance for distance, _ in compared], sum(misses for _, misses in compared)


def _distance(found: Columns, wanted: Columns) -> float:
    return max(float(np.abs(found[name] - column).max()) for name, column in wanted.items())


def _beyond(found: Columns, wanted: Columns, tolerance: float, prefix: str) -> list[str]:
    return [
        f"plan {plan}: {prefix}{name} {found[name][plan]:.9g} instead of {column[plan]:.9g}"
        for name, column in wanted.items()
        for plan in np.flatnonzero(np.abs(found[name] - column) > tolerance).tolist()
    ]
