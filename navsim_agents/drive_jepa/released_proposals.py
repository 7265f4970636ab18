"""Layout of the released perception-based checkpoints (ViT-L and ResNet34), prefix ``agent._pad_model.``.

They hold the one refiner once for each stage, and with every copy four constants that nothing reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from navsim_agents.drive_jepa.proposal_config import RELEASED_QUIRKS, ProposalAgentConfig
from navsim_agents.errors import CheckpointError
from navsim_agents.models.config import OF_QUERIES, WHOLE

RELEASED_PERCEPTION_BASED: Mapping[str, str] = {
    "agent._pad_model._backbone.img_backbone.": "planner.backbone.encoder.",
    "agent._pad_model._backbone.projector.": "planner.backbone.projector.",
    "agent._pad_model._backbone.img_neck.lateral_convs.0.conv.": "planner.backbone.neck.lateral.",
    "agent._pad_model._backbone.img_neck.fpn_convs.0.conv.": "planner.backbone.neck.smooth.",
    "agent._pad_model._backbone.level_embeds": "planner.backbone.level_embedding",
    "agent._pad_model._backbone.cams_embeds": "planner.backbone.camera_embedding",
    "agent._pad_model.hist_encoding.": "planner.ego_projector.",
    "agent._pad_model.init_feature.weight": "planner.query_embedding",
    "agent._pad_model._trajectory_head.traj_decoder.mlp.": "planner.refiner.decoder.",
    "agent._pad_model._trajectory_head.Bev_refiner.positional_encoding.row_embed.weight": (
        "planner.refiner.row_embedding"
    ),
    "agent._pad_model._trajectory_head.Bev_refiner.positional_encoding.col_embed.weight": (
        "planner.refiner.column_embedding"
    ),
    "agent._pad_model._trajectory_head.Bev_refiner.bev_decoder.layers.0.attentions.0.": (
        "planner.refiner.attention.self_attention."
    ),
    "agent._pad_model._trajectory_head.Bev_refiner.bev_decoder.layers.0.attentions.1.deformable_attention.": (
        "planner.refiner.attention.cross_attention."
    ),
    "agent._pad_model._trajectory_head.Bev_refiner.bev_decoder.layers.0.attentions.1.": (
        "planner.refiner.attention.cross_attention."
    ),
    "agent._pad_model._trajectory_head.Bev_refiner.bev_decoder.layers.0.ffns.0.layers.0.0.": (
        "planner.refiner.attention.ffn.0."
    ),
    "agent._pad_model._trajectory_head.Bev_refiner.bev_decoder.layers.0.ffns.0.layers.1.": (
        "planner.refiner.attention.ffn.3."
    ),
    "agent._pad_model._trajectory_head.Bev_refiner.bev_decoder.layers.0.norms.": "planner.refiner.attention.norms.",
    "agent._pad_model.scorer.pred_score.mlp.": "planner.heads.score.",
    "agent._pad_model.scorer.pred_area.mlp.": "planner.heads.area.",
    "agent._pad_model.scorer.pred_col_agent.mlp.": "planner.heads.collision.",
}
"""Beginning of a name, after :func:`merge_stages`, → beginning of the agent's name; the first that fits counts."""

STAGES = "agent._pad_model._trajectory_head."
CONSTANTS = tuple(
    f"Bev_refiner.bev_decoder.{name}" for name in ("reference_points", "ref_3d", "hybird_ref_2d", "ref_2d")
)


def merge_stages(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keep one of the refiner's copies, under ``_trajectory_head.`` without a number, and none of its constants.

    Raises:
        CheckpointError: the copies do not agree, so the file is not of a planner whose stages share one refiner.
    """
    merged = {name: value for name, value in weights.items() if not name.startswith(STAGES)}
    copies: dict[str, dict[str, Tensor]] = {}
    for name, value in weights.items():
        stage, _, part = name[len(STAGES) :].partition(".")
        if name.startswith(STAGES) and part not in CONSTANTS:
            copies.setdefault(stage, {})[part] = value
    first = next(iter(copies), None)
    for stage, parts in copies.items():
        _require_equal(copies[str(first)], parts, f"stage {stage} and stage {first}")
    kept = copies[first] if first is not None else {}
    return merged | {STAGES + part: value for part, value in kept.items()}


def _require_equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor], which: str) -> None:
    differing = sorted(one.keys() ^ other.keys())
    differing += [name for name in one.keys() & other.keys() if not torch.equal(one[name], other[name])]
    if differing:
        raise CheckpointError(
            f"{which} of the file differ in {differing[0]}, but all stages of this planner share one refiner; "
            "the file is of another planner"
        )


SEEN_BY_ALL: Mapping[str, Any] = {
    "metres_per_unit": 1.0,
    "radians_per_unit": 1.0,
    "decodes_steps": False,
    "scorer": OF_QUERIES,
    "foresees": WHOLE,
}
"""Settings of the planner that leave no trace in the released weights, but that these were trained with."""


def require_released_settings(config: Any) -> None:
    """Refuse settings under which the released weights would load and plan wrongly.

    Raises:
        CheckpointError: a setting is not what the released weights were trained with; names each.
    """
    if not isinstance(config, ProposalAgentConfig):
        return
    wanted = {f"planner.{name}": value for name, value in SEEN_BY_ALL.items()}
    released = RELEASED_QUIRKS[config.pictures.source]
    wanted.update({f"quirks.{name}": value for name, value in asdict(released).items()})
    found = config.seen_by_weights
    others = {key: value for key, value in wanted.items() if found[key] != value}
    if others:
        differing = ", ".join(f"{key}={found[key]}" for key in others)
        settings = " ".join(f"agent.config.{key}={str(value).lower()}" for key, value in others.items())
        raise CheckpointError(
            f"the released weights were trained otherwise than {differing}; use the preset whose name ends in "
            f"_released, or set {settings}"
        )
