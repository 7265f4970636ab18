"""The encoder that a config names: a preset of the video encoder, or ``timm:`` and one of timm's transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

from navsim_agents.models.checkpoint import load_encoder_weights
from navsim_agents.models.config import TIMM_PREFIX
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.timm_encoder import TimmVideoEncoder
from navsim_agents.models.timm_weights import load_timm_weights
from navsim_agents.models.video_encoder import VideoEncoder

AnyEncoder = Union[VideoEncoder, TimmVideoEncoder]


def build_encoder(
    name: str, image_size: tuple[int, int], *, activation_checkpointing: bool = False, pretrained: bool = False
) -> AnyEncoder:
    """Encoder called ``name``.

    Args:
        name: one of ``ENCODER_PRESETS``, or ``timm:<name>``.
        image_size: height and width [px] of a frame.
        activation_checkpointing: recompute activations in the backward pass.
        pretrained: let timm download its weights; a preset has none to download.

    Raises:
        InputError: no such encoder, or the image does not fit it.
    """
    if name.startswith(TIMM_PREFIX):
        return TimmVideoEncoder(
            name[len(TIMM_PREFIX) :],
            image_size,
            pretrained=pretrained,
            activation_checkpointing=activation_checkpointing,
        )
    return VideoEncoder(encoder_preset(name, activation_checkpointing=activation_checkpointing))


def load_encoder(
    name: str, path: Optional[Union[str, Path]] = None, *, image_size: tuple[int, int] = (256, 512)
) -> AnyEncoder:
    """Encoder called ``name`` for inference: clips [B, 3, T, H, W] after ``PixelNormalize`` become tokens [B, N, D].

    Args:
        name: ``vit_l``, another of ``ENCODER_PRESETS``, or ``timm:<name>``.
        path: pretrained weights, of V-JEPA 2, Drive-JEPA or ``drive-jepa pretrain``; random weights without.
        image_size: height and width [px]; only timm's encoders need to know them.

    Raises:
        InputError: no such encoder.
        CheckpointError: the weights are not of this encoder.
    """
    encoder = build_encoder(name, image_size)
    if path is not None:
        load_pretrained(encoder, Path(path).expanduser())
    return encoder.eval()


def load_pretrained(encoder: AnyEncoder, path: Union[str, Path]) -> None:
    """Load pretrained weights of either kind of encoder, all or nothing.

    Raises:
        CheckpointError: the file does not fit.
    """
    if isinstance(encoder, TimmVideoEncoder):
        load_timm_weights(encoder.network, path)
    else:
        load_encoder_weights(encoder, path)
