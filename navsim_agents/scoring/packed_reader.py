"""Reads a batch of packed scenes: small fields are padded to common sizes, the index's tables stay where they are."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Optional

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from navsim_agents.common.conventions import NUM_POSES, POSE_INTERVAL_S
from navsim_agents.errors import SceneError
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.geometry.areas import Areas
from navsim_agents.scoring.geometry.grid import Cells, NearSegments, Table
from navsim_agents.scoring.packed_layout import (
    ALIGNMENT,
    GRIDS,
    HEADER_LENGTH,
    KNOTS_AT,
    LAYERS,
    MAGIC,
    NUMBERS,
    ROWS,
    SAMPLES_AT,
    SECTIONS,
    SECTIONS_AT,
    SHAPES_AT,
    Head,
    OfGrid,
    OfSection,
)
from navsim_agents.scoring.scene import SceneIndex
from navsim_agents.scoring.scene_batch import (
    Paddable,
    plan_times_us,
    refuse_too_few_columns,
)
from navsim_agents.scoring.scene_fields import TORCH_DTYPES, SceneField


class PackedReader(Paddable):
    """B packed scenes [B, num_bytes], to be padded."""

    def __init__(self, packed: Tensor) -> None:
        """Read the headers.

        Raises:
            SceneError: the tensor has the wrong shape for packed scenes, or a row is not a packed scene.
        """
        if packed.shape[0] == 0 or packed.shape[1] % ALIGNMENT or packed.shape[1] < 8 * HEADER_LENGTH:
            raise SceneError(
                f"packed has shape {tuple(packed.shape)}, but must be one or more rows of pack_scene; stack them whole"
            )
        self._num_bytes = packed.shape[1]
        self._flat = packed.contiguous().flatten()
        self._header = packed[:, : 8 * HEADER_LENGTH].contiguous().view(torch.int64)
        self.host: npt.NDArray[np.int64] = self._header.cpu().numpy()
        bad = np.flatnonzero(self.host[:, Head.MAGIC] != MAGIC)
        if len(bad):
            raise SceneError(
                f"row {bad[0]} of packed begins with {self.host[bad[0], Head.MAGIC]:#x}, but packed scenes of this "
                f"release begin with {MAGIC:#x}; pack the scenes again"
            )

    def check(self, metric: MetricConfig) -> None:
        """See :class:`Paddable`; the devkit of the scenes was checked when they were packed."""
        for row, head in enumerate(self.host):
            if head[Head.TRACKS] + head[Head.LIGHTS]:
                refuse_too_few_columns(f"{row} of the batch", int(head[Head.COLUMNS]), metric)

    def stacked(self, row: SceneField) -> Tensor:
        """See :class:`Paddable`."""
        return self._numbers[row.name]

    def padded(self, row: SceneField, columns: int) -> Tensor:
        """See :class:`Paddable`."""
        values = self._padded(row)
        return values[:, :, :columns] if row.shape[1:2] == ("T",) else values

    def padded_in_front(self, row: SceneField) -> Tensor:
        """See :class:`Paddable`."""
        return self._padded(row, in_front=True)

    def continued(self, row: SceneField) -> Tensor:
        """See :class:`Paddable`."""
        column, shape = self._head(row.name, OfSection.LENGTH), ROWS[row.name]
        width, table = math.prod(shape), self._table(row.name, TORCH_DTYPES[row.kind])
        most, last = int(self.host[:, column].max()) // width, self._header[:, column, None] // width - 1
        rows = torch.minimum(torch.arange(most, device=last.device), last)
        at = (width * rows[..., None] + torch.arange(width, device=last.device)).flatten(1)
        return table.values[table.base[:, None] + at].reshape(len(last), most, *shape)

    def history_length(self) -> tuple[int, ...]:
        """See :class:`Paddable`."""
        return tuple(self.host[:, Head.HISTORY].tolist())

    def is_original(self) -> Tensor:
        """See :class:`Paddable`."""
        return self._header[:, Head.IS_ORIGINAL].bool()

    def samples_us(self) -> Tensor:
        """See :class:`Paddable`."""
        return self._header[:, SAMPLES_AT:SHAPES_AT]

    def knots_us(self, num_poses: int, interval_s: float) -> Tensor:
        """See :class:`Paddable`."""
        if (num_poses, interval_s) == (NUM_POSES, POSE_INTERVAL_S):
            return self._header[:, KNOTS_AT:SAMPLES_AT]
        times = []
        for head in self.host:
            recorded = torch.from_numpy(head[KNOTS_AT:SAMPLES_AT]) if head[Head.HAS_TIMES] else None
            times.append(plan_times_us(recorded, int(head[Head.TIMESTAMP_US]), num_poses, interval_s))
        return torch.stack(times).to(self._flat.device)

    def index(self) -> SceneIndex:
        """See :class:`Paddable`; its tables stay in place."""
        words = int(self.host[:, Head.WORDS].max())
        layers = self._words("layers", None, words)
        return SceneIndex(
            areas=Areas(
                cells=self._cells("areas"),
                cell_pattern=self._table("areas.cell_pattern", torch.int32),
                edges=self._table("areas.edges", torch.float64, width=4),
                edge_pattern=self._table("areas.edge_pattern", torch.int32),
                patterns=self._words("patterns", Head.PATTERNS, words),
            ),
            light_bits=self._words("light_bits", Head.LIGHTS, words),
            centerline=self._near_segments("centerline"),
            lights=self._near_segments("lights"),
            **{name: layers[:, row] for row, name in enumerate(LAYERS)},
        )

    @cached_property
    def _numbers(self) -> dict[str, Tensor]:
        sizes = [math.prod(shape) for shape in NUMBERS.values()]
        row = torch.arange(sum(sizes), device=self._flat.device)
        table = self._table("numbers", torch.float64)
        parts = table.values[table.base[:, None] + row].split(sizes, dim=1)
        return {name: part.unflatten(1, shape) for part, (name, shape) in zip(parts, NUMBERS.items())}

    def _head(self, section: str, column: OfSection) -> int:
        """Column of the header for a section."""
        return SECTIONS_AT + len(OfSection) * SECTIONS.index(section) + column

    def _table(self, name: str, dtype: torch.dtype, width: int = 1) -> Table:
        """A section of every scene in place, as rows of ``width`` elements."""
        values = self._flat.view(dtype)
        values = values.unflatten(0, (-1, width)) if width > 1 else values
        row_bytes = width * values.element_size()
        offset = self._header[:, self._head(name, OfSection.OFFSET)]
        scene = torch.arange(len(offset), device=offset.device)
        return Table(values, torch.div(offset + scene * self._num_bytes, row_bytes, rounding_mode="floor"))

    def _padded(self, row: SceneField, in_front: bool = False) -> Tensor:
        """A section as [B, most, *shape] with zeros behind each scene's rows, or in front of them."""
        column, shape = self._head(row.name, OfSection.LENGTH), ROWS[row.name]
        most, length = int(self.host[:, column].max()), self._header[:, column, None]
        table = self._table(row.name, TORCH_DTYPES[row.kind])
        at = torch.arange(most, device=length.device)
        if in_front:
            at = at - (most - length)
        exists = (at >= 0) & (at < length)
        values = table.values[(table.base[:, None] + at).masked_fill(~exists, 0)]
        return values.masked_fill(~exists, 0).reshape(len(length), most // math.prod(shape), *shape)

    def _words(self, name: str, count: Optional[Head], words: int) -> Tensor:
        """Rows of words, [B, most, words]; ``count`` None means one row a layer."""
        table, own_words = self._table(name, torch.int64), self._header[:, Head.WORDS, None, None]
        most = len(LAYERS) if count is None else int(self.host[:, count].max())
        row = torch.arange(most, device=self._flat.device)[:, None]
        word = torch.arange(words, device=self._flat.device)
        exists = word < own_words
        if count is not None:
            exists = exists & (row < self._header[:, count, None, None])
        at = table.base[:, None, None] + row * own_words + word
        return table.values[at.masked_fill(~exists, 0)].masked_fill(~exists, 0)

    def _cells(self, grid: str) -> Cells:
        number = GRIDS.index(grid)
        at = SHAPES_AT + len(OfGrid) * number
        return Cells(
            origin=self._numbers["origins"][:, number],
            inverse_size=self._numbers["inverse_sizes"][:, number],
            shape=self._header[:, at + OfGrid.COLUMNS : at + OfGrid.ROWS + 1],
            plain=self._header[:, at + OfGrid.PLAIN],
            entry=self._table(f"{grid}.entry", torch.int16),
            first=self._table(f"{grid}.first", torch.int32),
            item=self._table(f"{grid}.item", torch.int32),
        )

    def _near_segments(self, grid: str) -> NearSegments:
        segments, owner = self._table(f"{grid}.segments", torch.float64, 4), self._table(f"{grid}.owner", torch.int32)
        return NearSegments(self._cells(grid), segments, owner)
