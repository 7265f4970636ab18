"""Files in the hub layout, written by hand here and without ``navsim_agents.models.hub_layout``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from navsim_agents.models.predictor import Predictor
from navsim_agents.models.presets import predictor_preset
from navsim_agents.models.video_encoder import VideoEncoder

TINY_CONFIG = {
    "model_type": "vjepa2",
    "hidden_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "mlp_ratio": 2.4,
    "patch_size": 16,
    "tubelet_size": 2,
    "crop_size": 64,
    "layer_norm_eps": 1e-06,
    "hidden_act": "gelu",
    "qkv_bias": True,
    "in_chans": 3,
}


def tiny_predictor(seed: int, num_mask_tokens: int = 3) -> Predictor:
    """With mask tokens that differ."""
    torch.manual_seed(seed)
    predictor = Predictor(replace(predictor_preset("tiny"), num_mask_tokens=num_mask_tokens), 40)
    for token in predictor.mask_tokens:
        torch.nn.init.normal_(token)
    return predictor


def in_hub_names(encoder: VideoEncoder, predictor: Predictor) -> dict[str, Tensor]:
    """What ``VJEPA2Model`` calls the tensors of both, by an obvious loop."""
    own, theirs, foreign = encoder.state_dict(), predictor.state_dict(), {}
    for kind in ("weight", "bias"):
        foreign[f"encoder.embeddings.patch_embeddings.proj.{kind}"] = own[f"patch_embed.proj.{kind}"]
        foreign[f"encoder.layernorm.{kind}"] = own[f"norm.{kind}"]
        foreign[f"predictor.embeddings.predictor_embeddings.{kind}"] = theirs[f"predictor_embed.{kind}"]
        foreign[f"predictor.layernorm.{kind}"] = theirs[f"predictor_norm.{kind}"]
        foreign[f"predictor.proj.{kind}"] = theirs[f"predictor_proj.{kind}"]
    foreign["predictor.embeddings.mask_tokens"] = torch.stack([token.data for token in predictor.mask_tokens])
    for table, part, blocks in ((own, "encoder", "blocks"), (theirs, "predictor", "predictor_blocks")):
        for number in range(2):
            at, to = f"{blocks}.{number}", f"{part}.layer.{number}"
            for kind in ("weight", "bias"):
                joined = table[f"{at}.attn.qkv.{kind}"]
                width = len(joined) // 3
                for place, third in enumerate(("query", "key", "value")):
                    foreign[f"{to}.attention.{third}.{kind}"] = joined[place * width : (place + 1) * width]
                foreign[f"{to}.attention.proj.{kind}"] = table[f"{at}.attn.proj.{kind}"]
                for layer in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                    foreign[f"{to}.{layer}.{kind}"] = table[f"{at}.{layer}.{kind}"]
    return {name: tensor.detach().clone().contiguous() for name, tensor in foreign.items()}


def write_hub(folder: Path, tensors: dict[str, Tensor], **changes: Any) -> Path:
    """A folder as ``save_pretrained`` writes it; ``changes`` of its config."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**TINY_CONFIG, **changes}))
    return folder
