"""Checkpoints in the layout of V-JEPA 2's training code, with one more entry from which a run resumes exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from navsim_agents.common.files import remove_leftovers, whole_file
from navsim_agents.errors import CheckpointError
from navsim_agents.models.checkpoint import WRAPPERS, is_hub_file, load_encoder_contents, parts_of
from navsim_agents.models.checkpoint_file import read_checkpoint
from navsim_agents.models.key_table import KeyTable, load_strictly
from navsim_agents.models.video_jepa import VideoJepa
from navsim_agents.models.weight_file import read_weights

PARTS = ("encoder", "predictor", "target_encoder")
PROGRESS = "navsim_drive_jepa"
"""Our entry; V-JEPA 2's loaders pass over it."""
CHECKPOINTS = "step_*.pt"
FORMER_LEFTOVERS = ".step_*.pt.unfinished"  # what earlier releases left
UNREADABLE_SUFFIX = ".unreadable"
SCALER_STATE = {
    "scale": 65536.0,
    "growth_factor": 2.0,
    "backoff_factor": 0.5,
    "growth_interval": 2000,
    "_growth_tracker": 0,
}
"""A gradient scaler at its start: bfloat16 needs none, but V-JEPA 2's training code wants to load one."""


class Progress(NamedTuple):
    """How far a run has come; randomness is a function of seed and step, so it needs no state of its own."""

    step: int  # optimiser steps done
    seed: int
    batch_size: int  # clips a process
    world_size: int  # processes
    data: dict[str, Any]  # state of the loader, the same on every process
    losses: list[float]  # of the current epoch's steps that were not skipped
    identity: Optional[dict[str, Any]] = None  # settings that must stay; None in files of the first release


def checkpoint_path(folder: Path, step: int) -> Path:
    """File of the checkpoint after ``step`` steps."""
    return folder / f"step_{step:08d}.pt"


def checkpoints_in(folder: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    return sorted(folder.glob(CHECKPOINTS))


def save_checkpoint(
    path: Path, jepa: VideoJepa, optimiser: Optimizer, progress: Progress, *, epoch: int, lr: float
) -> None:
    """Write ``path`` whole or not at all.

    Args:
        path: where to.
        jepa: networks.
        optimiser: of ``build_optimiser``.
        progress: what resuming needs.
        epoch: whole epochs done.
        lr: peak learning rate, as V-JEPA 2 notes it.
    """
    contents: dict[str, Any] = {part: _wrapped(getattr(jepa, part)) for part in PARTS}
    contents.update(
        opt=optimiser.state_dict(),
        scaler=dict(SCALER_STATE),
        epoch=epoch,
        loss=sum(progress.losses) / max(1, len(progress.losses)),
        batch_size=progress.batch_size,
        world_size=progress.world_size,
        lr=lr,
    )
    contents[PROGRESS] = progress._asdict()
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        torch.save(contents, file)


def keep_newest(folder: Path, count: int) -> None:
    """Delete all but the newest ``count`` checkpoints, and what an interruption left unfinished."""
    outdated = checkpoints_in(folder)[: -max(1, count)]
    for path in outdated:
        path.unlink()
    remove_leftovers(folder, CHECKPOINTS, FORMER_LEFTOVERS)


def set_aside_newer(folder: Path, step: int) -> None:
    """Rename checkpoints beyond ``step``, so that they are not taken for the newest."""
    for path in checkpoints_in(folder):
        if path > checkpoint_path(folder, step):
            path.replace(path.with_name(f"{path.name}{UNREADABLE_SUFFIX}"))


def read_newest(folder: Path) -> Optional[tuple[Path, Mapping[str, Any]]]:
    """The newest readable checkpoint and its contents; prints which could not be read; None if there are none.

    Raises:
        CheckpointError: there are checkpoints, but none of them can be read.
    """
    found = checkpoints_in(folder)
    for path in reversed(found):
        try:
            return path, read_checkpoint(path)
        except CheckpointError as error:
            tqdm.write(f"this checkpoint is passed over, an older one will do: {error}")
    if found:
        raise CheckpointError(
            f"none of the {len(found)} checkpoints in {folder} can be read; restore one, or start anew: resume=false"
        )
    return None


def load_checkpoint(path: Path, jepa: VideoJepa, optimiser: Optimizer) -> Progress:
    """Networks and optimiser as they were saved in ``path``.

    Raises:
        CheckpointError: it cannot be read, was not written here, or is of other sizes; the message says what to do.
    """
    return restore(path, read_checkpoint(path), jepa, optimiser)


def restore(path: Path, contents: Mapping[str, Any], jepa: VideoJepa, optimiser: Optimizer) -> Progress:
    """Networks and optimiser from the ``contents`` of ``path``.

    Raises:
        CheckpointError: the file was not written here, or is of other sizes; the message says what to do.
    """
    if PROGRESS not in contents:
        raise CheckpointError(
            f"{path} holds {', '.join(map(str, contents))} but no {PROGRESS}, so no run can go on from it; "
            f"start from its weights: model.init_from={path}"
        )
    for part in PARTS:
        _load_part(getattr(jepa, part), contents, part, path)
    optimiser.load_state_dict(contents["opt"])
    progress = Progress(**contents[PROGRESS])
    return progress._replace(losses=[loss for loss in progress.losses if math.isfinite(loss)])


def load_initial_weights(
    jepa: VideoJepa, path: Union[str, Path], *, predictor: bool, entry: Optional[str] = None
) -> str:
    """Start from a V-JEPA file: encoder, its moving average (else a copy), and the predictor where asked for.

    Args:
        jepa: networks.
        path: a file or folder as ``load_encoder_weights`` reads it.
        predictor: read it too.
        entry: that both encoders are read from; None: each from its own.

    Returns:
        What was read, in words.

    Raises:
        CheckpointError: the file lacks something or is of other sizes.
    """
    contents = read_weights(path)
    first = "encoder" if entry is None and "encoder" in contents else entry
    online = load_encoder_contents(jepa.encoder, contents, path, first)
    average = load_encoder_contents(jepa.target_encoder, contents, path, entry)
    if predictor:
        _load_part(jepa.predictor, _with_predictor(contents), "predictor", Path(path))
    return f"encoder from {online}, moving average from {average}, predictor {'too' if predictor else 'fresh'}"


def _with_predictor(contents: Mapping[str, Any]) -> Mapping[str, Any]:
    """``contents`` with the predictor under its entry; in the hub layout it lies beside the encoder."""
    if not is_hub_file(contents):
        return contents
    return {"predictor": parts_of(contents).predictor}


def _wrapped(module: nn.Module) -> dict[str, Tensor]:
    return {WRAPPERS + name: tensor for name, tensor in module.state_dict().items()}


def _load_part(module: nn.Module, contents: Mapping[str, Any], part: str, path: Path) -> None:
    table = KeyTable((part,), prefixes=("module.", "backbone."), ignored=("pos_embed", "predictor_pos_embed"))
    try:
        tensors = table.translate(contents[table.choose_entry(contents)])
        load_strictly(module, tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path}, entry {part}: {error}. {_way_out(part, contents.get(part))}") from error


def _way_out(part: str, weights: Optional[Mapping[str, Any]]) -> str:
    if part != "predictor":
        return "Set model.encoder to the size that the file was trained with"
    tokens = sum("mask_tokens." in name for name in weights or {})
    return f"It holds {tokens} mask tokens: set model.num_mask_tokens to that, or model.init_predictor=false"
