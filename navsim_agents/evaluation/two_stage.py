"""From the scores of single scenes to the headline of NAVSIM v2: pairs, weights, groups and averages of two stages.

The rules are those of v2.2's ``run_pdm_score.py`` and ``scene_aggregator.py``. How the scenes were scored, with which
traffic, is no matter here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.common.conventions import EPDMS_NAME, STEP_S
from navsim_agents.common.poses import HEADING, XY, FloatArray, rotate
from navsim_agents.data.split_mapping import Pair, SceneGroup, TwoStageMapping, some
from navsim_agents.errors import InputError
from navsim_agents.scoring import ScoringScene, epdms, extended_comfort
from navsim_agents.scoring.aggregate import EXTENDED_COMFORT, SUB_SCORES
from navsim_agents.scoring.rules.comfort import MAX_INTERVAL_S

KERNEL_VARIANCE_M2 = 0.1  # SceneAggregator's sigma_squared
NEGLIGIBLE = 1e-8  # a sum of weights that numpy.isclose takes for 0
US = 1e-6  # s; times are multiplied by it first, as nuPlan's TimePoint does, so that gaps are rounded alike
SCORE_NAME = "score"
STAGE_ONE, STAGE_TWO, COMBINED = "stage_one", "stage_two", "combined"
AVERAGE_ROW = "extended_pdm_score_"
"""What the devkit's csv calls the rows of averages, in front of the stage."""

Columns = dict[str, FloatArray]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SceneScores:
    """One plan in each of B scenes of both stages, in any order."""

    tokens: Sequence[str]
    columns: Mapping[str, FloatArray]  # EPDMS's sub-scores [B], after the human filter in the first stage
    simulated_states: Float[Tensor, "B S 11"]
    times_us: IntArray  # t0 [B]
    start_xy: FloatArray  # rear axle at t0 in the map frame [B, 2], m
    end_xy: FloatArray  # the same at 4 s, as planned

    @classmethod
    def of_scenes(
        cls,
        scenes: Sequence[ScoringScene],
        plans: FloatArray,
        columns: Mapping[str, FloatArray],
        simulated_states: Float[Tensor, "B S 11"],
    ) -> SceneScores:
        """The same of B scoring scenes and their plans [B, T, 3] (ego frame, m and rad), whose last pose is at 4 s."""
        poses = np.stack([scene.ego_pose.double().cpu().numpy() for scene in scenes])
        ends = rotate(plans[:, -1, XY].astype(np.float64), poses[:, HEADING]) + poses[:, XY]
        times = np.array([scene.timestamp_us for scene in scenes], dtype=np.int64)
        return cls([scene.token for scene in scenes], columns, simulated_states, times, poses[:, XY], ends)

    @classmethod
    def joined(cls, parts: Sequence[SceneScores]) -> SceneScores:
        """The scenes of all ``parts``, one at least, one after the other."""
        return cls(
            [token for part in parts for token in part.tokens],
            {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
            torch.cat([part.simulated_states for part in parts]),
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("times_us", "start_xy", "end_xy")),
        )

    def of_tokens(self, tokens: Sequence[str]) -> SceneScores:
        """These of the scenes, in this order."""
        row_of = {token: row for row, token in enumerate(self.tokens)}
        rows = [row_of[token] for token in tokens]
        columns = {name: values[rows] for name, values in self.columns.items()}
        states, times = self.simulated_states[rows], self.times_us[rows]
        return SceneScores(list(tokens), columns, states, times, self.start_xy[rows], self.end_xy[rows])


@dataclass(frozen=True)
class TwoStageScores:
    """Scores of B scenes, in the order in which these were given, and their averages."""

    tokens: tuple[str, ...]
    is_first_stage: npt.NDArray[np.bool_]  # [B]
    columns: Columns  # sub-scores, extended comfort and score [B]
    weights: FloatArray  # within its half of the group [B]; 1 in the first stage
    group_scores: FloatArray  # [G], groups in the order of the mapping
    averages: dict[str, dict[str, float]]  # stage_one and stage_two: every column; combined: score

    def table(self) -> pd.DataFrame:
        """The csv of v2.2's ``run_pdm_score.py``: a row a scene, then averages of both stages and of their products."""
        rows: dict[str, object] = {"token": [*self.tokens], "valid": True}
        names = [name for name in self.columns if name != SCORE_NAME]
        for stage, is_there in ((STAGE_ONE, self.is_first_stage), (STAGE_TWO, ~self.is_first_stage)):
            rows.update({f"{name}_{stage}": np.where(is_there, self.columns[name], np.nan) for name in names})
        scenes = pd.DataFrame({**rows, SCORE_NAME: self.columns[SCORE_NAME]})
        return pd.concat([scenes, pd.DataFrame(self._average_rows(names))], ignore_index=True)

    def _average_rows(self, names: Sequence[str]) -> list[dict[str, object]]:
        """The last row has the sub-scores of both stages beside the score of their products, as the devkit's."""
        sub_scores = {
            stage: {f"{name}_{stage}": self.averages[stage][name] for name in names} for stage in (STAGE_ONE, STAGE_TWO)
        }
        sub_scores[COMBINED] = {**sub_scores[STAGE_ONE], **sub_scores[STAGE_TWO]}
        return [
            {"token": AVERAGE_ROW + stage, "valid": True, **values, SCORE_NAME: self.averages[stage][SCORE_NAME]}
            for stage, values in sub_scores.items()
        ]


def aggregate_two_stage(scenes: SceneScores, mapping: TwoStageMapping) -> TwoStageScores:
    """Extended comfort of pairs, weights of follow-ups, scores, groups and averages.

    Args:
        scenes: those of the mapping, all of them and no others.
        mapping: see its ``of_scenes`` and ``of_complete_groups`` where some scenes have no score.

    Raises:
        InputError: a scene of the mapping has no score, a score belongs to no group, or the scenes of a pair are not
            between 0 and 0.55 s apart. NAVSIM's script gives no score at all then.
    """
    rows = _rows(scenes, mapping)
    comfort = _comfort_of_pairs(scenes, [pair for group in mapping.groups for pair in group.pairs], rows)
    sub_scores = {name: np.asarray(scenes.columns[name], dtype=np.float64) for name in SUB_SCORES[EPDMS_NAME]}
    tensors = {name: torch.from_numpy(values) for name, values in sub_scores.items()}
    columns = {
        **sub_scores,
        EXTENDED_COMFORT: comfort,
        SCORE_NAME: epdms(tensors, torch.from_numpy(comfort)).numpy(),
    }
    weights = np.ones(len(scenes.tokens))
    for first, follow_ups in _halves(mapping, rows):
        weights[follow_ups] = follow_up_weights(scenes.end_xy[first], scenes.start_xy[follow_ups])
    group_scores, averages = _averages(columns, weights, _halves(mapping, rows))
    is_first = np.isin(np.array(scenes.tokens), np.array(mapping.first_stage))
    return TwoStageScores(tuple(scenes.tokens), is_first, columns, weights, group_scores, averages)


def follow_up_weights(end_xy: FloatArray, start_xy: FloatArray) -> FloatArray:
    """Weights [n] of follow-ups that start at ``start_xy`` [n, 2], for a plan that ends at ``end_xy`` [2].

    A Gaussian kernel of the distance [m], divided by its sum; equal ones where the plan ends far from every follow-up.
    """
    kernel = np.exp(-((start_xy - end_xy) ** 2).sum(-1) / (2.0 * KERNEL_VARIANCE_M2))
    total = float(kernel.sum())
    return np.full(len(kernel), 1.0 / len(kernel)) if total <= NEGLIGIBLE else np.asarray(kernel / total)


def _averages(
    columns: Columns, weights: FloatArray, halves: Sequence[tuple[int, list[int]]]
) -> tuple[FloatArray, dict[str, dict[str, float]]]:
    """Scores of groups [G], and averages: halves 2 g and 2 g + 1 are those of group g."""
    names, values = list(columns), np.stack(list(columns.values()), axis=-1)  # [B, C]
    one = np.stack([values[first] for first, _ in halves])  # [2 G, C]
    two = np.stack([weights[rows] @ values[rows] for _, rows in halves])
    score = names.index(SCORE_NAME)
    group_scores = (one[:, score] * two[:, score]).reshape(-1, 2).mean(-1)
    averages = {
        stage: {name: float(mean) for name, mean in zip(names, part.mean(0))}
        for stage, part in ((STAGE_ONE, one), (STAGE_TWO, two))
    }
    return group_scores, {**averages, COMBINED: {SCORE_NAME: float(group_scores.mean())}}


def _halves(mapping: TwoStageMapping, rows: Mapping[str, int]) -> list[tuple[int, list[int]]]:
    """Row of each first-stage scene with the rows of its follow-ups."""
    halves = [half for group in mapping.groups for half in group.halves]
    return [(rows[first], [rows[token] for token in follow_ups]) for first, follow_ups in halves]


def gap_s(times_us: Mapping[str, int], pair: Pair) -> float:
    """Time [s] from the previous scene of a pair to now, rounded as the devkit's; ``times_us`` are the scenes' t0.

    Raises:
        InputError: it is outside of what extended comfort takes, which NAVSIM's script ends at.
    """
    now, previous = pair
    found = float(times_us[now] * US - times_us[previous] * US)
    if not 0.0 < found < MAX_INTERVAL_S:
        raise InputError(
            f"scene {now} starts {found:.6g} s after {previous}, its pair in the mapping, but extended comfort "
            f"needs more than 0 and less than {MAX_INTERVAL_S} s; correct the mapping or the scenes' time stamps"
        )
    return found


def _comfort_of_pairs(scenes: SceneScores, pairs: Sequence[Pair], rows: Mapping[str, int]) -> FloatArray:
    """Extended comfort [B], the same for both scenes of a pair."""
    by_steps: dict[int, list[tuple[int, int]]] = {}
    times_us = {token: int(time) for token, time in zip(scenes.tokens, scenes.times_us)}
    for pair in pairs:
        by_steps.setdefault(round(gap_s(times_us, pair) / STEP_S), []).append((rows[pair[0]], rows[pair[1]]))
    result = np.full(len(scenes.tokens), np.nan)
    for steps, found in by_steps.items():
        now_rows, previous_rows = (list(column) for column in zip(*found))
        states = scenes.simulated_states
        is_met = extended_comfort(states[now_rows], states[previous_rows], steps * STEP_S)
        result[now_rows] = result[previous_rows] = is_met.double().cpu().numpy()
    return result


def _rows(scenes: SceneScores, mapping: TwoStageMapping) -> dict[str, int]:
    """Row of each token; raises InputError where the scenes are not those of the mapping, or have no score."""
    if not mapping.groups:
        raise InputError("the mapping has no group left, so there is nothing to average; score the scenes of one")
    counts = Counter(scenes.tokens)
    twice = [token for token, count in counts.items() if count > 1]
    if twice:
        raise InputError(f"{len(twice)} scenes are scored more than once ({some(twice)}); give each once")
    missing = [token for token in mapping.tokens if token not in counts]
    if missing:
        raise InputError(_without_score(missing, mapping.groups, "are not among those scored"))
    foreign = sorted(counts.keys() - set(mapping.tokens))
    if foreign:
        raise InputError(
            f"{len(foreign)} scenes are in no group of the mapping ({some(foreign)}), so they have neither pair nor "
            "weight; leave them out, or give the mapping of their split"
        )
    unscored = [token for token, is_scored in zip(scenes.tokens, _is_scored(scenes)) if not is_scored]
    if unscored:
        raise InputError(_without_score(unscored, mapping.groups, "have scores, states or places that are not finite"))
    return {token: row for row, token in enumerate(scenes.tokens)}


def _is_scored(scenes: SceneScores) -> npt.NDArray[np.bool_]:
    """Whether everything of a scene is finite [B]; raises InputError where a sub-score is missing altogether."""
    names = SUB_SCORES[EPDMS_NAME]
    absent = [name for name in names if name not in scenes.columns]
    if absent:
        raise InputError(f"the scores have no {', '.join(absent)}, which EPDMS is made of; score by {EPDMS_NAME}")
    columns = np.stack([scenes.columns[name] for name in names], axis=-1)
    states = scenes.simulated_states.flatten(1).double().cpu().numpy()
    return np.asarray(np.isfinite(np.concatenate((columns, states, scenes.start_xy, scenes.end_xy), axis=1)).all(1))


def _without_score(tokens: Sequence[str], groups: Sequence[SceneGroup], what: str) -> str:
    broken = sum(bool(set(tokens).intersection(group.tokens)) for group in groups)
    return (
        f"{len(tokens)} scenes of the mapping {what} ({some(tokens)}), which leaves {broken} of {len(groups)} groups "
        "without a score; score them too, or ask for the average of mapping.of_complete_groups(tokens) alone"
    )
