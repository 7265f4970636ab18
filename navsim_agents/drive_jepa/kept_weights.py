"""Checkpoints that a training keeps: what cannot be compared is not among the best, and a resumed list is right."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

logger = logging.getLogger(__name__)


class KeptWeights(ModelCheckpoint):
    """Keeps the ``save_top_k`` best weights by a measure; where it is no finite number they are none of the best.

    Without a measure it keeps the last ones.

    A resumed training goes on with the list of the one before, also where its folder was moved, files of it were
    deleted, or another number of files is asked for now.
    """

    _surplus: tuple[str, ...] = ()

    @property
    def state_key(self) -> str:
        """That of Lightning's own class, which earlier releases used: their trainings go on with their list."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Optional[Tensor] = None) -> bool:
        """Whether weights with this measure are to be kept."""
        if current is not None and not math.isfinite(float(current)):
            epoch = trainer.current_epoch
            logger.warning("%s=%s in epoch %d: not kept among the best", self.monitor, float(current), epoch)
            return False
        return super().check_monitor_top_k(trainer, current)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The list of best weights, as far as they are there, and no longer than it may be now."""
        best, listed = state_dict.get("best_model_path", ""), state_dict.get("best_k_models", {})
        if state_dict.get("dirpath") != self.dirpath and not any(map(self._is_here, (best, *listed))):
            super().load_state_dict(state_dict)  # it goes on in another folder, and its files stay where they are
            return
        last = state_dict.get("last_model_path", "")
        self.last_model_path = self._here(last) if self._is_here(last) else ""
        if self.monitor is None:
            self.best_model_path = self._here(best) if self._is_here(best) else ""
        else:
            self._list({self._here(path): score for path, score in listed.items() if self._is_here(path)})

    def _list(self, found: Mapping[str, Any]) -> None:
        """Make the list of best weights anew from files and their scores."""
        scores = {path: torch.as_tensor(score) for path, score in found.items() if math.isfinite(float(score))}
        ranked = sorted(scores, key=lambda path: float(scores[path]), reverse=self.mode == "max")
        kept = ranked if self.save_top_k == -1 else ranked[: self.save_top_k]
        self._surplus = tuple(ranked[len(kept) :])
        self.best_k_models = {path: scores[path] for path in kept}
        self.best_model_path = kept[0] if kept else ""
        self.best_model_score = scores[kept[0]] if kept else None
        if kept and len(kept) == self.save_top_k:
            self.kth_best_model_path, self.kth_value = kept[-1], scores[kept[-1]]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Delete what a longer list held before; a test, which reads the list too, deletes nothing."""
        super().on_train_start(trainer, pl_module)
        if trainer.is_global_zero:
            for path in self._surplus:
                Path(path).unlink(missing_ok=True)
        self._surplus = ()

    @property
    def ranked(self) -> list[str]:
        """Files that are kept, the best one first."""
        models = self.best_k_models
        return sorted(models, key=lambda path: float(models[path]), reverse=self.mode == "max")

    def _here(self, path: str) -> str:
        """Where a file of this name is in the folder of this training."""
        return str(Path(self.dirpath or "") / Path(path).name)

    def _is_here(self, path: str) -> bool:
        return bool(self.dirpath and path) and Path(self._here(path)).is_file()
