"""Pretrained weights for the video encoder: V-JEPA 2's files and Drive-JEPA's driving pretraining."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional, Union

from torch import Tensor

from navsim_agents.errors import CheckpointError
from navsim_agents.models.checkpoint_file import read_checkpoint
from navsim_agents.models.key_table import KeyTable, load_strictly
from navsim_agents.models.presets import ENCODER_PRESETS
from navsim_agents.models.video_encoder import VideoEncoder

# Both kinds of file are V-JEPA 2 training checkpoints. Where one holds both encoders, the moving average is what V-JEPA
# 2's evaluations and Drive-JEPA's planners read. Tables of sine positions have no use beside rotary ones.
ENCODER_KEYS = KeyTable(
    entries=("target_encoder", "encoder"),
    prefixes=("module.", "backbone."),
    ignored=("pos_embed", "predictor_pos_embed"),
)

# A part of a name that gives a file away, and what to do about it.
FOREIGN_FILES = {
    "agent.": "this looks like a planner's checkpoint: hand it to the agent as checkpoint_path",
    "predictor_blocks.": "this looks like V-JEPA's predictor: read the entry target_encoder or encoder",
    "encoder.layer.": "this looks like Hugging Face's layout: use the original .pt file of V-JEPA 2",
    "cls_token": "this looks like an image transformer (DINOv2, MAE): V-JEPA 2 has no class token",
    "layer1.0.": "this looks like a ResNet, which is no video encoder",
}

PATCH_WEIGHT = "patch_embed.proj.weight"


def load_encoder_weights(encoder: VideoEncoder, path: Union[str, Path], entry: Optional[str] = None) -> str:
    """Load pretrained weights into ``encoder``, all or nothing.

    Args:
        encoder: of the size that the file was trained with.
        path: a V-JEPA 2 checkpoint (public or of Drive-JEPA's pretraining).
        entry: the file's entry to read; by default the first of ``ENCODER_KEYS.entries`` that it has.

    Returns:
        The entry that was read.

    Raises:
        CheckpointError: the file is not such a checkpoint or not of this size; says what differs first, and a way out.
    """
    return load_encoder_contents(encoder, read_checkpoint(path), path, entry)


def load_encoder_contents(
    encoder: VideoEncoder, contents: Mapping[str, Any], path: Union[str, Path], entry: Optional[str] = None
) -> str:
    """As :func:`load_encoder_weights`, from the ``contents`` of a file that was read already; ``path`` names it.

    Raises:
        CheckpointError: they are of no such checkpoint or not of this size.
    """
    try:
        entry = entry or ENCODER_KEYS.choose_entry(contents)
        tensors = ENCODER_KEYS.translate(_tensors(contents, entry))
        load_strictly(encoder, tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path} does not fit the encoder: {error}. {_hint(encoder, contents, entry)}") from error
    return entry


def _tensors(contents: Mapping[str, Any], entry: str) -> Mapping[str, Tensor]:
    found = contents.get(entry)
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"its entry {entry!r} is not a table of tensors")
    return found


def _hint(encoder: VideoEncoder, contents: Mapping[str, Any], entry: Optional[str]) -> str:
    """The likeliest mistake, from the names in the file and the size of its encoder."""
    weights = contents.get(entry) if entry else None
    names = list(_all_names(contents if weights is None else weights))
    for mark, advice in FOREIGN_FILES.items():
        if any(mark in name for name in names):
            return f"Hint: {advice}."
    own = {ENCODER_KEYS.own_name(name): tensor for name, tensor in (weights or {}).items()}
    if not isinstance(own.get(PATCH_WEIGHT), Tensor):
        return "Hint: a V-JEPA 2 checkpoint has an entry target_encoder or encoder, with patch_embed.proj.weight in it."
    sizes = _size_of(own), _size_of(encoder.state_dict())
    if sizes[0] == sizes[1]:
        return f"Hint: the size is right, {sizes[0]}; the file may come from another version of V-JEPA."
    return f"Hint: the file holds {sizes[0]}, the encoder is {sizes[1]}."


def _all_names(contents: Mapping[str, Any]) -> Iterable[str]:
    for name, value in contents.items():
        yield str(name)
        if isinstance(value, Mapping):
            yield from map(str, value)


def _size_of(tensors: Mapping[str, Tensor]) -> str:
    """Width, depth and patch of an encoder, with the preset's name where it is one."""
    patch = tuple(tensors[PATCH_WEIGHT].shape)
    depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    presets = (name for name, preset in ENCODER_PRESETS.items() if (preset.width, preset.depth) == (patch[0], depth))
    return f"{next(presets, 'no preset')} (width {patch[0]}, depth {depth}, patch {list(patch[2:])})"
