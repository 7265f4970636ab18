"""The tables of named encoder and predictor sizes."""

from __future__ import annotations

from dataclasses import replace

from navsim_agents.errors import InputError
from navsim_agents.models.predictor import PredictorConfig
from navsim_agents.models.video_encoder import VideoEncoderConfig
from navsim_agents.models.video_encoder_21 import NUM_LEVELS, VideoEncoder21Config

# tiny is for tests, small for a demonstration on a CPU; vit_s and vit_b are ViT's, vit_l, vit_h and vit_g V-JEPA 2's.
# vjepa21_… are V-JEPA 2.1's, of which G is larger than g; the tiny and the small one are ours.
ENCODER_PRESETS: dict[str, VideoEncoderConfig] = {
    "tiny": VideoEncoderConfig(width=40, depth=2, num_heads=2, mlp_width=96),
    "small": VideoEncoderConfig(width=128, depth=4, num_heads=4, mlp_width=512),
    "vit_s": VideoEncoderConfig(width=384, depth=12, num_heads=6, mlp_width=1536),
    "vit_b": VideoEncoderConfig(width=768, depth=12, num_heads=12, mlp_width=3072),
    "vit_l": VideoEncoderConfig(width=1024, depth=24, num_heads=16, mlp_width=4096),
    "vit_h": VideoEncoderConfig(width=1280, depth=32, num_heads=16, mlp_width=5120),
    "vit_g": VideoEncoderConfig(width=1408, depth=40, num_heads=22, mlp_width=6144),
    "vjepa21_tiny": VideoEncoder21Config(width=40, depth=4, num_heads=2, mlp_width=96),
    "vjepa21_small": VideoEncoder21Config(width=128, depth=4, num_heads=4, mlp_width=512),
    "vjepa21_b": VideoEncoder21Config(width=768, depth=12, num_heads=12, mlp_width=3072),
    "vjepa21_l": VideoEncoder21Config(width=1024, depth=24, num_heads=16, mlp_width=4096),
    "vjepa21_g": VideoEncoder21Config(width=1408, depth=40, num_heads=22, mlp_width=6144),
    "vjepa21_G": VideoEncoder21Config(width=1664, depth=48, num_heads=26, mlp_width=8192),
}


def encoder_preset(name: str, *, activation_checkpointing: bool = False, num_levels: int = 1) -> VideoEncoderConfig:
    """Sizes of a named encoder, whose output is of ``num_levels``: 1, or 4 of V-JEPA 2.1.

    Raises:
        InputError: no preset has this name, or the encoder has not so many levels.
    """
    if name not in ENCODER_PRESETS:
        raise InputError(f"no encoder preset is called {name!r}; choose one of {', '.join(ENCODER_PRESETS)}")
    preset = replace(ENCODER_PRESETS[name], activation_checkpointing=activation_checkpointing)
    if isinstance(preset, VideoEncoder21Config):
        if num_levels not in (1, NUM_LEVELS):
            raise InputError(f"levels={num_levels} of {name!r}: the output is of 1 or of all {NUM_LEVELS}")
        return replace(preset, num_levels=num_levels)
    if num_levels != 1:
        raise InputError(f"levels={num_levels} of {name!r}: only V-JEPA 2.1's encoders (vjepa21_…) have more than 1")
    return preset


# stock is V-JEPA 2's for every size of encoder, vjepa21 V-JEPA 2.1's; the others go with the encoders of their names.
PREDICTOR_PRESETS = {
    "tiny": PredictorConfig(width=24, depth=2, num_heads=2, mlp_width=48),
    "small": PredictorConfig(width=64, depth=4, num_heads=4, mlp_width=256),
    "stock": PredictorConfig(width=384, depth=12, num_heads=12, mlp_width=1536),
    "vjepa21": PredictorConfig(width=384, depth=24, num_heads=12, mlp_width=1536, num_mask_tokens=8),
}


def predictor_preset(name: str) -> PredictorConfig:
    """Sizes of a named predictor.

    Raises:
        InputError: no preset has this name.
    """
    if name not in PREDICTOR_PRESETS:
        raise InputError(f"no predictor preset is called {name!r}; choose one of {', '.join(PREDICTOR_PRESETS)}")
    return PREDICTOR_PRESETS[name]
