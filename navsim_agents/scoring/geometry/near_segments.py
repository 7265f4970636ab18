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


@dataclass(frozen=True)
class NearSegments:
    """Segments listed by every cell that they come within ``margin`` of; ``owner`` is what a segment belongs to."""

    cells: Cells
    segments: Float[Tensor, "I 4"]  # x1, y1, x2, y2
    owner: Int[Tensor, " I"]

    @staticmethod
    def build(segments: FloatArray, owner: IntArray, margin: float, cell_m: float) -> NearSegments:
        """Cells of one scene over ``segments`` [n, 4] (m)."""
        layout = layout_around(segments.reshape(-1, 2), margin, cell_m)
        cell, segment = segment_cells(segments, layout, margin) if len(segments) else (np.zeros(0, np.int64),) * 2
        return NearSegments(
            Cells.build(layout, cell), torch.from_numpy(segments[segment]), torch.from_numpy(owner[segment])
        )

    @staticmethod
    def concatenate(parts: list[NearSegments]) -> NearSegments:
        """Those of several scenes; owners keep their numbers within their scene."""
        return NearSegments(
            cells=Cells.concatenate([part.cells for part in parts], [len(part.segments) for part in parts]),
            segments=torch.cat([part.segments for part in parts]),
            owner=torch.cat([part.owner for part in parts]),
        )

    def candidates(
        self, x: Float[Tensor, " n"], y: Float[Tensor, " n"], scene: Optional[Int[Tensor, " n"]]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Rounds of (which points, which segments); all segments within the margin of a point come up once."""
        return self.cells.rounds(self.cells.at(x, y, scene))

    def to(self, device: torch.device) -> NearSegments:
        """The same segments on another device."""
        return NearSegments(self.cells.to(device), self.segments.to(device), self.owner.to(device))
