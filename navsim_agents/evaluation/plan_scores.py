"""PDMS and EPDMS of the evaluation's plans: all agents of a scene at once, without the devkit.

Pairs, weights and averages are those of NAVSIM's own scripts: v1.1's ``run_pdm_score.py`` for PDMS and v2.2's
``run_pdm_score_one_stage.py`` for EPDMS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Optional

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from navsim_agents.common.conventions import NUM_POSES, POSE_INTERVAL_S, STEP_S
from navsim_agents.errors import DevkitError, InputError, SceneError
from navsim_agents.evaluation.two_stage_scores import scenes_at_once
from navsim_agents.poses import FloatArray
from navsim_agents.scoring import ScoringScene, epdms, extended_comfort, score_scenes
from navsim_agents.scoring.aggregate import COLUMNS, EXTENDED_COMFORT, SCORE
from navsim_agents.scoring.config import EPDMS, LOG_REPLAY, REACTIVE, refuse_traffic
from navsim_agents.scoring.rules.comfort import MAX_INTERVAL_S
from navsim_agents.scoring.traffic.checks import require_traffic
from navsim_agents.sources import SceneSource

EPDMS_STAR = "epdms_star"
SUMMARY_EXTENDED_COMFORT = "extended_comfort"
_UNEXCUSED = "unexcused."

Columns = dict[str, FloatArray]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PlanScorer:
    """Scores the plans of every agent; rows go with ``tokens``.

    A plan that holds NaN is one that its agent failed to make: it scores NaN and has no neighbours.
    """

    source: SceneSource
    metrics: Sequence[str]  # of METRIC_NAMES
    tokens: Sequence[str]
    log_names: Sequence[str]
    plans: Mapping[str, FloatArray]  # agent -> [B, 8, 3] in the ego frame, m and rad
    traffic: str = LOG_REPLAY  # of EPDMS, for plans and human alike; PDMS knows the log's alone
    proposals: Mapping[str, FloatArray] = field(default_factory=dict)  # agent -> [B, N, 8, 3] to score beside its plans

    def __post_init__(self) -> None:
        """Raises TrajectoryError where there is no such traffic."""
        refuse_traffic(self.traffic, EPDMS)

    def columns(self, agent: str, metric: str) -> Columns:
        """The devkit's columns [B] of one agent; EPDMS with human filter and extended comfort, and EPDMS* beside it."""
        if metric not in self.metrics:
            raise InputError(f"{metric} was not asked for, only {list(self.metrics)}; name it among the columns")
        row = list(self.plans).index(agent)
        return {name: values[:, row] for name, values in self._scored.columns[metric].items()}

    def proposal_scores(self, agent: str, metric: str) -> FloatArray:
        """Scores [B, N] of an agent's proposals, each by itself, so that extended comfort is not in EPDMS.

        NaN where a scene has no scores, or where the agent failed to propose.

        Raises:
            InputError: the agent's proposals, or the metric, were not asked for.
        """
        if metric not in self.metrics or agent not in self.proposals:
            raise InputError(
                f"{metric} of the proposals of {agent} was not asked for, only {list(self.metrics)} of those of "
                f"{list(self.proposals)}; name both"
            )
        return self._scored.proposals[metric][:, self._distinct_proposals.columns_of(agent)]

    @cached_property
    def _distinct_proposals(self) -> _DistinctProposals:
        return _DistinctProposals.of(self.proposals, len(self.tokens))

    @property
    def failures(self) -> list[dict[str, str]]:
        """Scenes in which no plan could be scored, with the reason; none if no metric was asked for."""
        return self._scored.failures if self.metrics else []

    @cached_property
    def _scored(self) -> _Scored:
        """All metrics of all agents, some scenes at a time."""
        stacked = np.stack([self.plans[agent] for agent in self.plans], axis=1)  # [B, N, T, 3]
        is_planned = np.asarray(np.isfinite(stacked).all(axis=(2, 3)))  # [B, N]
        plans = torch.from_numpy(np.where(is_planned[..., None, None], stacked, 0.0))
        extra = self._distinct_proposals.poses  # [B, M, T, 3]
        is_proposed = np.asarray(np.isfinite(extra).all(axis=(2, 3)))  # [B, M]
        plans = torch.cat((plans, torch.from_numpy(np.where(is_proposed[..., None, None], extra, 0.0))), dim=1)
        scored = _Scored(self.metrics, self.traffic, stacked.shape[1])
        size = scenes_at_once(plans.shape[1])
        for start in tqdm(range(0, len(self.tokens), size), desc="scoring", unit=f"{size} scenes"):
            rows = range(start, min(start + size, len(self.tokens)))
            scenes = {row: scene for row in rows if (scene := self._scene(row, scored.failures)) is not None}
            if scenes:
                scored.add(scenes, plans[list(scenes)])
        if not scored.rows:
            raise InputError(f"none of {len(self.tokens)} scenes can be scored: {scored.failures[0]['reason']}")
        scored.finish(self.log_names, is_planned, is_proposed)
        return scored

    def _scene(self, row: int, failures: list[dict[str, str]]) -> Optional[ScoringScene]:
        try:
            scene = self.source.scoring_scene(self.tokens[row])
            if self.traffic == REACTIVE and EPDMS.name in self.metrics:
                require_traffic(scene)
            return scene
        except (InputError, SceneError, DevkitError) as error:  # the scene is left out, and the summary says why
            where = {"agent": "", "log_name": self.log_names[row], "token": self.tokens[row]}
            failures.append({**where, "reason": f"{type(error).__name__}: {error}"})
            return None


@dataclass(frozen=True)
class _DistinctProposals:
    """The proposals of all agents, once where several have the same: those whose weights choose in different ways."""

    poses: FloatArray  # [B, M, 8, 3]
    place: Mapping[str, tuple[int, int]]  # agent -> its columns of M

    @classmethod
    def of(cls, proposals: Mapping[str, FloatArray], num_scenes: int) -> _DistinctProposals:
        """Join them."""
        kept: list[FloatArray] = []
        place: dict[str, tuple[int, int]] = {}
        for agent, poses in proposals.items():
            same = next((name for name in place if np.array_equal(proposals[name], poses, equal_nan=True)), None)
            if same is not None:
                place[agent] = place[same]
                continue
            start = sum(its.shape[1] for its in kept)
            place[agent] = (start, start + poses.shape[1])
            kept.append(poses)
        empty = np.zeros((num_scenes, 0, NUM_POSES, 3))
        return cls(np.concatenate([empty, *kept], axis=1), place)

    def columns_of(self, agent: str) -> slice:
        """Where an agent's proposals are among M."""
        return slice(*self.place[agent])


class _Scored:
    """Columns of the scenes that could be scored, gathered part by part."""

    def __init__(self, metrics: Sequence[str], traffic: str, num_plans: int) -> None:
        self.rows: list[int] = []
        self.proposals: dict[str, FloatArray] = {}  # metric -> [B, M], NaN where there is no score
        self._num_plans = num_plans
        self._proposal_parts: dict[str, list[Tensor]] = {metric: [] for metric in metrics}
        self.failures: list[dict[str, str]] = []
        self.columns: dict[str, dict[str, FloatArray]] = {}  # metric -> name -> [B, N], NaN where there is no score
        self._parts: dict[str, list[dict[str, Tensor]]] = {metric: [] for metric in metrics}
        self._traffic = traffic
        self._states: list[Tensor] = []
        self._times_us: list[int] = []

    def add(self, scenes: Mapping[int, ScoringScene], plans: Tensor) -> None:
        """Score ``plans`` [b, N + M, 8, 3], M proposals after N plans, in the scenes of these rows."""
        self.rows += list(scenes)
        self._times_us += [scene.timestamp_us for scene in scenes.values()]
        for metric, parts in self._parts.items():
            columns, simulated = _score(list(scenes.values()), plans, metric, self._traffic)
            self._proposal_parts[metric].append(_alone(columns, metric)[:, self._num_plans :])
            parts.append({name: value[:, : self._num_plans] for name, value in columns.items()})
            if metric == EPDMS.name:
                self._states.append(simulated[:, : self._num_plans])

    def finish(self, log_names: Sequence[str], is_planned: BoolArray, is_proposed: BoolArray) -> None:
        """Join the parts, and compare the plans of consecutive frames."""
        planned = is_planned[self.rows]
        for metric, parts in self._parts.items():
            columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
            if metric == EPDMS.name:
                logs, times = [log_names[row] for row in self.rows], np.array(self._times_us)
                columns = _finish_epdms(columns, two_frame_comfort(torch.cat(self._states), times, logs, planned))
            self.columns[metric] = {}
            for name, value in columns.items():
                self.columns[metric][name] = self._in_place(value, is_planned)
            self.proposals[metric] = self._in_place(torch.cat(self._proposal_parts[metric]), is_proposed)

    def _in_place(self, values: Tensor, is_there: BoolArray) -> FloatArray:
        """``values`` of the scored rows among all rows; NaN elsewhere."""
        full = np.full(is_there.shape, np.nan)
        full[self.rows] = np.where(is_there[self.rows], values.numpy(), np.nan)
        return full


def _alone(columns: Mapping[str, Tensor], metric: str) -> Tensor:
    """The score [b, N] of each trajectory by itself."""
    return epdms(dict(columns)) if metric == EPDMS.name else columns[SCORE[metric]]


def _score(scenes: list[ScoringScene], plans: Tensor, metric: str, traffic: str) -> tuple[dict[str, Tensor], Tensor]:
    """Columns [B, N] and simulated states; of EPDMS both excused and unexcused columns."""
    traffic = traffic if metric == EPDMS.name else LOG_REPLAY
    has_human = metric == EPDMS.name
    scores = score_scenes(scenes, plans, POSE_INTERVAL_S, metric, human_penalty_filter=has_human, traffic=traffic)
    columns = {name: scores.columns[name] for name in COLUMNS[metric]}
    if has_human:
        columns.update({_UNEXCUSED + name: value for name, value in scores.unexcused_columns.items()})
    return columns, scores.simulated_states


def two_frame_comfort(states: Tensor, times_us: IntArray, log_names: Sequence[str], is_planned: BoolArray) -> Tensor:
    """Extended comfort [B, N] of simulated ``states`` [B, N, S, 11]; NaN where the frame before is missing.

    As v2.2's one-stage script: each planned frame is compared with the planned frame before it in its log, where that
    is at most 0.55 s older, and only the later one of the two gets the score.
    """
    result = torch.full(states.shape[:2], float("nan"), dtype=states.dtype)
    for agent in range(states.shape[1]):
        for steps, pairs in _pairs(times_us, log_names, is_planned[:, agent]).items():
            previous, now = torch.tensor(pairs).T
            is_comfortable = extended_comfort(states[now, agent], states[previous, agent], steps * STEP_S)
            result[now, agent] = is_comfortable.to(states)
    return result


def _pairs(times_us: IntArray, log_names: Sequence[str], is_planned: BoolArray) -> dict[int, list[tuple[int, int]]]:
    """Rows (previous, now) that follow each other, by the number of steps between them."""
    order = sorted(np.flatnonzero(is_planned).tolist(), key=lambda row: (log_names[row], times_us[row]))
    found: dict[int, list[tuple[int, int]]] = {}
    for previous, now in zip(order[:-1], order[1:]):
        interval_s = float(times_us[now] - times_us[previous]) * 1e-6
        if log_names[previous] == log_names[now] and 0.0 < interval_s < MAX_INTERVAL_S:
            found.setdefault(round(interval_s / STEP_S), []).append((previous, now))
    return found


def _finish_epdms(columns: dict[str, Tensor], comfort: Tensor) -> dict[str, Tensor]:
    """The one-stage csv's columns, and EPDMS* whose products the human filter has not reached."""
    excused = {name: value for name, value in columns.items() if not name.startswith(_UNEXCUSED)}
    unexcused = {name: columns[_UNEXCUSED + name] for name in excused}
    del excused[SCORE[EPDMS.name]]
    return {
        **excused,
        "score": epdms(excused, comfort),
        EPDMS_STAR: epdms(unexcused, comfort),
        EXTENDED_COMFORT: comfort,
    }


def summary_name(metric: str, column: str) -> str:
    """What the evaluation calls a devkit column, both metrics being in one table: ``epdms``, ``epdms.lane_keeping``."""
    own = {"score": metric, EPDMS_STAR: EPDMS_STAR, EXTENDED_COMFORT: SUMMARY_EXTENDED_COMFORT}
    return own.get(column, f"{metric}.{column}")


def is_sub_score(name: str) -> bool:
    """Whether a name of :func:`summary_name` is that of a sub-score, which the main table leaves out."""
    return "." in name
