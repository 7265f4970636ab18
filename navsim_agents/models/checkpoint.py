"""Pretrained weights for the video encoder, in whichever layout they come.

V-JEPA 2's and V-JEPA 2.1's own files, Drive-JEPA's driving pretraining and ours; transformers' hub layout; a state dict
alone. Layouts are told apart by their names. The file has to be of the encoder's generation and size.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional, Union

from torch import Tensor

from navsim_agents.errors import CheckpointError
from navsim_agents.models.config import ENTRIES
from navsim_agents.models.hub_layout import Parts, check_hub_config, from_hub, is_hub_layout
from navsim_agents.models.key_table import KeyTable, are_tensors, load_strictly, shown
from navsim_agents.models.presets import ENCODER_PRESETS
from navsim_agents.models.video_encoder import VideoEncoder, VideoEncoderConfig
from navsim_agents.models.video_encoder_21 import VideoEncoder21Config
from navsim_agents.models.weight_file import config_beside, read_weights

logger = logging.getLogger(__name__)

# Where a file holds several encoders, the moving average is what V-JEPA 2's evaluations and Drive-JEPA's planners read.
# Beside the moving average of a distilled V-JEPA 2.1 encoder the target may be its teacher. Tables of sine positions
# have no use beside rotary ones.
ENCODER_KEYS = KeyTable(
    entries=ENTRIES,
    prefixes=("module.", "backbone.", "vjepa2."),
    ignored=("pos_embed", "predictor_pos_embed"),
)
WRAPPERS = "module.backbone."
"""In front of every name in V-JEPA's files: data-parallel, then a wrapper for several clip lengths."""
TRAINING_ENTRY = "state_dict"
ENCODERS_OF_PLANNERS = ("agent.planner.encoder.", "agent.planner.backbone.encoder.")
"""In front of an encoder's names in a training's checkpoint: the perception-free planner's, and the full one's."""
WHOLE_FILE = "the whole file"
"""In the place of an entry's name, where a file has no entries."""

# A part of a name that gives a file away, and what to do about it.
FOREIGN_FILES = {
    "agent.": "this looks like a planner's checkpoint: hand it to the agent as checkpoint_path",
    "predictor_blocks.": "this looks like V-JEPA's predictor: read the entry target_encoder or encoder",
    "cls_token": "this looks like an image transformer of timm's (DINOv2, MAE): V-JEPA has no class token",
    "layer1.0.": "this looks like a ResNet, which is no video encoder",
    "encoder.layer.": "this looks like the hub layout of transformers' VJEPA2Model, but not like a whole file of it",
}
NAMES_OF_21 = ("norms_block.", "img_mod_embed", "video_mod_embed", "patch_embed_img.")
"""Beginnings of what V-JEPA 2.1 has and V-JEPA 2 has not."""

PATCH_WEIGHT = "patch_embed.proj.weight"
VIDEO_PATCH_AXES = 5


def load_encoder_weights(encoder: VideoEncoder, path: Union[str, Path], entry: Optional[str] = None) -> str:
    """Load pretrained weights into ``encoder``, all or nothing.

    Args:
        encoder: of the generation and size that the file was trained with.
        path: a file of V-JEPA 2 or 2.1 (public, of Drive-JEPA's pretraining or ours), of the hub layout, a folder
            with the latter, or a checkpoint of a planner of ours, whose encoder it is then.
        entry: the file's entry to read; by default the first of ``ENCODER_KEYS.entries`` that it has.

    Returns:
        The entry that was read, or ``WHOLE_FILE``.

    Raises:
        CheckpointError: the file is no such one or not of this encoder; says what differs first, and a way out.
    """
    return load_encoder_contents(encoder, read_weights(path), path, entry)


def load_encoder_contents(
    encoder: VideoEncoder, contents: Mapping[str, Any], path: Union[str, Path], entry: Optional[str] = None
) -> str:
    """As :func:`load_encoder_weights`, from the ``contents`` of a file that was read already; ``path`` names it.

    Raises:
        CheckpointError: they are of no such checkpoint or not of this encoder.
    """
    try:
        found, tensors = encoder_tensors(contents, entry)
        _require_generation(encoder.config, tensors)
        config = config_beside(path) if is_hub_file(contents) else None
        if config is not None:
            check_hub_config(config, encoder.config)
        load_strictly(encoder, tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path} does not fit the encoder: {error}. {_hint(encoder, contents, entry)}") from error
    logger.info("%s: %s read for the encoder, which is %s", path, found, describe(tensors))
    return found


def encoder_tensors(contents: Mapping[str, Any], entry: Optional[str] = None) -> tuple[str, dict[str, Tensor]]:
    """An encoder of a file's ``contents`` under V-JEPA's own names, and the entry that it stands in.

    Args:
        contents: of any layout.
        entry: as of :func:`load_encoder_weights`.

    Raises:
        CheckpointError: there is no such entry, or it is no table of tensors.
    """
    if entry is None and _is_table(contents):
        return WHOLE_FILE, parts_of(contents).encoder
    if entry in (None, TRAINING_ENTRY):
        trained = _of_planner(contents.get(TRAINING_ENTRY))
        if trained:
            return TRAINING_ENTRY, trained
    found = entry or ENCODER_KEYS.choose_entry(contents)
    return found, parts_of(_tensors(contents, found)).encoder


def _of_planner(tensors: Any) -> dict[str, Tensor]:
    """The encoder that a planner of this package has trained; empty where there is none."""
    for prefix in ENCODERS_OF_PLANNERS if isinstance(tensors, Mapping) else ():
        found = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
        if PATCH_WEIGHT in found:
            return found
    return {}


def parts_of(tensors: Mapping[str, Tensor]) -> Parts:
    """A table of either layout under V-JEPA's own names; only the hub layout has a predictor in the same table.

    Raises:
        CheckpointError: two names mean the same tensor, or it is a broken hub layout.
    """
    own = ENCODER_KEYS.translate(tensors)
    return from_hub(own) if is_hub_layout(own) else Parts(own, {})


def generation_of(tensors: Mapping[str, Tensor]) -> str:
    """Whether V-JEPA 2 or V-JEPA 2.1 has an encoder of such names."""
    is_21 = any(name.startswith(NAMES_OF_21) for name in tensors)
    return (VideoEncoder21Config if is_21 else VideoEncoderConfig).GENERATION


def preset_of(tensors: Mapping[str, Tensor]) -> Optional[str]:
    """Name of the preset that an encoder with these ``tensors`` has the sizes of, as far as they tell."""
    generation, (width, depth) = generation_of(tensors), _width_and_depth(tensors)
    for name, preset in ENCODER_PRESETS.items():
        if (preset.GENERATION, preset.width, preset.depth) == (generation, width, depth):
            return name
    return None


def describe(tensors: Mapping[str, Tensor]) -> str:
    """Generation, preset, width, depth and patch of an encoder."""
    width, depth = _width_and_depth(tensors)
    size = f"(width {width}, depth {depth}, patch {list(tensors[PATCH_WEIGHT].shape[2:])})"
    return f"{preset_of(tensors) or 'no preset'} {size} of {generation_of(tensors)}"


def _width_and_depth(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    return len(tensors[PATCH_WEIGHT]), len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})


def _is_table(contents: Mapping[str, Any]) -> bool:
    return bool(contents) and are_tensors(contents)


def _tensors(contents: Mapping[str, Any], entry: str) -> Mapping[str, Tensor]:
    if _is_table(contents):
        raise CheckpointError(f"it is one table of tensors and has no entries, so leave entry={entry} out")
    if entry not in contents:
        raise CheckpointError(f"the file has no entry {entry}; it holds {shown(list(map(str, contents)))}")
    found = contents[entry]
    if not are_tensors(found):
        raise CheckpointError(f"its entry {entry!r} is not a table of tensors by name")
    tensors: Mapping[str, Tensor] = found
    return tensors


def is_video_encoder(tensors: Mapping[str, Tensor]) -> bool:
    """Whether patches are embedded as those of videos are."""
    return PATCH_WEIGHT in tensors and tensors[PATCH_WEIGHT].ndim == VIDEO_PATCH_AXES


def _require_generation(config: VideoEncoderConfig, tensors: Mapping[str, Tensor]) -> None:
    generation = generation_of(tensors)
    if generation != config.GENERATION and is_video_encoder(tensors):
        raise CheckpointError(f"it is a file of {generation}, but the encoder asked for is of {config.GENERATION}")


def _hint(encoder: VideoEncoder, contents: Mapping[str, Any], entry: Optional[str]) -> str:
    """The likeliest mistake, from the names in the file and the size of its encoder."""
    try:
        _, own = encoder_tensors(contents, entry)
    except CheckpointError:
        own = {}
    names = list(own or _all_names(contents))
    for mark, advice in FOREIGN_FILES.items():
        if any(mark in name for name in names):
            return f"Hint: {advice}."
    if PATCH_WEIGHT in own and not is_video_encoder(own):
        return "Hint: this looks like an image transformer of timm's: name the encoder timm:<name>."
    if PATCH_WEIGHT not in own:
        return "Hint: a V-JEPA 2 checkpoint has an entry target_encoder or encoder, with patch_embed.proj.weight in it."
    sizes = describe(own), describe(encoder.state_dict())
    if sizes[0] == sizes[1]:
        return f"Hint: the size is right, {sizes[0]}; the file may come from another version of V-JEPA."
    layout = ", in the hub layout" if is_hub_file(contents) else ""
    preset = preset_of(own)
    way_out = f"; name the encoder {preset}" if preset else ""
    return f"Hint: the file holds {sizes[0]}{layout}, the encoder is {sizes[1]}{way_out}."


def is_hub_file(contents: Mapping[str, Any]) -> bool:
    """Whether the file is one table in the hub layout."""
    return _is_table(contents) and is_hub_layout([ENCODER_KEYS.own_name(name) for name in contents])


def _all_names(contents: Mapping[str, Any]) -> Iterable[str]:
    for name, value in contents.items():
        yield str(name)
        if isinstance(value, Mapping):
            yield from map(str, value)
