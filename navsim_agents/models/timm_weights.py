"""timm's image networks, and their weights from a file; nothing is downloaded unless it is asked for.

timm is imported where a network is made, as importing it takes a second or two that most users need not spend.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Union

from torch import Tensor, nn

from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.checkpoint_file import read_checkpoint
from navsim_agents.models.config import USUAL_READING, PositionReading
from navsim_agents.models.key_table import load_strictly
from navsim_agents.models.timm_positions import fit_positions
from navsim_agents.models.weight_file import SAFETENSORS, read_safetensors, weights_file

logger = logging.getLogger(__name__)

NESTED = ("state_dict", "model")
"""Entries under which files keep a network's weights, where they do not lie at the top."""
HEADS = ("fc.", "head.", "classifier.", "attn_pool.")
"""Beginnings of the names of a classifier and its pooling, which the networks here do without."""
OF_PRETRAINING = ("mask_token",)
"""Tensors that Meta's own files of DINOv2 hold besides; the others have timm's names there."""


def create_timm_model(name: str, *, pretrained: bool, **settings: Any) -> Any:
    """timm's network called ``name``, a module with attributes that torch's types do not know.

    Args:
        name: as in ``timm.list_models()``.
        pretrained: let timm download its weights.
        settings: handed on to timm.

    Raises:
        InputError: timm has no network of this name.
    """
    import timm

    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name.split('_')[0]}*")[:5]) or "see timm.list_models()"
        raise InputError(f"timm has no network called {name!r}; choose one of its names, such as {close}")
    return timm.create_model(name, pretrained=pretrained, **settings)


def load_timm_weights(network: nn.Module, path: Union[str, Path], positions: PositionReading = USUAL_READING) -> str:
    """Load ``network`` from a file of timm's weights, all or nothing; a classifier in the file is passed over.

    Args:
        network: made for pictures of any size.
        path: a ``.pth`` or ``.safetensors`` file, or a folder with ``model.safetensors``.
        positions: how a table of positions is read that was learnt for another size.

    Returns:
        What was done to that table; empty where it is as in the file, or there is none.

    Raises:
        CheckpointError: no such file, or names or shapes are not the network's, or the table's grid is not known.
    """
    weights = {name: value for name, value in _read(weights_file(path)).items() if not _is_unused(name)}
    try:
        fitted = fit_positions(network, weights, positions)
        load_strictly(network, fitted.weights)
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} does not fit the network: {error}; give timm's weights of this very network"
        ) from error
    if fitted.words:
        logger.info("%s: %s", path, fitted.words)
    return fitted.words


def _is_unused(name: str) -> bool:
    return name.startswith(HEADS) or name in OF_PRETRAINING


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == SAFETENSORS and path.is_file():
        return read_safetensors(path)
    contents = read_checkpoint(path)
    weights = next((contents[entry] for entry in NESTED if isinstance(contents.get(entry), dict)), contents)
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise CheckpointError(f"{path} is not a table of tensors; give a file of timm's weights")
    return dict(weights)
