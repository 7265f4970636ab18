"""Sub-scores, and what they add up to: PDMS and EPDMS."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Optional

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.conventions import EPDMS_NAME, PDMS_NAME
from navsim_agents.scoring.config import EPDMS, MetricConfig, Weights

Columns = dict[str, Tensor]


@dataclass(frozen=True)
class Judged:
    """Sub-scores [B, N] under the devkit's names, all but progress, and what they rest on."""

    columns: dict[str, Tensor]
    areas: Bool[Tensor, "B N S 3"]
    raw_progress: Float[Tensor, "B N"]  # m
    collision_step: Float[Tensor, "B N"]
    collision_track: Int[Tensor, "B N"]
    ttc_step: Float[Tensor, "B N"]
    ttc_track: Int[Tensor, "B N"]

    def rows(self, rows: slice) -> Judged:
        """Some of the trajectories."""
        columns = {name: value[:, rows] for name, value in self.columns.items()}
        return Judged(columns, *(getattr(self, name)[:, rows] for name in TENSORS))

    def with_column(self, name: str, values: Float[Tensor, "B N"]) -> Judged:
        """The same sub-scores but for one; of a single trajectory where there are N values, N times the others."""
        return replace(
            self, columns={**{key: value.expand_as(values) for key, value in self.columns.items()}, name: values}
        )


TENSORS = tuple(field.name for field in fields(Judged) if field.name != "columns")


GATES = {
    PDMS_NAME: ("no_at_fault_collisions", "drivable_area_compliance"),
    EPDMS_NAME: (
        "no_at_fault_collisions",
        "drivable_area_compliance",
        "driving_direction_compliance",
        "traffic_light_compliance",
    ),
}
SUB_SCORES = {
    PDMS_NAME: (
        "no_at_fault_collisions",
        "drivable_area_compliance",
        "ego_progress",
        "time_to_collision_within_bound",
        "comfort",
        "driving_direction_compliance",
    ),
    EPDMS_NAME: (
        "no_at_fault_collisions",
        "drivable_area_compliance",
        "driving_direction_compliance",
        "traffic_light_compliance",
        "ego_progress",
        "time_to_collision_within_bound",
        "lane_keeping",
        "history_comfort",
    ),
}
SCORE = {PDMS_NAME: "score", EPDMS_NAME: "pdm_score"}
"""Metric → the devkit's name for what the sub-scores add up to."""
COLUMNS = {metric: (*names, SCORE[metric]) for metric, names in SUB_SCORES.items()}
EXTENDED_COMFORT = "two_frame_extended_comfort"


def gate_product(columns: Columns, metric: MetricConfig) -> Tensor:
    """Product of the multipliers."""
    return torch.stack([columns[name] for name in GATES[metric.name]]).prod(0)


def weighted_parts(metric: MetricConfig) -> dict[str, float]:
    """Columns that are averaged, with their weights."""
    weights: Weights = metric.weights
    comfort = "history_comfort" if metric.uses_history else "comfort"
    parts = {
        "ego_progress": weights.progress,
        "time_to_collision_within_bound": weights.time_to_collision,
        "lane_keeping": weights.lane_keeping,
        comfort: weights.comfort,
        EXTENDED_COMFORT: weights.extended_comfort,
    }
    return {name: weight for name, weight in parts.items() if weight}


def weighted_score(columns: Columns, metric: MetricConfig) -> Tensor:
    """Gates times the weighted mean of the parts; extended comfort stays out (PDMS over 12, pdm_score over 14)."""
    parts = {name: weight for name, weight in weighted_parts(metric).items() if name != EXTENDED_COMFORT}
    total = sum(weight * columns[name] for name, weight in parts.items())
    return gate_product(columns, metric) * total / sum(parts.values())


def epdms(columns: Columns, extended_comfort: Optional[Float[Tensor, "*batch"]] = None) -> Float[Tensor, "*batch"]:
    """Final EPDMS of v2.2: over 16 with extended comfort; where that is missing (NaN or None) its weight drops out.

    Give the columns after :func:`excuse_by_human` for EPDMS. Given those before it, the result is EPDMS*: until the
    fix of NAVSIM's issue 151 the human filter changed the columns but left products and weighted parts stale.
    """
    base = weighted_score(columns, EPDMS)
    if extended_comfort is None:
        return base
    others = sum(weighted_parts(EPDMS).values()) - EPDMS.weights.extended_comfort
    gates, weight = gate_product(columns, EPDMS), EPDMS.weights.extended_comfort
    with_it = (base * others + gates * weight * extended_comfort) / (others + weight)
    return torch.where(torch.isnan(extended_comfort), base, with_it)


def excuse_by_human(columns: Columns, human: Columns, may_excuse: Bool[Tensor, "*#batch"]) -> Columns:
    """Columns after the human filter: 1 wherever the human's own sub-score is 0 (original scenes only).

    ``pdm_score`` stays as it is, as in the devkit, which recomputes the final score from the columns.
    """
    sub_scores = [name for name in columns if name in human and name in SUB_SCORES[EPDMS_NAME]]
    return {
        name: torch.where((human[name] == 0) & may_excuse, 1.0, value) if name in sub_scores else value
        for name, value in columns.items()
    }
