"""Files of an encoder's weights in the layouts that others read; tensors are renamed, cut and joined, all exactly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor

from navsim_agents.common.files import whole_file, write_bytes, write_json
from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.checkpoint import (
    ENCODER_KEYS,
    PATCH_WEIGHT,
    WRAPPERS,
    describe,
    encoder_tensors,
    generation_of,
    is_hub_file,
    is_video_encoder,
    parts_of,
)
from navsim_agents.models.hub_layout import OWN_MASK_TOKEN, Parts, hub_config, to_hub
from navsim_agents.models.predictor import PredictorConfig
from navsim_agents.models.presets import ENCODER_PRESETS, PREDICTOR_PRESETS
from navsim_agents.models.video_encoder import VideoEncoderConfig
from navsim_agents.models.video_encoder_21 import VideoEncoder21Config
from navsim_agents.models.weight_file import CONFIG_FILE, SAFETENSORS, WEIGHTS_FILE, config_beside, read_weights

OURS, VJEPA2, HUB = LAYOUTS = ("ours", "vjepa2", "hub")
METADATA = {"format": "pt"}
"""What transformers asks of a ``.safetensors`` file."""


class Heads(NamedTuple):
    """Attention heads, of which weights keep no trace; None: as a config beside the weights, or a preset, has them."""

    encoder: Optional[int] = None
    predictor: Optional[int] = None


class Source(NamedTuple):
    """An encoder, and the predictor that lies in the same file."""

    entry: str  # that the encoder was read from
    parts: Parts
    config: Mapping[str, Any]  # of the hub layout; empty for others


def read_source(path: Path, entry: Optional[str] = None) -> Source:
    """Encoder and predictor of a file in any layout, under V-JEPA's own names.

    Raises:
        CheckpointError: it cannot be read, or holds no video encoder.
    """
    contents = read_weights(path)
    try:
        found, encoder = encoder_tensors(contents, entry)
        if not is_video_encoder(encoder):
            raise CheckpointError(f"no {PATCH_WEIGHT} of a video encoder is in it")
        predictor = parts_of(contents).predictor if is_hub_file(contents) else contents.get("predictor", {})
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be converted: {error}; give a file of V-JEPA 2 or 2.1") from error
    return Source(found, Parts(encoder, ENCODER_KEYS.translate(predictor)), config_beside(path) or {})


def write_own(path: Path, source: Source) -> None:
    """The encoder's state dict alone, as ``VideoEncoder.load_state_dict`` takes it."""
    _save(path, source.parts.encoder)


def write_vjepa(path: Path, source: Source) -> None:
    """V-JEPA's own layout: the encoder under each entry that its loaders read, stored once; the predictor beside it."""
    is_21 = generation_of(source.parts.encoder) == VideoEncoder21Config.GENERATION
    entries = ("encoder", "target_encoder", *(["ema_encoder"] if is_21 else []))
    contents = {entry: _wrapped(source.parts.encoder) for entry in entries}
    if source.parts.predictor:
        contents["predictor"] = _wrapped(source.parts.predictor)
    _save(path, contents)


def write_hub(path: Path, source: Source, heads: Heads, crop_size: int, num_frames: int) -> None:
    """``model.safetensors`` and, before it, the ``config.json`` beside it, for transformers' ``VJEPA2Model``.

    Args:
        path: of the weights.
        source: of V-JEPA 2.
        heads: of both networks.
        crop_size: side [px] of the pictures, as transformers takes positions from it.
        num_frames: of a clip.

    Raises:
        CheckpointError: it is of V-JEPA 2.1, which transformers has not.
        InputError: the number of heads is not known.
    """
    encoder, predictor = source.parts
    if generation_of(encoder) != VideoEncoderConfig.GENERATION:
        raise CheckpointError(
            f"the file holds {describe(encoder)}, for which there is no hub layout; write layout={OURS} or {VJEPA2}"
        )
    sizes = encoder_sizes(encoder, heads.encoder or source.config.get("num_attention_heads"))
    predictor_heads = heads.predictor or source.config.get("pred_num_attention_heads")
    predictor_config = predictor_sizes(predictor, predictor_heads) if predictor else None
    write_json(path.with_name(CONFIG_FILE), hub_config(sizes, predictor_config, crop_size, num_frames))
    from safetensors.torch import save

    write_bytes(path, save(to_hub(source.parts), METADATA))


def encoder_sizes(tensors: Mapping[str, Tensor], num_heads: Optional[int] = None) -> VideoEncoderConfig:
    """Sizes of a V-JEPA 2 encoder from the shapes of its weights, and heads of a preset where they are not given.

    Raises:
        InputError: no preset has these sizes.
    """
    patch = tensors[PATCH_WEIGHT]
    sizes: dict[str, Any] = {
        "width": len(patch),
        "depth": _depth(tensors, "blocks."),
        "mlp_width": len(tensors["blocks.0.mlp.fc1.bias"]),
    }
    found = num_heads or _heads_of_preset(ENCODER_PRESETS, sizes, "num_heads")
    return VideoEncoderConfig(**sizes, num_heads=found, tubelet_size=patch.shape[2], patch_size=patch.shape[3])


def predictor_sizes(tensors: Mapping[str, Tensor], num_heads: Optional[int] = None) -> PredictorConfig:
    """Sizes of a V-JEPA 2 predictor, as :func:`encoder_sizes`.

    Raises:
        InputError: no preset has these sizes.
    """
    sizes: dict[str, Any] = {
        "width": len(tensors["predictor_embed.bias"]),
        "depth": _depth(tensors, "predictor_blocks."),
        "mlp_width": len(tensors["predictor_blocks.0.mlp.fc1.bias"]),
    }
    found = num_heads or _heads_of_preset(PREDICTOR_PRESETS, sizes, "predictor_heads")
    tokens = sum(name.startswith(OWN_MASK_TOKEN) for name in tensors)
    return PredictorConfig(**sizes, num_heads=found, num_mask_tokens=tokens)


def check_place(path: Path, layout: str) -> None:
    """Refuse a name that readers of ``layout`` would not find or not understand.

    Raises:
        InputError: says the name that they expect.
    """
    if layout == HUB and path.name != WEIGHTS_FILE:
        raise InputError(
            f"output={path}, but transformers reads {WEIGHTS_FILE} of a folder; write {path}/{WEIGHTS_FILE}"
        )
    if layout != HUB and path.suffix == SAFETENSORS:
        raise InputError(f"output={path}, but layout={layout} is a file of torch; let the name end in .pt")


def _heads_of_preset(presets: Mapping[str, Any], sizes: Mapping[str, int], setting: str) -> int:
    for preset in presets.values():
        if all(getattr(preset, name) == size for name, size in sizes.items()):
            return int(preset.num_heads)
    words = ", ".join(f"{name} {size}" for name, size in sizes.items())
    raise InputError(f"no preset has {words}, and weights do not tell how many heads attend; set {setting}=…")


def _depth(tensors: Mapping[str, Tensor], blocks: str) -> int:
    return len({name[len(blocks) :].partition(".")[0] for name in tensors if name.startswith(blocks)})


def _wrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {WRAPPERS + name: tensor for name, tensor in tensors.items()}


def _save(path: Path, contents: Mapping[str, Any]) -> None:
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        torch.save(contents, file)
