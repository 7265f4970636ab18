"""What is known of trajectories without looking at the others: driven, then judged by the rules of a metric."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.scoring.scene_batch import SceneBatch


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


@runtime_checkable
class Engine(Protocol):
    """A way to do the work; all of them give the same answers."""

    works_on_all: bool
    """Whether it needs memory for all trajectories that it is handed at once, beside that of the answers."""

    def drive(
        self, batch: SceneBatch, plans: Float[Tensor, "B N P 3"], references: Float[Tensor, "B E S 3"]
    ) -> Float[Tensor, "B R S 11"]:
        """Simulated states of the plans of each scene, and of E more trajectories whose poses are sampled already."""

    def judge(self, batch: SceneBatch, states: Float[Tensor, "B R S 11"]) -> Judged:
        """What the rules of the batch's metric say of simulated states."""

    def no_collision_with_each(self, crowd: SceneBatch, states: Float[Tensor, "1 1 S 11"]) -> Float[Tensor, "1 N"]:
        """No at-fault collision of one trajectory in the traffic that each of the N of ``crowd`` meets."""
