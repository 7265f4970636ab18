"""What the evaluation measures: groups of per-scene columns, registered by name.

To add a group, write a function from :class:`PlannedScenes` to named columns and decorate it with ``@columns("name")``;
``drive-jepa evaluate columns=[displacement,name]`` then writes and averages it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float64

from navsim_agents.common.conventions import EPDMS_NAME, PDMS_NAME
from navsim_agents.errors import InputError
from navsim_agents.evaluation.plan_scores import PlanScorer, is_sub_score, summary_name
from navsim_agents.poses import wrap_angle
from navsim_agents.scoring.axes import POSITION, State
from navsim_agents.scoring.diversity import diversity
from navsim_agents.sources import SceneSource

FloatArray = npt.NDArray[np.float64]
BEST_OF_N = "best_of_n"


@dataclass(frozen=True)
class PlannedScenes:
    """One agent's plans beside what the human drove; poses (x, y, heading) in each scene's ego frame."""

    tokens: Sequence[str]
    log_names: Sequence[str]
    planned: Float64[np.ndarray, "B T 3"]  # m, m, rad
    human: Float64[np.ndarray, "B T 3"]
    source: SceneSource  # for groups that need more of the scene than this
    agent: str = ""  # its name in the table
    scorer: Optional[PlanScorer] = None  # of all agents' plans, for pdms and epdms
    proposals: Optional[Float64[np.ndarray, "B N T 3"]] = None  # what plans were chosen from, of agents that propose


Columns = Mapping[str, FloatArray]
ColumnGroup = Callable[[PlannedScenes], Columns]

COLUMN_GROUPS: dict[str, ColumnGroup] = {}


def columns(name: str) -> Callable[[ColumnGroup], ColumnGroup]:
    """Register a column group under ``name``."""

    def register(group: ColumnGroup) -> ColumnGroup:
        COLUMN_GROUPS[name] = group
        return group

    return register


def compute_columns(names: Sequence[str], scenes: PlannedScenes) -> dict[str, FloatArray]:
    """All columns [B] of the groups ``names``, in order."""
    unknown = [name for name in names if name not in COLUMN_GROUPS]
    if unknown:
        raise InputError(f"columns {unknown} are unknown; choose from {sorted(COLUMN_GROUPS)}")
    return {column: values for name in names for column, values in COLUMN_GROUPS[name](scenes).items()}


@columns("displacement")
def displacement(scenes: PlannedScenes) -> Columns:
    """Errors against the human: average and final displacement [m] and mean absolute heading error [rad]."""
    return {
        "ade_m": average_displacement(scenes.planned, scenes.human),
        "fde_m": final_displacement(scenes.planned, scenes.human),
        "heading_error_rad": heading_error(scenes.planned, scenes.human),
    }


@columns(PDMS_NAME)
def pdms(scenes: PlannedScenes) -> Columns:
    """PDMS of NAVSIM v1.1 as ``pdms``, its sub-scores as ``pdms.<devkit's name>``."""
    return _scored(scenes, PDMS_NAME)


@columns(EPDMS_NAME)
def epdms(scenes: PlannedScenes) -> Columns:
    """EPDMS of NAVSIM v2.2 (one stage) as ``epdms``, ``epdms_star``, ``extended_comfort`` and ``epdms.<sub-score>``."""
    return _scored(scenes, EPDMS_NAME)


@columns("diversity")
def proposal_diversity(scenes: PlannedScenes) -> Columns:
    """How far proposals spread, 0 to 1, as the paper and as the released code define it; of agents that propose."""
    if scenes.proposals is None:
        return {}
    union, pairwise = np.full((2, len(scenes.tokens)), np.nan)
    for row, proposals in enumerate(scenes.proposals):
        if np.isfinite(proposals).all():
            spread = diversity(torch.from_numpy(proposals))
            union[row], pairwise[row] = float(spread.union), float(spread.pairwise)
    return {"diversity": union, "diversity.pairwise": pairwise}


@columns(BEST_OF_N)
def best_of_n(scenes: PlannedScenes) -> Columns:
    """What the best of an agent's proposals scores, and how far the chosen one is behind it; of agents that propose.

    EPDMS where it is among the columns, else PDMS; each trajectory by itself, so without extended comfort.

    Raises:
        InputError: neither metric is among the columns.
    """
    if scenes.proposals is None:
        return {}
    scorer = scenes.scorer
    metric = next((name for name in (EPDMS_NAME, PDMS_NAME) if scorer and name in scorer.metrics), None)
    if scorer is None or metric is None:
        raise InputError(f"{BEST_OF_N} asks for the scores of proposals; add {EPDMS_NAME} or {PDMS_NAME} to columns")
    scores = scorer.proposal_scores(scenes.agent, metric)
    is_chosen = (scenes.proposals == scenes.planned[:, None]).all((2, 3))  # [B, N]
    rows = np.flatnonzero(np.isfinite(scores).all(1) & is_chosen.any(1))
    best, gap = np.full((2, len(scores)), np.nan)
    best[rows] = scores[rows].max(1)
    gap[rows] = best[rows] - scores[rows, is_chosen[rows].argmax(1)]
    return {BEST_OF_N: best, "choice_gap": gap}


def _scored(scenes: PlannedScenes, metric: str) -> Columns:
    if scenes.scorer is None:
        raise InputError(f"{metric} needs a PlanScorer, but these scenes have none; run drive-jepa evaluate")
    found = {summary_name(metric, name): value for name, value in scenes.scorer.columns(scenes.agent, metric).items()}
    return dict(sorted(found.items(), key=lambda item: is_sub_score(item[0])))  # scores first


def average_displacement(planned: FloatArray, human: FloatArray) -> FloatArray:
    """Mean distance [...] in m between the planned and driven positions of poses [..., T, 3]."""
    return _distances(planned, human).mean(-1)


def final_displacement(planned: FloatArray, human: FloatArray) -> FloatArray:
    """Distance [...] in m between the last positions of poses [..., T, 3]."""
    return _distances(planned, human)[..., -1]


def heading_error(planned: FloatArray, human: FloatArray) -> FloatArray:
    """Mean absolute difference [...] in rad between headings of poses [..., T, 3], over the shorter way round."""
    return np.abs(wrap_angle((planned - human)[..., State.HEADING])).mean(-1)


def _distances(planned: FloatArray, human: FloatArray) -> FloatArray:
    if planned.shape != human.shape:
        raise InputError(f"planned poses have shape {planned.shape}, the human's {human.shape}; plan the same times")
    return np.linalg.norm((planned - human)[..., POSITION], axis=-1)
