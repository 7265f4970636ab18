"""V-JEPA 2 as transformers writes it (``VJEPA2Model``, ``VJEPA2ForVideoClassification``): the hub layout, both ways.

Where V-JEPA 2's own files, and ours, hold queries, keys and values as thirds of one matrix, and one tensor a mask
token, the hub layout has three matrices and one stack. Nothing is computed, so both ways are exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor

from navsim_agents.errors import CheckpointError
from navsim_agents.models.predictor import PredictorConfig
from navsim_agents.models.video_encoder import NUM_CHANNELS, VideoEncoderConfig

MODEL_TYPE = "vjepa2"
ENCODER, PREDICTOR = "encoder", "predictor"
BEGINNINGS = {
    "encoder.embeddings.patch_embeddings.": (ENCODER, "patch_embed."),
    "encoder.layer.": (ENCODER, "blocks."),
    "encoder.layernorm.": (ENCODER, "norm."),
    "predictor.embeddings.predictor_embeddings.": (PREDICTOR, "predictor_embed."),
    "predictor.layer.": (PREDICTOR, "predictor_blocks."),
    "predictor.layernorm.": (PREDICTOR, "predictor_norm."),
    "predictor.proj.": (PREDICTOR, "predictor_proj."),
}
"""Beginning of a hub name → the part that it is of, and how the name begins there."""
HEADS = ("pooler.", "classifier.")
"""Beginnings of what only ``VJEPA2ForVideoClassification`` has, which nothing here needs."""
MASK_TOKENS, OWN_MASK_TOKEN = "predictor.embeddings.mask_tokens", "mask_tokens."
THIRDS = ("query", "key", "value")
THIRD = re.compile(rf"(.+\.)attention\.({'|'.join(THIRDS)})\.(weight|bias)")
JOINED = re.compile(r"(.+\.)attn\.qkv\.(weight|bias)")


class Parts(NamedTuple):
    """Weights in V-JEPA 2's own names."""

    encoder: dict[str, Tensor]
    predictor: dict[str, Tensor]  # empty where the file has none


def is_hub_layout(names: Iterable[str]) -> bool:
    """Whether ``names``, without wrappers, are those of the hub layout."""
    return any(name.startswith("encoder.layer.") for name in names)


def from_hub(tensors: Mapping[str, Tensor]) -> Parts:
    """Hub names become V-JEPA 2's own; a name that the layout does not know stays, among the encoder's.

    Raises:
        CheckpointError: of queries, keys and values one is missing, or they differ in shape.
    """
    parts = Parts({}, {})
    for name, tensor in tensors.items():
        third = THIRD.fullmatch(name)
        part, own = _own_name(third[1] if third else name)
        table: dict[str, Tensor] = getattr(parts, part)
        if name.startswith(HEADS):
            continue
        if name == MASK_TOKENS:
            table.update({f"{OWN_MASK_TOKEN}{number}": token for number, token in enumerate(tensor)})
        elif third is None:
            table[own.replace(".attention.proj.", ".attn.proj.")] = tensor
        elif f"{own}attn.qkv.{third[3]}" not in table:
            table[f"{own}attn.qkv.{third[3]}"] = _joined(tensors, third[1], third[3])
    return parts


def to_hub(parts: Parts) -> dict[str, Tensor]:
    """V-JEPA 2's own names become the hub layout's, for ``VJEPA2Model``."""
    own: dict[str, Tensor] = {}
    for part in (ENCODER, PREDICTOR):
        for name, tensor in getattr(parts, part).items():
            joined = JOINED.fullmatch(name)
            if joined is None:
                own[_hub_name(part, name.replace(".attn.proj.", ".attention.proj."))] = tensor
                continue
            for third, rows in zip(THIRDS, tensor.chunk(len(THIRDS))):
                own[f"{_hub_name(part, joined[1])}attention.{third}.{joined[2]}"] = rows
    tokens = [name for name in own if name.startswith(OWN_MASK_TOKEN)]
    if tokens:
        in_order = sorted(tokens, key=lambda name: int(name[len(OWN_MASK_TOKEN) :]))
        own[MASK_TOKENS] = torch.stack([own.pop(name) for name in in_order])
    return {name: tensor.contiguous() for name, tensor in own.items()}


def hub_config(
    encoder: VideoEncoderConfig, predictor: Optional[PredictorConfig], crop_size: int, num_frames: int
) -> dict[str, Any]:
    """What ``config.json`` says of such networks.

    Args:
        encoder: sizes.
        predictor: sizes; None where no predictor is written.
        crop_size: side [px] of the only pictures whose positions transformers gets right.
        num_frames: of a clip.
    """
    config: dict[str, Any] = {
        "architectures": ["VJEPA2Model"],
        "model_type": MODEL_TYPE,
        "crop_size": crop_size,
        "frames_per_clip": num_frames,
        "in_chans": NUM_CHANNELS,
        "hidden_act": "gelu",
        "qkv_bias": True,
        "initializer_range": encoder.init_std,
        **_sizes(encoder),
    }
    if predictor is not None:
        config.update(
            pred_hidden_size=predictor.width,
            pred_num_hidden_layers=predictor.depth,
            pred_num_attention_heads=predictor.num_heads,
            pred_mlp_ratio=predictor.mlp_width / predictor.width,
            pred_num_mask_tokens=predictor.num_mask_tokens,
            pred_zero_init_mask_tokens=True,
        )
    return config


def check_hub_config(config: Mapping[str, Any], encoder: VideoEncoderConfig) -> None:
    """Refuse weights whose ``config.json`` is of another architecture than ``encoder``; heads leave no trace in shapes.

    Raises:
        CheckpointError: says what differs.
    """
    model_type = config.get("model_type", MODEL_TYPE)
    if model_type != MODEL_TYPE:
        raise CheckpointError(f"its config.json says model_type={model_type!r}, but V-JEPA 2's is {MODEL_TYPE!r}")
    wanted = {**_sizes(encoder), "in_chans": NUM_CHANNELS, "qkv_bias": True, "hidden_act": "gelu"}
    others = [
        f"{name}={config[name]!r} instead of {value!r}"
        for name, value in wanted.items()
        if name in config and not _is_alike(config[name], value)
    ]
    if others:
        raise CheckpointError(f"its config.json is of another architecture: {', '.join(others)}")


def _sizes(encoder: VideoEncoderConfig) -> dict[str, Any]:
    return {
        "hidden_size": encoder.width,
        "num_hidden_layers": encoder.depth,
        "num_attention_heads": encoder.num_heads,
        "mlp_ratio": encoder.mlp_width / encoder.width,
        "patch_size": encoder.patch_size,
        "tubelet_size": encoder.tubelet_size,
        "layer_norm_eps": encoder.norm_eps,
    }


def _is_alike(said: Any, wanted: Any) -> bool:
    if not isinstance(wanted, float):
        return bool(said == wanted)
    return isinstance(said, (int, float)) and abs(said - wanted) <= 1e-3 * wanted


def _own_name(name: str) -> tuple[str, str]:
    """The part that a hub name is of, and the name in it."""
    for beginning, (part, own) in BEGINNINGS.items():
        if name.startswith(beginning):
            return part, own + name[len(beginning) :]
    return PREDICTOR if name == MASK_TOKENS else ENCODER, name


def _hub_name(part: str, name: str) -> str:
    for beginning, (of_part, own) in BEGINNINGS.items():
        if part == of_part and name.startswith(own):
            return beginning + name[len(own) :]
    return name


def _joined(tensors: Mapping[str, Tensor], beginning: str, kind: str) -> Tensor:
    names = [f"{beginning}attention.{third}.{kind}" for third in THIRDS]
    missing = [name for name in names if name not in tensors]
    if missing:
        raise CheckpointError(f"{names[0]} has no {' and no '.join(missing)} beside it")
    thirds = [tensors[name] for name in names]
    if len({third.shape for third in thirds}) > 1:
        raise CheckpointError(f"{', '.join(names)} differ in shape: {', '.join(str(list(t.shape)) for t in thirds)}")
    return torch.cat(thirds)
