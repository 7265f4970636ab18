"""The tables of named encoder and predictor sizes."""

from __future__ import annotations

from dataclasses import replace

from navsim_agents.errors import InputError
from navsim_agents.models.predictor import PredictorConfig
from navsim_agents.models.video_encoder import VideoEncoderConfig

# tiny is for tests, small for a demonstration on a CPU; vit_s and vit_b are ViT's, vit_l, vit_h and vit_g V-JEPA 2's.
ENCODER_PRESETS = {
    "tiny": VideoEncoderConfig(width=40, depth=2, num_heads=2, mlp_width=96),
    "small": VideoEncoderConfig(width=128, depth=4, num_heads=4, mlp_width=512),
    "vit_s": VideoEncoderConfig(width=384, depth=12, num_heads=6, mlp_width=1536),
    "vit_b": VideoEncoderConfig(width=768, depth=12, num_heads=12, mlp_width=3072),
    "vit_l": VideoEncoderConfig(width=1024, depth=24, num_heads=16, mlp_width=4096),
    "vit_h": VideoEncoderConfig(width=1280, depth=32, num_heads=16, mlp_width=5120),
    "vit_g": VideoEncoderConfig(width=1408, depth=40, num_heads=22, mlp_width=6144),
}


def encoder_preset(name: str, *, activation_checkpointing: bool = False) -> VideoEncoderConfig:
    """Sizes of a named encoder.

    Raises:
        InputError: no preset has this name.
    """
    if name not in ENCODER_PRESETS:
        raise InputError(f"no encoder preset is called {name!r}; choose one of {', '.join(ENCODER_PRESETS)}")
    return replace(ENCODER_PRESETS[name], activation_checkpointing=activation_checkpointing)


# stock is V-JEPA 2's for every size of encoder; the others go with the encoders of their names.
PREDICTOR_PRESETS = {
    "tiny": PredictorConfig(width=24, depth=2, num_heads=2, mlp_width=48),
    "small": PredictorConfig(width=64, depth=4, num_heads=4, mlp_width=256),
    "stock": PredictorConfig(width=384, depth=12, num_heads=12, mlp_width=1536),
}


def predictor_preset(name: str) -> PredictorConfig:
    """Sizes of a named predictor.

    Raises:
        InputError: no preset has this name.
    """
    if name not in PREDICTOR_PRESETS:
        raise InputError(f"no predictor preset is called {name!r}; choose one of {', '.join(PREDICTOR_PRESETS)}")
    return PREDICTOR_PRESETS[name]
