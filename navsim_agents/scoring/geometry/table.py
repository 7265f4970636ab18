"""Rows of several scenes in one tensor, so that a batch of scenes needs no copy of what its scenes hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import torch
from jaxtyping import Int
from torch import Tensor

UINT16_MASK = 0xFFFF


@dataclass(frozen=True)
class Table:
    """Row i of scene b is ``values[base[b] + i]``; what lies between the scenes' rows is never read."""

    values: Tensor  # [rows] or [rows, width]
    base: Int[Tensor, " B"]

    @staticmethod
    def of(values: Tensor) -> Table:
        """The rows of one scene."""
        return Table(values, torch.zeros(1, dtype=torch.int64, device=values.device))

    @staticmethod
    def concatenate(parts: list[Table]) -> Table:
        """Rows of several tables, one after the other."""
        starts, total = [], 0
        for part in parts:
            starts.append(part.base + total)
            total += len(part.values)
        return Table(torch.cat([part.values for part in parts]), torch.cat(starts))

    def base_of(self, scene: Optional[Tensor]) -> Tensor:
        """First row of each of ``scene``; of the only one if that is None."""
        return self.base if scene is None else self.base[scene]

    def to(self, device: torch.device) -> Table:
        """The same rows on another device."""
        return Table(self.values.to(device), self.base.to(device))


def from_uint16(values: Tensor) -> Tensor:
    """int64 of unsigned 16-bit numbers that are kept as int16, since torch 2.0 has no unsigned type of that width."""
    return values.long() & UINT16_MASK
