"""Lightning checkpoints of the agents: ours, and those that Drive-JEPA's authors released.

A layout is recognised by the prefix of its keys and read through a table of names, strictly: every weight of the agent
has to be there, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

from torch import Tensor, nn

from navsim_agents.drive_jepa.config import PREFIX, AgentConfig
from navsim_agents.drive_jepa.proposal_config import ProposalAgentConfig
from navsim_agents.drive_jepa.released_proposals import (
    RELEASED_PERCEPTION_BASED,
    merge_stages,
    require_released_settings,
)
from navsim_agents.errors import CheckpointError
from navsim_agents.models.checkpoint_file import read_checkpoint
from navsim_agents.models.key_table import are_tensors, load_strictly

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

RECORD, SEEN = "navsim_drive_jepa", "seen_by_weights"
EARLIER_RELEASE = (
    "it is of an earlier release, which did not write down its quirks and had some by default; say them: "
    "agent.config.quirks.tiled_pillar=… agent.config.quirks.skip_when_invisible=… (true and true of its drive_jepa, "
    "false and true of its drive_jepa_small, true and false of its drive_jepa_resnet34)"
)
ENCODER_HINT = "a pretrained encoder goes into encoder_checkpoint_path"


def load_agent_weights(agent: nn.Module, path: Union[str, Path]) -> None:
    """Load the weights of a whole agent from a Lightning checkpoint; nothing in the file is executed.

    Raises:
        CheckpointError: no such file, an unknown layout, or names or shapes that are not the agent's.
    """
    checkpoint = read_checkpoint(path)
    weights, config = checkpoint.get("state_dict"), getattr(agent, "config", None)
    if not isinstance(weights, Mapping) or not are_tensors(weights):
        raise CheckpointError(f"{path} has no state_dict, so it is no agent's Lightning checkpoint; {ENCODER_HINT}")
    try:
        if any(name.startswith(RELEASED_PERCEPTION_BASED_MARK) for name in weights):
            require_released_settings(config)
        elif isinstance(config, AgentConfig):
            require_settings_of_training(config, checkpoint.get(RECORD))
        load_strictly(agent, translate(weights))
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} does not fit this agent: {error}; use the config (encoder, image size, model_dim…) that it was "
            "trained with"
        ) from error


def training_record(config: AgentConfig) -> dict[str, Any]:
    """What a checkpoint says under ``RECORD`` of the training that it is of."""
    return {SEEN: config.seen_by_weights}


def require_settings_of_training(config: AgentConfig, record: Any) -> None:
    """Refuse settings under which weights of ours would load and plan wrongly.

    Args:
        config: the agent's.
        record: of the checkpoint; None of releases that wrote none. A setting that is younger than it is not in it.

    Raises:
        CheckpointError: a setting is another than in the training, or the file does not say and the user does not.
    """
    seen = record.get(SEEN) if isinstance(record, Mapping) else None
    if not isinstance(seen, Mapping):
        if isinstance(config, ProposalAgentConfig) and not config.quirks.said:
            raise CheckpointError(EARLIER_RELEASE)
        return
    own = config.seen_by_weights
    others = [f"{PREFIX}{name}={str(seen[name]).lower()}" for name in own if name in seen and seen[name] != own[name]]
    if others:
        raise CheckpointError(f"its training had {', '.join(others)}; set this, or load it into an agent like it")


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
