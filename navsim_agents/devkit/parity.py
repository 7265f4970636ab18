"""Compares the batched scorer with the devkit's own, scene by scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool

from navsim_agents.common.conventions import STEP_S
from navsim_agents.devkit.logged_future import LoggedFutures
from navsim_agents.devkit.metric_cache import cache_variant, scoring_scene_of
from navsim_agents.devkit.parity_plans import parity_plans
from navsim_agents.devkit.scoring import METRIC, JointScores, score_jointly_with_devkit, score_with_devkit
from navsim_agents.devkit.traffic_parity import TrafficParity
from navsim_agents.poses import poses_to_local, wrap_angle
from navsim_agents.scoring import Scores, ScoringScene, extended_comfort, score_scenes
from navsim_agents.scoring.aggregate import COLUMNS, EXTENDED_COMFORT, SCORE
from navsim_agents.scoring.axes import POSE, State
from navsim_agents.scoring.config import METRICS

FloatArray = npt.NDArray[np.float64]

CONTINUOUS = ("ego_progress", *SCORE.values())
STEPS = ("collision_step", "ttc_step")
MAX_GAP_S = 0.55  # between consecutive frames, as v2.2's scripts have it


@dataclass
class SceneParity:
    """What differs in one scene; distances are the largest, counts are of trajectories."""

    token: str
    num_trajectories: int
    state_distance: float  # m, m/s, m/s^2, rad, ...
    raw_progress_distance: float  # m
    continuous_distance: dict[str, float]
    discrete_mismatches: dict[str, list[int]]  # rows by column; empty lists are left out
    num_alone: int = 0  # trajectories that the devkit also scored one by one
    alone_distance: float = 0.0  # of the devkit's joint columns from its columns one by one
    filtered_distance: float = 0.0  # of the columns after the human filter, ours from the devkit's one by one
    num_excused: int = 0  # answers that the human filter changed
    num_pairs: int = 0  # of extended comfort
    values_seen: dict[str, list[float]] = field(default_factory=dict)  # distinct discrete answers
    traffic: TrafficParity = field(default_factory=TrafficParity)  # reactive, where asked for

    def is_equal(self, tolerance: float) -> bool:
        """Whether nothing differs beyond ``tolerance``."""
        distances = (self.state_distance, self.raw_progress_distance, self.alone_distance, self.filtered_distance)
        is_close = max(*distances, *self.continuous_distance.values()) <= tolerance
        return not self.discrete_mismatches and is_close and self.traffic.is_equal(tolerance)


@dataclass(frozen=True)
class ScoredScene:
    """Both answers for one scene."""

    scene: ScoringScene
    ours: Scores
    theirs: JointScores


def score_both(
    metric_cache: Any,
    count: int,
    generator: np.random.Generator,
    vocabulary: Optional[FloatArray],
    futures: Optional[LoggedFutures],
    with_traffic: bool = False,
) -> tuple[ScoredScene, FloatArray]:
    """Score ``count`` trajectories by both, and return them [N, 8, 3]; ``futures`` gives v1.1 the human."""
    scene = scoring_scene_of(metric_cache, futures, with_traffic=with_traffic)
    speed = float(scene.ego_state[State.VELOCITY_X])
    plans = parity_plans(scene.human_trajectory.numpy(), speed, count, generator, vocabulary)
    ours = score_scenes([scene], torch.from_numpy(plans)[None], metric=METRIC[cache_variant(metric_cache)])
    return ScoredScene(scene, ours, score_jointly_with_devkit(metric_cache, plans)), plans


def compare_scene(scored: ScoredScene) -> SceneParity:
    """Differences between the two answers for one scene."""
    scene, ours, theirs = scored.scene, scored.ours, scored.theirs
    states = ours.simulated_states[0].numpy()
    wanted = theirs.simulated_states.copy()
    wanted[..., POSE] = poses_to_local(wanted[..., POSE], scene.ego_pose.numpy())
    difference = states - wanted
    difference[..., State.HEADING] = wrap_angle(difference[..., State.HEADING])
    columns = {name: value[0].numpy() for name, value in ours.columns.items()}
    found = {name: _rows(columns[name] != theirs.columns[name]) for name in columns if name not in CONTINUOUS}
    found |= {name: _rows(getattr(ours, name)[0].numpy() != getattr(theirs, name)) for name in STEPS}
    found["ego_areas"] = _rows((ours.ego_areas[0].numpy() != theirs.ego_areas).any(axis=(1, 2)))
    return SceneParity(
        token=scene.token,
        num_trajectories=len(states),
        state_distance=float(np.abs(difference).max()),
        raw_progress_distance=_distance(ours.raw_progress[0].numpy(), theirs.raw_progress),
        continuous_distance={
            name: _distance(value, theirs.columns[name]) for name, value in columns.items() if name in CONTINUOUS
        },
        discrete_mismatches={name: rows for name, rows in found.items() if rows},
        values_seen={name: np.unique(value).tolist() for name, value in columns.items() if name not in CONTINUOUS},
    )


def compare_alone(parity: SceneParity, metric_cache: Any, plans: FloatArray, scored: ScoredScene, count: int) -> None:
    """Score ``count`` of the trajectories one by one by the devkit too, and note how its joint answers differ.

    In v2.2 they are scored once more with the human filter, by both.
    """
    rows = np.linspace(0, len(plans) - 1, min(count, len(plans))).astype(int)
    metric = METRIC[cache_variant(metric_cache)]
    alone = score_with_devkit(metric_cache, plans[rows])
    parity.num_alone = len(rows)
    parity.alone_distance = max(_distance(alone[name], scored.theirs.columns[name][rows]) for name in COLUMNS[metric])
    if METRICS[metric].uses_history:
        theirs = score_with_devkit(metric_cache, plans[rows], human_penalty_filter=True)
        chosen = torch.from_numpy(plans[rows])[None]
        ours = score_scenes([scored.scene], chosen, metric=metric, human_penalty_filter=True).columns
        parity.num_excused = sum(int((theirs[name] != alone[name]).sum()) for name in COLUMNS[metric])
        parity.filtered_distance = max(_distance(ours[name][0].numpy(), theirs[name]) for name in COLUMNS[metric])


def compare_extended_comfort(parity: SceneParity, now: ScoredScene, previous: ScoredScene) -> None:
    """Compare extended comfort of each trajectory with the previous frame's of the same row (v2.2)."""
    interval_s = (now.scene.timestamp_us - previous.scene.timestamp_us) * 1e-6
    ours = extended_comfort(now.ours.simulated_states[0], previous.ours.simulated_states[0], interval_s)
    theirs = _devkit_extended_comfort(now.theirs.simulated_states, previous.theirs.simulated_states, interval_s)
    rows = _rows(ours.numpy().astype(bool) != theirs)
    parity.num_pairs = len(theirs)
    parity.values_seen[EXTENDED_COMFORT] = np.unique(theirs.astype(float)).tolist()
    if rows:
        parity.discrete_mismatches[EXTENDED_COMFORT] = rows


def are_consecutive(now: ScoringScene, previous: ScoringScene) -> bool:
    """Whether v2.2's scripts would compare the two frames."""
    gap_s = (now.timestamp_us - previous.timestamp_us) * 1e-6
    return now.log_name == previous.log_name and 0.0 < gap_s <= MAX_GAP_S


def _devkit_extended_comfort(now: FloatArray, previous: FloatArray, interval_s: float) -> Bool[np.ndarray, " N"]:
    """The devkit's answer from simulated states [N, 41, 11] of both frames, on the overlap of the two."""
    from navsim.planning.simulation.planner.pdm_planner.scoring.pdm_comfort_metrics import (
        ego_is_two_frame_extended_comfort,
    )

    shift = round(interval_s / STEP_S)
    times = np.arange(now.shape[1] - shift) * STEP_S
    answer = ego_is_two_frame_extended_comfort(now[:, :-shift], previous[:, shift:], times)
    return np.asarray(answer, dtype=bool).reshape(len(now))


def _rows(differs: npt.NDArray[np.bool_]) -> list[int]:
    return [int(row) for row in np.flatnonzero(differs)]


def _distance(found: FloatArray, wanted: FloatArray) -> float:
    return float(np.abs(found - wanted).max())
