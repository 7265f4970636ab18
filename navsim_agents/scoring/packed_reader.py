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
from navsim_agents.scoring.geometry.cells import Cells
from navsim_agents.scoring.geometry.near_segments import NearSegments
from navsim_agents.scoring.geometry.table import Table
from navsim_agents.scoring.packed_layout import (
    ALIGNMENT,
    COLUMNS,
    GRIDS,
    HEADER_LENGTH,
    KNOTS_AT,
    LAYERS,
    MAGIC,
    NUMBERS,
    SAMPLES_AT,
    SECTIONS,
    SECTIONS_AT,
    SHAPES_AT,
    Head,
)
from navsim_agents.scoring.scene_batch import (
    SceneBatch,
    plan_times_us,
    refuse_too_few_columns,
)
from navsim_agents.scoring.scene_index import SceneIndex


class PackedReader:
    """B packed scenes [B, num_bytes]."""

    def __init__(self, packed: Tensor) -> None:
        """Read the headers.

        Raises:
            SceneError: the tensor cannot hold packed scenes, or a row is none.
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

    def batch(self, metric: MetricConfig, num_poses: int, interval_s: float, dtype: torch.dtype) -> SceneBatch:
        """The scenes padded to common sizes."""
        host, columns = self.host, metric.track_steps
        for row, head in enumerate(host):
            if head[Head.TRACKS] + head[Head.LIGHTS]:
                refuse_too_few_columns(f"{row} of the batch", int(head[Head.COLUMNS]), metric)
        knots = self._header[:, KNOTS_AT:SAMPLES_AT]
        numbers = self._numbers
        tracks, lights = Head.TRACKS, Head.LIGHTS
        return SceneBatch(
            ego_pose=numbers["ego_pose"],
            ego_state=numbers["ego_state"].to(dtype),
            vehicle=numbers["vehicle"].to(dtype),
            history_states=self._padded("history_states", Head.HISTORY, (11,), torch.float64, in_front=True).to(dtype),
            history_length=tuple(host[:, Head.HISTORY].tolist()),
            human_trajectory=numbers["human_trajectory"].to(dtype),
            human_may_excuse=self._header[:, Head.IS_ORIGINAL].bool(),
            pdm_trajectory=numbers["pdm_trajectory"].to(dtype),
            centerline=self._centerline().to(dtype),
            track_size=self._padded("track_size", tracks, (2,), torch.float64).to(dtype),
            track_speed=self._padded("track_speed", tracks, (), torch.float64).to(dtype),
            track_is_agent=self._padded("track_is_agent", tracks, (), torch.bool),
            collided_track=self._padded("collided_track", tracks, (), torch.bool),
            track_poses=self._padded("track_poses", tracks, (COLUMNS, 3), torch.float64)[:, :, :columns].to(dtype),
            track_valid=self._padded("track_valid", tracks, (COLUMNS,), torch.bool)[:, :, :columns],
            red_light_active=self._padded("red_light_active", lights, (COLUMNS,), torch.bool)[:, :, :columns],
            model_knots_us=self._knots(num_poses, interval_s),
            human_knots_us=knots,
            sample_times_us=self._header[:, SAMPLES_AT:SHAPES_AT],
            index=self._index(),
        )

    @cached_property
    def _numbers(self) -> dict[str, Tensor]:
        sizes = [math.prod(shape) for shape in NUMBERS.values()]
        row = torch.arange(sum(sizes), device=self._flat.device)
        table = self._table("numbers", torch.float64)
        parts = table.values[table.base[:, None] + row].split(sizes, dim=1)
        return {name: part.unflatten(1, shape) for part, (name, shape) in zip(parts, NUMBERS.items())}

    def _section(self, name: str) -> int:
        """Column of the header that holds a section's offset."""
        return SECTIONS_AT + 2 * SECTIONS.index(name)

    def _table(self, name: str, dtype: torch.dtype, width: int = 1) -> Table:
        """A section of every scene in place, as rows of ``width`` elements."""
        values = self._flat.view(dtype)
        values = values.unflatten(0, (-1, width)) if width > 1 else values
        row_bytes = width * values.element_size()
        offset = self._header[:, self._section(name)]
        scene = torch.arange(len(offset), device=offset.device)
        return Table(values, torch.div(offset + scene * self._num_bytes, row_bytes, rounding_mode="floor"))

    def _padded(
        self, name: str, count: Head, shape: tuple[int, ...], dtype: torch.dtype, in_front: bool = False
    ) -> Tensor:
        """A section as [B, most, *shape] with zeros behind each scene's rows, or in front of them."""
        width, most = math.prod(shape), int(self.host[:, count].max())
        table = self._table(name, dtype)
        length = width * self._header[:, count, None]
        at = torch.arange(most * width, device=length.device)
        if in_front:
            at = at - (most * width - length)
        exists = (at >= 0) & (at < length)
        values = table.values[(table.base[:, None] + at).masked_fill(~exists, 0)]
        return values.masked_fill(~exists, 0).reshape(len(length), most, *shape)

    def _centerline(self) -> Tensor:
        """[B, M, 2], the last point repeated."""
        table = self._table("centerline", torch.float64, width=2)
        most, last = int(self.host[:, Head.CENTERLINE].max()), self._header[:, Head.CENTERLINE, None] - 1
        at = torch.minimum(torch.arange(most, device=last.device), last)
        return table.values[table.base[:, None] + at]

    def _knots(self, num_poses: int, interval_s: float) -> Tensor:
        """Times of the knots of a plan [B, P + 1]."""
        if (num_poses, interval_s) == (NUM_POSES, POSE_INTERVAL_S):
            return self._header[:, KNOTS_AT:SAMPLES_AT]
        times = []
        for head in self.host:
            recorded = torch.from_numpy(head[KNOTS_AT:SAMPLES_AT]) if head[Head.HAS_TIMES] else None
            times.append(plan_times_us(recorded, int(head[Head.TIMESTAMP_US]), num_poses, interval_s))
        return torch.stack(times).to(self._flat.device)

    def _index(self) -> SceneIndex:
        """The index, its tables in place."""
        words = int(self.host[:, Head.WORDS].max())
        layers = self._words("layers", None, words)
        areas, centerline, lights = (self._cells(number) for number in range(len(GRIDS)))
        return SceneIndex(
            areas=Areas(
                cells=areas,
                cell_pattern=self._table("areas.cell_pattern", torch.int32),
                edges=self._table("areas.edges", torch.float64, width=4),
                edge_pattern=self._table("areas.edge_pattern", torch.int32),
                patterns=self._words("patterns", Head.PATTERNS, words),
            ),
            light_bits=self._words("light_bits", Head.LIGHTS, words),
            centerline=self._near_segments("centerline", centerline),
            lights=self._near_segments("lights", lights),
            **{name: layers[:, row] for row, name in enumerate(LAYERS)},
        )

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

    def _cells(self, number: int) -> Cells:
        grid, first = GRIDS[number], SHAPES_AT + 3 * number
        return Cells(
            origin=self._numbers["origins"][:, number],
            inverse_size=self._numbers["inverse_sizes"][:, number],
            shape=self._header[:, first : first + 2],
            plain=self._header[:, first + 2],
            entry=self._table(f"{grid}.entry", torch.int16),
            first=self._table(f"{grid}.first", torch.int32),
            item=self._table(f"{grid}.item", torch.int32),
        )

    def _near_segments(self, name: str, cells: Cells) -> NearSegments:
        segments, owner = self._table(f"{name}.segments", torch.float64, 4), self._table(f"{name}.owner", torch.int32)
        return NearSegments(cells, segments, owner)
