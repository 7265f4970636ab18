"""Packed scenes by their own length, as text: the one thing of any length that torch's default collation passes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor


class PackedText(str):
    """The bytes of :func:`pack_scene`, one character each (latin-1).

    NAVSIM collates by default: tensors of one shape are stacked, tensors of several refused, texts listed. (So would
    bytes be, but Lightning walks through them one by one.) Pickled as bytes, since UTF-8 doubles those from 128 on.
    """

    __slots__ = ()

    @classmethod
    def of(cls, packed: UInt8[Tensor, " num_bytes"]) -> PackedText:
        """The text of one packed scene."""
        return cls(packed.numpy().tobytes(), "latin-1")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.encode("latin-1"), "latin-1")


def stack_texts(texts: Sequence[str]) -> UInt8[Tensor, "B longest"]:
    """One row a text, zeros behind the shorter ones: what :func:`unpack_scenes` reads."""
    rows = np.zeros((len(texts), max(map(len, texts))), dtype=np.uint8)
    for row, text in zip(rows, texts):
        row[: len(text)] = np.frombuffer(text.encode("latin-1"), dtype=np.uint8)
    return torch.from_numpy(rows)
