"""Lightning checkpoints of the agents: ours, and those that Drive-JEPA's authors released.

A layout is recognised by the prefix of its keys and read through a table of names, strictly: every weight of the agent
has to be there, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

from torch import Tensor, nn

from navsim_agents.drive_jepa.released_proposals import (
    RELEASED_PERCEPTION_BASED,
    merge_stages,
    require_released_settings,
)
from navsim_agents.errors import CheckpointError
from navsim_agents.models.checkpoint_file import read_checkpoint
from navsim_agents.models.key_table import load_strictly

Prefixes = Mapping[str, str]
"""Beginning of a name in the file → beginning of the name in the agent's state dict."""

OWN: Prefixes = {"agent.planner.": "planner."}
RELEASED_PERCEPTION_FREE: Prefixes = {
    "agent._model.image_encoder.": "planner.encoder.",
    "agent._model.image_fc.": "planner.projector.",
    "agent._model._status_encoding.": "planner.status_projector.",
    "agent._model._keyval_embedding.weight": "planner.kv_embedding",
    "agent._model._query_embedding.weight": "planner.query_embedding",
    "agent._model._transformer.": "planner.transformer.",
    "agent._model._trajectory_head._mlp.": "planner.head.",
}
RELEASED_PERCEPTION_BASED_MARK = "agent._pad_model."
LAYOUTS: Mapping[str, Prefixes] = {
    "agent.planner.": OWN,
    "agent._model.": RELEASED_PERCEPTION_FREE,
    RELEASED_PERCEPTION_BASED_MARK: RELEASED_PERCEPTION_BASED,
}
"""Mark of a layout → its names."""

ENCODER_HINT = "a pretrained encoder goes into encoder_checkpoint_path"


def load_agent_weights(agent: nn.Module, path: Union[str, Path]) -> None:
    """Load the weights of a whole agent from a Lightning checkpoint; nothing in the file is executed.

    Raises:
        CheckpointError: no such file, an unknown layout, or names or shapes that are not the agent's.
    """
    weights = read_checkpoint(path).get("state_dict")
    if not isinstance(weights, Mapping):
        raise CheckpointError(f"{path} has no state_dict, so it is no agent's Lightning checkpoint; {ENCODER_HINT}")
    try:
        if any(name.startswith(RELEASED_PERCEPTION_BASED_MARK) for name in weights):
            require_released_settings(getattr(agent, "config", None))
        load_strictly(agent, translate(weights))
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} does not fit this agent: {error}; use the config (encoder, image size, model_dim…) that it was "
            "trained with"
        ) from error


def translate(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """Give ``weights`` the agent's names; one that the layout does not know keeps its own.

    Raises:
        CheckpointError: no known layout, or stages that should be copies of one another differ.
    """
    for mark, prefixes in LAYOUTS.items():
        if any(name.startswith(mark) for name in weights):
            return {own_name(name, prefixes): value for name, value in merge_stages(weights).items()}
    first = next(iter(weights), "nothing")
    raise CheckpointError(f"its names start with {' or '.join(LAYOUTS)} in no case (but {first}); {ENCODER_HINT}")


def own_name(name: str, prefixes: Prefixes) -> str:
    """Replace the beginning that ``prefixes`` knows."""
    for foreign, own in prefixes.items():
        if name.startswith(foreign):
            return own + name[len(foreign) :]
    return name
