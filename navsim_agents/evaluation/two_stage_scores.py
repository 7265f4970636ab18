"""Plans of both stages scored, and what becomes of the groups that lack a plan or a scene.

NAVSIM's script ends without any score where one scene has none. Here the groups that are whole are averaged, and the
others are named with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

import numpy as np
import torch
from tqdm import tqdm

from navsim_agents.common.conventions import EPDMS_NAME, POSE_INTERVAL_S
from navsim_agents.common.poses import FloatArray
from navsim_agents.data.split_mapping import SceneGroup, TwoStageMapping, some
from navsim_agents.errors import DevkitError, InputError, SceneError
from navsim_agents.evaluation.two_stage import SceneScores, TwoStageScores, aggregate_two_stage, gap_s
from navsim_agents.scoring import Scores, ScoringScene, score_scenes
from navsim_agents.scoring.aggregate import SUB_SCORES
from navsim_agents.scoring.config import EPDMS, LOG_REPLAY, REACTIVE, MetricConfig, refuse_traffic
from navsim_agents.scoring.scene_fields import ORIGINAL

TRAJECTORIES_AT_ONCE = 256
"""About so many are scored together: enough for compiled code, in little memory."""

SceneOf = Callable[[str], ScoringScene]
"""Scoring scene of a token; raises InputError, SceneError or DevkitError where there is none."""


@dataclass
class ScoredScenes:
    """Scores of the scenes that could be scored, for each of several agents."""

    scores: dict[str, SceneScores] = field(default_factory=dict)  # agents without any are missing
    reasons: dict[str, str] = field(default_factory=dict)  # token -> why no plan can be scored there


@dataclass(frozen=True)
class GroupScores:
    """Averages of the groups that are whole."""

    scores: Optional[TwoStageScores]  # None where no group is
    left_out: dict[str, str]  # first token of a group -> why it has no score


def score_scenes_of_both_stages(
    scene_of: SceneOf,
    tokens: Sequence[str],
    plans: Mapping[str, FloatArray],
    interval_s: float = POSE_INTERVAL_S,
    traffic: str = REACTIVE,
) -> ScoredScenes:
    """EPDMS's sub-scores of plans, with the human filter in scenes that a human drove on from.

    Args:
        scene_of: where scoring scenes come from; one that is missing or breaks a rule costs itself.
        tokens: of the scenes [B].
        plans: agent → poses [B, T, 3] in the ego frame (m, rad); a plan that holds NaN was not made.
        interval_s: between poses.
        traffic: as of :func:`navsim_agents.scoring.score_scenes`; NAVSIM's script has it react in both stages.

    Raises:
        TrajectoryError: there is no such traffic.
    """
    refuse_traffic(traffic, EPDMS)
    stacked = np.stack(list(plans.values()), axis=1)  # [B, N, T, 3]
    is_planned = np.asarray(np.isfinite(stacked).all(axis=(2, 3)))  # [B, N]
    filled = np.where(is_planned[..., None, None], stacked, 0.0)
    parts: dict[str, list[SceneScores]] = {name: [] for name in plans}
    scored = ScoredScenes()
    for batch in scored_batches(scene_of, tokens, filled, interval_s, EPDMS, scored.reasons, traffic):
        for agent, name in enumerate(plans):
            part = SceneScores.of_scenes(
                batch.scenes,
                filled[batch.rows, agent],
                {name: batch.scores.columns[name][:, agent].numpy() for name in SUB_SCORES[EPDMS_NAME]},
                batch.scores.simulated_states[:, agent],
            )
            made = [token for token, is_made in zip(part.tokens, is_planned[batch.rows, agent]) if is_made]
            parts[name].append(part.of_tokens(made))
    scored.scores = {name: SceneScores.joined(found) for name, found in parts.items() if found}
    return scored


@dataclass(frozen=True)
class ScoredBatch:
    """Some scenes that were scored together."""

    rows: list[int]
    scenes: list[ScoringScene]
    scores: Scores


def scored_batches(
    scene_of: SceneOf,
    tokens: Sequence[str],
    plans: FloatArray,
    interval_s: float,
    metric: MetricConfig,
    reasons: dict[str, str],
    traffic: str = LOG_REPLAY,
) -> Iterator[ScoredBatch]:
    """Score ``plans`` [B, N, T, 3], EPDMS with the human filter where there is a human; ``reasons`` gets what fails."""
    size = scenes_at_once(plans.shape[1])
    for start in tqdm(range(0, len(tokens), size), desc="scoring", unit=f"{size} scenes"):
        rows = range(start, min(start + size, len(tokens)))
        scenes = _scenes(scene_of, tokens, rows, reasons)
        logged = {row: scene for row, scene in scenes.items() if scene.scene_type == ORIGINAL}
        for part in (logged, {row: scene for row, scene in scenes.items() if row not in logged}):
            yield from _score(part, plans, interval_s, metric, traffic, reasons)


def scenes_at_once(num_plans: int) -> int:
    """How many scenes are scored together, of so many plans each."""
    return max(1, -(-TRAJECTORIES_AT_ONCE // max(num_plans, 1)))


def _scenes(scene_of: SceneOf, tokens: Sequence[str], rows: range, reasons: dict[str, str]) -> dict[int, ScoringScene]:
    """Scoring scenes by row; the reasons of those that are missing are noted."""
    scenes = {}
    for row in rows:
        try:
            scenes[row] = scene_of(tokens[row])
        except (InputError, SceneError, DevkitError) as error:
            reasons[tokens[row]] = reason_of(error)
    return scenes


def _score(
    scenes: Mapping[int, ScoringScene],
    plans: FloatArray,
    interval_s: float,
    metric: MetricConfig,
    traffic: str,
    reasons: dict[str, str],
) -> Iterator[ScoredBatch]:
    """Scenes of one kind all at once, or half by half where they cannot be scored together."""
    if not scenes:
        return
    rows, found = list(scenes), list(scenes.values())
    poses, has_human = torch.from_numpy(plans[rows]), metric.uses_history and found[0].scene_type == ORIGINAL
    try:
        scores = score_scenes(found, poses, interval_s, metric.name, human_penalty_filter=has_human, traffic=traffic)
        yield ScoredBatch(rows, found, scores)
    except SceneError as error:
        if len(rows) == 1:
            reasons[found[0].token] = reason_of(error)
            return
        middle = len(rows) // 2
        for half in (rows[:middle], rows[middle:]):
            yield from _score({row: scenes[row] for row in half}, plans, interval_s, metric, traffic, reasons)


def reason_of(error: Exception) -> str:
    """What a report says of it."""
    return f"{type(error).__name__}: {error}"


def average_groups(scores: Optional[SceneScores], mapping: TwoStageMapping, reasons: Mapping[str, str]) -> GroupScores:
    """Averages over the groups of ``mapping`` all of whose scenes are scored and whose pairs are close enough in time.

    Args:
        scores: one plan in each of some scenes.
        mapping: of the split, or of the part of it that was asked for.
        reasons: token → why it has no score, where that is known.
    """
    known = dict(zip(scores.tokens, map(int, scores.times_us))) if scores else {}
    faults = {group.now: _fault(group, known, reasons) for group in mapping.groups}
    whole = TwoStageMapping(tuple(group for group in mapping.groups if not faults[group.now]))
    left_out = {token: fault for token, fault in faults.items() if fault}
    if scores is None or not whole.groups:
        return GroupScores(None, left_out)
    kept = set(whole.tokens)
    return GroupScores(
        aggregate_two_stage(scores.of_tokens([token for token in scores.tokens if token in kept]), whole), left_out
    )


def _fault(group: SceneGroup, times_us: Mapping[str, int], reasons: Mapping[str, str]) -> str:
    """Why a group has no score; empty where it has one."""
    lacking = lack_of(group, [token for token in group.tokens if token not in times_us], reasons)
    if lacking:
        return lacking
    try:
        for pair in group.pairs:
            gap_s(times_us, pair)
    except InputError as error:
        return str(error)
    return ""


def lack_of(group: SceneGroup, missing: Sequence[str], reasons: Mapping[str, str]) -> str:
    """That ``missing`` scenes of a group have no score, with the first reason that is known; empty where none is."""
    if not missing:
        return ""
    why = next((reasons[token] for token in missing if token in reasons), "no plan was made there")
    return f"{len(missing)} of its {len(group.tokens)} scenes have no score ({some(missing)}): {why}"
