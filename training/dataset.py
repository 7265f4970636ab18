"""Cached scenes as a torch dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

from torch import Tensor
from torch.utils.data import Dataset, default_collate

from navsim_agents.common.files import read_json
from navsim_agents.errors import InputError
from navsim_agents.scoring import PackedText, stack_texts
from training.cache import INDEX_FILE
from training.columns import Column, open_columns

Sample = tuple[dict[str, Union[Tensor, PackedText]], dict[str, Union[Tensor, PackedText]]]
Batch = tuple[dict[str, Tensor], dict[str, Tensor]]


class CachedScenes(Dataset[Sample]):
    """``(features, targets)`` per scene of ``log_names``, as NAVSIM's own data set gives them."""

    def __init__(self, folder: Path, log_names: Sequence[str]) -> None:
        self.tokens: list[str] = []
        self._rows: list[tuple[Path, int]] = []
        self._open: dict[Path, dict[str, Column]] = {}
        for log_name in log_names:
            index = folder / log_name / INDEX_FILE
            tokens = read_json(index)["tokens"] if index.exists() else []
            self.tokens += tokens
            self._rows += [(folder / log_name, row) for row in range(len(tokens))]
        if not self.tokens:
            raise InputError(f"{folder} holds no scene of the {len(log_names)} logs asked for")

    @property
    def log_names(self) -> list[str]:
        """The log of every scene."""
        return [folder.name for folder, _ in self._rows]

    def __getstate__(self) -> dict[str, Any]:
        # Pickling a memory map would copy its whole content to a worker; each worker opens its own instead.
        return {**self.__dict__, "_open": {}}

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Sample:
        """One scene's tensors and texts, copied out of the memory map."""
        folder, row = self._rows[index]
        sample: Sample = ({}, {})
        for name, column in self._columns(folder).items():
            kind, key = name.split(".", 1)
            sample[0 if kind == "features" else 1][key] = column[row]
        return sample

    def _columns(self, folder: Path) -> dict[str, Column]:
        if folder not in self._open:
            self._open[folder] = open_columns(folder)
        return self._open[folder]


def collate(samples: Sequence[Sample]) -> Batch:
    """Stacked tensors; texts as uint8 [B, longest], padded here, in a loader's worker, and not while training."""
    features, targets = default_collate(list(samples))
    return _stacked(features), _stacked(targets)


def _stacked(values: dict[str, Any]) -> dict[str, Tensor]:
    return {key: value if isinstance(value, Tensor) else stack_texts(value) for key, value in values.items()}
