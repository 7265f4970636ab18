"""A submission scored as NAVSIM's ``run_pdm_score_from_submission.py`` scores it, from scoring scenes alone.

That script ends without any score where one scene has none. So does this by default, but it says which scene and why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from navsim_agents.common.conventions import PDMS_NAME
from navsim_agents.common.poses import FloatArray
from navsim_agents.data.split_mapping import TwoStageMapping, some
from navsim_agents.data.submitted_plans import SubmittedPlan, SubmittedPlans
from navsim_agents.errors import InputError
from navsim_agents.evaluation.two_stage import SCORE_NAME, SceneScores
from navsim_agents.evaluation.two_stage_scores import (
    average_groups,
    lack_of,
    score_scenes_of_both_stages,
    scored_batches,
)
from navsim_agents.scenes import Scenes
from navsim_agents.scoring.aggregate import COLUMNS
from navsim_agents.scoring.config import PDMS, REACTIVE

AVERAGE_ROW = "average"
"""What v1.1's csv calls its last row."""
WAY_OUT = "NAVSIM's script ends without any score then: mend it, or set incomplete=true for the average of the others"
_PLAN = "plan"


@dataclass(frozen=True)
class SubmissionScores:
    """The script's table."""

    table: pd.DataFrame
    averages: dict[str, float]  # to be printed, by name
    left_out: dict[str, str]  # first token of a group, or token of a scene -> why it has no score


def score_two_stages(
    submitted: SubmittedPlans,
    mapping: TwoStageMapping,
    scenes: Scenes,
    traffic: str = REACTIVE,
    is_incomplete_allowed: bool = False,
) -> SubmissionScores:
    """The table of v2.2's script: a row a scene, and averages of both stages and of their products.

    Args:
        submitted: plans of both stages.
        mapping: of the split.
        scenes: scoring scenes of both stages.
        traffic: the script's reacts in both stages; log_replay has another score.
        is_incomplete_allowed: average the groups that are whole, and name the others.

    Raises:
        InputError: a scene of the mapping has no plan or no score, a plan is of no scene of it, or the scenes of a pair
            are too far apart in time; where incomplete ones are allowed, not one group is whole.
        TrajectoryError: there is no such traffic.
    """
    foreign = sorted((submitted.plans.keys() | submitted.faults.keys()) - set(mapping.tokens))
    if foreign and not is_incomplete_allowed:
        raise InputError(
            f"the submission has {len(foreign)} plans of scenes that the mapping does not name ({some(foreign)}), so "
            f"they have neither pair nor weight; {WAY_OUT}"
        )
    reasons = _without_plan_or_scene(mapping.tokens, submitted, scenes)
    lacks = {group.now: lack_of(group, [t for t in group.tokens if t in reasons], reasons) for group in mapping.groups}
    broken = {now: why for now, why in lacks.items() if why}
    rest = TwoStageMapping(tuple(group for group in mapping.groups if group.now not in broken))
    _refuse(broken, len(mapping.groups), bool(rest.groups) and is_incomplete_allowed)
    parts = []
    for interval_s, tokens, poses in _by_sampling(submitted.plans, set(rest.tokens)):
        scored = score_scenes_of_both_stages(scenes.scene, tokens, {_PLAN: poses}, interval_s, traffic)
        reasons.update(scored.reasons)
        parts += list(scored.scores.values())
    found = average_groups(SceneScores.joined(parts) if parts else None, rest, reasons)
    left_out = {**broken, **found.left_out}
    _refuse(left_out, len(mapping.groups), found.scores is not None and is_incomplete_allowed)
    assert found.scores is not None
    averages = {stage: columns[SCORE_NAME] for stage, columns in found.scores.averages.items()}
    return SubmissionScores(found.scores.table(), averages, left_out)


def score_one_stage(
    submitted: SubmittedPlans, tokens: Sequence[str], scenes: Scenes, is_incomplete_allowed: bool = False
) -> SubmissionScores:
    """The table of v1.1's script, PDMS: a row a scene in the order of ``tokens``, and their average.

    Raises:
        InputError: a scene has no plan or no score; where incomplete ones are allowed, not one has.
    """
    reasons = _without_plan_or_scene(tokens, submitted, scenes)
    _refuse_scenes(reasons, len(tokens), is_incomplete_allowed and len(reasons) < len(tokens))
    rows: dict[str, dict[str, float]] = {}
    for interval_s, some_tokens, poses in _by_sampling(submitted.plans, set(tokens) - reasons.keys()):
        for batch in scored_batches(scenes.scene, some_tokens, poses[:, None], interval_s, PDMS, reasons):
            for at, scene in enumerate(batch.scenes):
                columns = batch.scores.columns
                rows[scene.token] = {name: float(columns[name][at, 0]) for name in COLUMNS[PDMS_NAME]}
    _refuse_scenes(reasons, len(tokens), is_incomplete_allowed and bool(rows))
    found = pd.DataFrame([{"token": token, "valid": True, **rows[token]} for token in tokens if token in rows])
    means = found[list(COLUMNS[PDMS_NAME])].mean()
    average = pd.DataFrame([{"token": AVERAGE_ROW, "valid": True, **means}])
    table = pd.concat([found, average], ignore_index=True)
    return SubmissionScores(table, {PDMS_NAME: float(means[SCORE_NAME])}, reasons)


def _without_plan_or_scene(tokens: Sequence[str], submitted: SubmittedPlans, scenes: Scenes) -> dict[str, str]:
    """Token → why it can have no score, as far as that is known before anything is scored."""
    there = set(scenes.tokens)
    reasons = {}
    for token in tokens:
        if token in submitted.faults:
            reasons[token] = f"its plan {submitted.faults[token]}"
        elif token not in submitted.plans:
            reasons[token] = "the submission has no plan of it, as where the agent failed"
        elif token not in there:
            reasons[token] = "there is no scoring scene of it; export it from the metric cache (export-scenes)"
    return reasons


def _refuse(left_out: Mapping[str, str], number: int, is_allowed: bool) -> None:
    """Raises InputError where groups are left out and must not be."""
    if left_out and not is_allowed:
        now, why = next(iter(left_out.items()))
        raise InputError(f"{len(left_out)} of {number} groups, that of {now} first: {why}. {WAY_OUT}")


def _refuse_scenes(reasons: Mapping[str, str], number: int, is_allowed: bool) -> None:
    """Raises InputError where scenes are left out and must not be."""
    if reasons and not is_allowed:
        token, why = next(iter(reasons.items()))
        raise InputError(f"{len(reasons)} of {number} scenes have no score, {token} first: {why}. {WAY_OUT}")


def _by_sampling(
    plans: Mapping[str, SubmittedPlan], wanted: Collection[str]
) -> Iterator[tuple[float, list[str], FloatArray]]:
    """Interval [s], tokens and poses [B, T, 3] of the plans of ``wanted`` scenes that are sampled alike, in order."""
    groups: dict[tuple[int, float], list[str]] = {}
    for token, plan in plans.items():
        if token in wanted:
            groups.setdefault((len(plan.poses), plan.interval_s), []).append(token)
    for (_, interval_s), tokens in groups.items():
        yield interval_s, tokens, np.stack([plans[token].poses for token in tokens])
