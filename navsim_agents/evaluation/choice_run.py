"""The choice among trajectories of every agent that proposes: its own proposals, pseudo-teachers, the vocabulary.

True scores are the training's: PDMS, or EPDMS without extended comfort and without human filter. What the chosen plans
are worth in the end, with the plan of the frame before, is the EPDMS of the one-stage evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from navsim_agents.common.conventions import EPDMS_NAME, POSE_INTERVAL_S, TEACHER_THRESHOLD
from navsim_agents.common.files import write_text
from navsim_agents.drive_jepa.label_source import LabelSource, open_vocabulary
from navsim_agents.errors import InputError
from navsim_agents.evaluation.choice import (
    averages,
    best_fixed,
    calibration,
    calibration_table,
    choose_in_sequence,
    lost_to,
    scene_columns,
)
from navsim_agents.evaluation.plan_scores import PlanScorer
from navsim_agents.evaluation.planning import Evaluation
from navsim_agents.evaluation.two_stage_scores import scenes_at_once
from navsim_agents.models.config import OF_TRAJECTORIES
from navsim_agents.poses import FloatArray
from navsim_agents.scoring import score_scenes
from navsim_agents.scoring.aggregate import EXTENDED_COMFORT, SCORE, SUB_SCORES
from navsim_agents.sources import SceneSource

PROPOSALS, TEACHERS, VOCABULARY = KINDS = ("proposals", "teachers", "vocabulary")
LEAST_TEACHERS = 2
"""A choice among fewer is none."""


@dataclass(frozen=True)
class ChoiceLabels:
    """Labels of the evaluated scenes, for trajectories that no agent proposed."""

    label_store: str
    vocabulary: str

    def of(self, metric: str) -> LabelSource:
        """Where they are read; a store of another metric is refused there."""
        return LabelSource(self.label_store, self.vocabulary, metric, TEACHER_THRESHOLD, 1, 0)


@dataclass(frozen=True)
class TrueScores:
    """What the simulator says of an agent's proposals in the scenes that it planned."""

    rows: list[int]  # of the evaluation's scenes
    score: FloatArray  # [B, N]
    sub_scores: dict[str, FloatArray]  # [B, N]
    states: Tensor  # [B, N, S, 11]
    times_us: np.ndarray  # [B]


def write_choice(
    agents: Mapping[str, Any],
    result: Evaluation,
    source: SceneSource,
    output: Path,
    labels: Optional[ChoiceLabels] = None,
) -> dict[str, Any]:
    """Measure the choices of all agents that propose; ``<agent>.choice.csv`` has a row for every scene and kind.

    Returns:
        By agent and kind (``proposals``; ``teachers`` and ``vocabulary`` of agents that score given trajectories, where
        there are labels): means over scenes and ``calibration``; ``best_fixed``: of choosing one and the same proposal
        always; ``lost`` by sub-score; and ``selection``: EPDMS and extended comfort of choices by foreseen and by true
        scores, with momentum and without.

    Raises:
        InputError: no agent proposes.
        LabelError: the labels are damaged, or of another vocabulary or metric.
    """
    names = [name for name in result.proposals if name in agents]
    if not names:
        raise InputError(
            "choice=true, but none of the agents proposes; name a run of the full planner, or choice=false"
        )
    return {name: _of_agent(name, agents[name], result, source, output, labels) for name in names}


def _of_agent(
    name: str,
    agent: Any,
    result: Evaluation,
    source: SceneSource,
    output: Path,
    labels: Optional[ChoiceLabels],
) -> dict[str, Any]:
    metric = agent.config.scored_metric
    true = true_scores(np.stack(result.proposals[name]), [scene["token"] for scene in result.scenes], source, metric)
    foreseen = np.stack(result.foreseen[name])[true.rows]
    tables, found = [], {}
    for kind, tokens, rows in _kinds(agent, result, true, foreseen, source, labels):
        columns = [scene_columns(one[None], other[None]) for one, other in rows]
        joined = {key: np.concatenate([each[key] for each in columns]) for key in columns[0]}
        tables.append(pd.DataFrame({"token": tokens, "of": kind, **joined}))
        all_foreseen, all_true = (np.concatenate(side)[None] for side in zip(*rows))
        table = calibration_table(calibration(all_foreseen, all_true))
        found[kind] = {**averages(joined), "num_scenes": len(rows), "calibration": table}
    write_text(output / f"{name}.choice.csv", pd.concat(tables).to_csv(index=False))
    return {
        **found,
        "best_fixed": best_fixed(true.score),
        "lost": _lost(foreseen, true),
        "selection": _selection(agent, np.stack(result.proposals[name]), foreseen, true, result, source),
    }


def true_scores(proposals: FloatArray, tokens: Sequence[str], source: SceneSource, metric: str) -> TrueScores:
    """Score proposals [B, N, T, 3] (ego frame, m and rad) in their scenes; scenes with NaN are left out.

    Raises:
        InputError: all are left out, or a scene has no scoring scene.
    """
    rows = [row for row, poses in enumerate(proposals) if np.isfinite(poses).all()]
    if not rows:
        raise InputError("no scene was planned, so there is no choice to measure; see the failures above")
    parts, times, size = [], [], scenes_at_once(proposals.shape[1])
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        scenes = [source.scoring_scene(tokens[row]) for row in some]
        parts.append(score_scenes(scenes, torch.from_numpy(proposals[some]), POSE_INTERVAL_S, metric))
        times += [scene.timestamp_us for scene in scenes]
    columns = {name: torch.cat([part.columns[name] for part in parts]).numpy() for name in parts[0].columns}
    sub_scores = {name: columns[name] for name in SUB_SCORES[metric]}
    states = torch.cat([part.simulated_states for part in parts])
    return TrueScores(rows, columns[SCORE[metric]], sub_scores, states, np.array(times, dtype=np.int64))


def _kinds(
    agent: Any,
    result: Evaluation,
    true: TrueScores,
    foreseen: FloatArray,
    source: SceneSource,
    labels: Optional[ChoiceLabels],
) -> Iterator[tuple[str, list[str], list[tuple[FloatArray, FloatArray]]]]:
    """Kind, tokens, and of each scene foreseen and true scores."""
    tokens = [result.scenes[row]["token"] for row in true.rows]
    yield PROPOSALS, tokens, list(zip(foreseen, true.score))
    if labels is None or agent.config.planner.scorer != OF_TRAJECTORIES:
        return
    of_vocabulary = list(_foreseen_of_vocabulary(agent, result, true.rows, source, labels))
    taught = [(token, pair) for token, pair in zip(tokens, map(_teachers, of_vocabulary)) if pair is not None]
    if taught:
        yield TEACHERS, [token for token, _ in taught], [pair for _, pair in taught]
    yield VOCABULARY, tokens, of_vocabulary


def _teachers(pair: tuple[FloatArray, FloatArray]) -> Optional[tuple[FloatArray, FloatArray]]:
    is_teacher = pair[1] >= TEACHER_THRESHOLD
    return (pair[0][is_teacher], pair[1][is_teacher]) if is_teacher.sum() >= LEAST_TEACHERS else None


def _foreseen_of_vocabulary(
    agent: Any, result: Evaluation, rows: Sequence[int], source: SceneSource, labels: ChoiceLabels
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Of each scene foreseen and true scores [V]."""
    store, poses = labels.of(agent.config.scored_metric), open_vocabulary(labels.vocabulary).planned()
    readers: dict[str, Any] = {}
    for row in rows:
        token, log_name = result.scenes[row]["token"], result.scenes[row]["log_name"]
        if log_name not in readers:
            readers = {log_name: source.open(log_name)}
        found = agent.foresee(readers[log_name].get_scene(token).get_agent_input(), poses)
        yield found.double().numpy(), store.labels(token)[0].double().numpy()


def _lost(foreseen: FloatArray, true: TrueScores) -> dict[str, float]:
    """By sub-score, what the best proposal has above the chosen one."""
    every = np.arange(len(foreseen))
    chosen, best = foreseen.argmax(1), true.score.argmax(1)
    of_chosen = {name: values[every, chosen] for name, values in true.sub_scores.items()}
    return lost_to(of_chosen, {name: values[every, best] for name, values in true.sub_scores.items()})


def _selection(
    agent: Any,
    proposals: FloatArray,
    foreseen: FloatArray,
    true: TrueScores,
    result: Evaluation,
    source: SceneSource,
) -> dict[str, dict[str, float]]:
    """EPDMS and extended comfort by whose scores choose, and whether momentum counts."""
    logs = [result.scenes[row]["log_name"] for row in true.rows]
    momentum, every = agent.config.momentum, np.arange(len(foreseen))
    plans = {}
    for who, scores in (("foreseen", foreseen), ("oracle", true.score)):
        for how, its in ((who, None), (f"{who}_momentum", momentum)):
            rows = choose_in_sequence(torch.from_numpy(scores), true.states, true.times_us, logs, its)
            plans[how] = proposals[true.rows][every, rows]
    tokens = [result.scenes[row]["token"] for row in true.rows]
    scorer = PlanScorer(source, [EPDMS_NAME], tokens, logs, plans)
    found = {}
    for how in plans:
        columns = scorer.columns(how, EPDMS_NAME)
        means = {EPDMS_NAME: columns["score"], "extended_comfort": columns[EXTENDED_COMFORT]}
        found[how] = averages(means)
    return found


def choice_table(choice: Mapping[str, Any]) -> str:
    """The choices of all agents in words, a row for each kind of trajectory."""
    shown = ("num_scenes", "chosen", "best", "regret", "spearman", "kendall", "error", "bias")
    rows = {
        (agent, kind): {name: found[kind].get(name, float("nan")) for name in shown}
        for agent, found in choice.items()
        for kind in KINDS
        if kind in found
    }
    return str(pd.DataFrame(rows).T.astype({"num_scenes": int}).round(3).to_string())
