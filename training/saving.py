"""Which checkpoints a training keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from pytorch_lightning.callbacks import ModelCheckpoint

from navsim_agents.common.settings import at_least
from navsim_agents.drive_jepa.callbacks import VALIDATION_LOSS, last_weights
from navsim_agents.drive_jepa.kept_weights import KeptWeights

EPOCH_NAME = "epoch{epoch:03d}"


@dataclass(frozen=True)
class SavingConfig:
    """Which weights stay beside the last ones."""

    keep: Optional[int] = field(default=None, metadata=at_least(1))  # null: as the agent has it; ours keep the best one


def checkpoints_of(callbacks: Sequence[Any], saving: SavingConfig, is_validated: bool) -> list[Any]:
    """``callbacks`` with those that keep checkpoints as ``saving`` asks for.

    Where the agent has none of these, the best and the last weights are kept. Where nothing validates there is no best
    one, and the last epochs are kept instead.
    """
    own = list(callbacks)
    if not any(isinstance(one, ModelCheckpoint) for one in own):
        own += [KeptWeights(monitor=VALIDATION_LOSS, filename="best"), last_weights()]
    found: list[Any] = []
    for one in own:
        if isinstance(one, ModelCheckpoint) and one.monitor is not None:
            one = one if is_validated else _last_epochs(one)
            _keep(one, saving.keep)
        found.append(one)
    return found


def _keep(checkpoint: ModelCheckpoint, number: Optional[int]) -> None:
    if number is None:
        return
    checkpoint.save_top_k = number
    if number > 1 and "{" not in (checkpoint.filename or "{"):
        checkpoint.filename = f"{checkpoint.filename}-{EPOCH_NAME}"  # each epoch's file has a name of its own
        checkpoint.auto_insert_metric_name = False


def _last_epochs(best: ModelCheckpoint) -> ModelCheckpoint:
    """In place of ``best``: the newest weights, of which Lightning keeps several only by a measure, as is the step."""
    return KeptWeights(
        monitor="step", mode="max", save_last=best.save_last, filename=EPOCH_NAME, auto_insert_metric_name=False
    )


def kept_files(callbacks: Sequence[Any], output: Path) -> list[str]:
    """Checkpoints that the first such callback keeps, the best one first, from the folder of the training."""
    first = next((one for one in callbacks if isinstance(one, ModelCheckpoint)), None)
    paths = first.ranked if isinstance(first, KeptWeights) else list(first.best_k_models) if first is not None else []
    return [str(Path(path).resolve().relative_to(output.resolve())) for path in paths]
