"""Cached scenes as a torch dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from navsim_agents.common.files import read_json
from navsim_agents.errors import InputError
from training.cache import INDEX_FILE

Sample = tuple[dict[str, Tensor], dict[str, Tensor]]


class CachedScenes(Dataset[Sample]):
    """``(features, targets)`` per scene of ``log_names``, as NAVSIM's own data set gives them."""

    def __init__(self, folder: Path, log_names: Sequence[str]) -> None:
        self.tokens: list[str] = []
        self._rows: list[tuple[Path, int]] = []
        self._open: dict[Path, dict[str, np.ndarray]] = {}
        for log_name in log_names:
            index = folder / log_name / INDEX_FILE
            tokens = read_json(index)["tokens"] if index.exists() else []
            self.tokens += tokens
            self._rows += [(folder / log_name, row) for row in range(len(tokens))]
        if not self.tokens:
            raise InputError(f"{folder} holds no scene of the {len(log_names)} logs asked for")

    def __getstate__(self) -> dict[str, Any]:
        # A pickled memory map would carry its whole content to a worker, which had better open its own.
        return {**self.__dict__, "_open": {}}

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Sample:
        """One scene's tensors, copied out of the memory map."""
        folder, row = self._rows[index]
        sample: Sample = ({}, {})
        for name, array in self._arrays(folder).items():
            kind, key = name.split(".", 1)
            sample[0 if kind == "features" else 1][key] = torch.from_numpy(np.array(array[row]))
        return sample

    def _arrays(self, folder: Path) -> dict[str, np.ndarray]:
        if folder not in self._open:
            self._open[folder] = {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}
        return self._open[folder]
