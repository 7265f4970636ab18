"""The grid of patch tokens that a clip becomes, and where each token lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import torch
from jaxtyping import Int64
from torch import Tensor


@dataclass(frozen=True)
class TokenGrid:
    """Tokens of a clip, numbered row-major: ``id = (time * rows + row) * columns + column``."""

    times: int
    rows: int
    columns: int

    @property
    def num_tokens(self) -> int:
        """Tokens of the whole clip."""
        return self.times * self.rows * self.columns

    def all_ids(self, device: Optional[torch.device] = None) -> Int64[Tensor, " N"]:
        """Every token id, in order."""
        return torch.arange(self.num_tokens, device=device)

    def positions(self, ids: Int64[Tensor, "*batch N"]) -> Int64[Tensor, "*batch N 3"]:
        """(time, row, column) of each token id [patches]."""
        frame, in_frame = ids // (self.rows * self.columns), ids % (self.rows * self.columns)
        return torch.stack((frame, in_frame // self.columns, in_frame % self.columns), dim=-1)
