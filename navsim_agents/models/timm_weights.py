"""timm's image networks, and their weights from a file; nothing is downloaded unless it is asked for.

timm is imported where a network is made, as importing it takes a second or two that most users need not spend.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Union

from torch import Tensor, nn

from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.checkpoint_file import read_checkpoint
from navsim_agents.models.key_table import load_strictly
from navsim_agents.models.weight_file import SAFETENSORS, read_safetensors

NESTED = ("state_dict", "model")
"""Entries under which files keep a network's weights, where they do not lie at the top."""
HEADS = ("fc.", "head.", "classifier.", "attn_pool.")
"""Beginnings of the names of a classifier and its pooling, which the networks here do without."""


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


def load_timm_weights(network: nn.Module, path: Union[str, Path]) -> None:
    """Load ``network`` from a file of timm's weights, all or nothing; a classifier in the file is passed over.

    Raises:
        CheckpointError: no such file, or names or shapes are not the network's.
    """
    weights = {name: value for name, value in _read(Path(path)).items() if not name.startswith(HEADS)}
    try:
        load_strictly(network, weights)
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} does not fit the network: {error}; give timm's weights of this very network"
        ) from error


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == SAFETENSORS and path.is_file():
        return read_safetensors(path)
    contents = read_checkpoint(path)
    weights = next((contents[entry] for entry in NESTED if isinstance(contents.get(entry), dict)), contents)
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise CheckpointError(f"{path} is not a table of tensors; give a file of timm's weights")
    return dict(weights)
