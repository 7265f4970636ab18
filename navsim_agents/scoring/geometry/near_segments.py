"""Segments within a fixed distance of a point, of one scene or several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from navsim_agents.scoring.geometry.cells import Cells, FloatArray, IntArray, layout_around, segment_cells
from navsim_agents.scoring.geometry.table import Table


@dataclass(frozen=True)
class NearSegments:
    """Segments listed by every cell that they come within ``margin`` of; ``owner`` is what a segment belongs to."""

    cells: Cells
    segments: Table  # [segments, 4]: x1, y1, x2, y2
    owner: Table  # [segments], int32

    @staticmethod
    def build(segments: FloatArray, owner: IntArray, margin: float, cell_m: float, max_cells: int) -> NearSegments:
        """Cells of one scene over ``segments`` [n, 4] (m)."""
        layout = layout_around(segments.reshape(-1, 2), margin, cell_m, max_cells)
        cell, segment = segment_cells(segments, layout, margin) if len(segments) else (np.zeros(0, np.int64),) * 2
        return NearSegments(
            Cells.build(layout, cell, segment),
            Table.of(torch.from_numpy(segments)),
            Table.of(torch.from_numpy(owner.astype(np.int32))),
        )

    @staticmethod
    def concatenate(parts: list[NearSegments]) -> NearSegments:
        """Those of several scenes; owners keep their numbers within their scene."""
        return NearSegments(
            cells=Cells.concatenate([part.cells for part in parts]),
            segments=Table.concatenate([part.segments for part in parts]),
            owner=Table.concatenate([part.owner for part in parts]),
        )

    def candidates(
        self, x: Float[Tensor, " n"], y: Float[Tensor, " n"], scene: Optional[Int[Tensor, " n"]]
    ) -> Iterator[tuple[Int[Tensor, " m"], Float[Tensor, "c m 4"], Int[Tensor, "c m"]]]:
        """Groups of (which points, segments near each, their owners); all within the margin of a point come up once."""
        near, number = self.cells.near(self.cells.at(x, y, scene), scene)
        scene = None if scene is None else scene[near]
        for which, segment in self.cells.groups(number, scene):
            of = None if scene is None else scene[which]
            owner = self.owner.values[segment + self.owner.base_of(of)].long()
            yield near[which], self.segments.values[segment + self.segments.base_of(of)], owner

    def to(self, device: torch.device) -> NearSegments:
        """The same segments on another device."""
        return NearSegments(**{name: value.to(device) for name, value in vars(self).items()})
