"""The encoder that a config names: a preset of the video encoder, or ``timm:`` and one of timm's transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

from navsim_agents.models.checkpoint import WHOLE_FILE, load_encoder_weights
from navsim_agents.models.config import TIMM_PREFIX, USUAL_READING, PositionReading
from navsim_agents.models.presets import encoder_preset
from navsim_agents.models.timm_encoder import TimmVideoEncoder
from navsim_agents.models.timm_weights import load_timm_weights
from navsim_agents.models.video_encoder import VideoEncoder

AnyEncoder = Union[VideoEncoder, TimmVideoEncoder]


def build_encoder(
    name: str,
    image_size: tuple[int, int],
    *,
    activation_checkpointing: bool = False,
    pretrained: bool = False,
    num_levels: int = 1,
) -> AnyEncoder:
    """Encoder called ``name``.

    Args:
        name: one of ``ENCODER_PRESETS``, or ``timm:<name>``.
        image_size: height and width [px] of a frame.
        activation_checkpointing: recompute activations in the backward pass.
        pretrained: let timm download its weights; a preset has none to download.
        num_levels: of the output: 1, or 4 of V-JEPA 2.1's encoders.

    Raises:
        InputError: no such encoder, or the image does not fit it, or it has not so many levels.
    """
    if name.startswith(TIMM_PREFIX):
        return TimmVideoEncoder(
            name[len(TIMM_PREFIX) :],
            image_size,
            pretrained=pretrained,
            activation_checkpointing=activation_checkpointing,
        )
    return encoder_preset(name, activation_checkpointing=activation_checkpointing, num_levels=num_levels).build()


def load_encoder(
    name: str,
    path: Optional[Union[str, Path]] = None,
    *,
    image_size: tuple[int, int] = (256, 512),
    entry: Optional[str] = None,
    num_levels: int = 1,
    positions: PositionReading = USUAL_READING,
) -> AnyEncoder:
    """Encoder called ``name`` for inference: clips [B, 3, T, H, W] after ``PixelNormalize`` become tokens [B, N, D].

    Args:
        name: ``vit_l``, another of ``ENCODER_PRESETS``, or ``timm:<name>``.
        path: pretrained weights, of V-JEPA 2, Drive-JEPA or ``drive-jepa pretrain``; random weights without.
        image_size: height and width [px]; only timm's encoders need to know them.
        entry: of a V-JEPA checkpoint, which of its encoders: ``target_encoder`` and the like; None: the usual one.
        num_levels: of the output: 1, or 4 of V-JEPA 2.1's encoders, whose tokens are four times as wide.
        positions: of a timm encoder's file, how its table is read for pictures of another size.

    Raises:
        InputError: no such encoder.
        CheckpointError: the weights are not of this encoder.
    """
    encoder = build_encoder(name, image_size, num_levels=num_levels)
    if path is not None:
        load_pretrained(encoder, Path(path).expanduser(), entry, positions)
    return encoder.eval()


def load_pretrained(
    encoder: AnyEncoder,
    path: Union[str, Path],
    entry: Optional[str] = None,
    positions: PositionReading = USUAL_READING,
) -> str:
    """Load pretrained weights of either kind of encoder, all or nothing; the rest as of :func:`load_encoder`.

    Returns:
        What was read, in words.

    Raises:
        CheckpointError: the file does not fit.
    """
    if isinstance(encoder, TimmVideoEncoder):
        done = load_timm_weights(encoder.network, path, positions)
        return f"{WHOLE_FILE} {path}" + (f", {done}" if done else "")
    return f"{load_encoder_weights(encoder, path, entry)} of {path}".replace(f"{WHOLE_FILE} of", WHOLE_FILE)
