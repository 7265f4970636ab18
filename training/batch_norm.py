"""Running statistics of batch norms, computed anew for weights that were not trained themselves."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from navsim_agents.common.files import read_json, reading
from navsim_agents.drive_jepa.agent import resolve_device
from navsim_agents.drive_jepa.runs import AGENT_FILE, RESULT_FILE, build_agent
from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.key_table import load_strictly
from training.dataset import CachedScenes, collate
from training.lightning_module import AgentModule

logger = logging.getLogger(__name__)

DEFAULT_BATCH = 32


def recompute_statistics(contents: Mapping[str, Any], like: Path, run: Path, seed: int) -> dict[str, Any]:
    """``contents`` of a checkpoint with the statistics that its weights measure over a run's training scenes.

    Args:
        contents: with a ``state_dict`` in Lightning's names.
        like: a checkpoint of the same agent, by which the run's settings are checked.
        run: folder that ``drive-jepa train`` wrote; its cache is read.
        seed: of the order of the scenes.

    Raises:
        InputError: the folder is of no finished training, or its agent has no batch norm that is trained.
        CheckpointError: the weights are not of the run's agent.
    """
    agent = build_agent(_agent_of(run), str(like))
    module = AgentModule(agent)
    try:
        load_strictly(module, contents["state_dict"])
    except CheckpointError as error:
        raise CheckpointError(f"the average does not fit the agent of {run}: {error}") from error
    norms = trained_norms(agent)
    if not norms:
        raise InputError(f"recompute_batch_norm={run}, but its agent trains no batch norm; leave it out")
    device = resolve_device("auto")
    measure(agent.to(device), norms, training_batches(run, seed), device)
    logger.info("computed the statistics of %d batch norms anew over the training scenes of %s", len(norms), run)
    return {**contents, "state_dict": {name: value.cpu() for name, value in module.state_dict().items()}}


def trained_norms(agent: nn.Module) -> list[_BatchNorm]:
    """Batch norms whose statistics a training of ``agent`` moves; a frozen encoder's are none of them."""
    agent.train()
    parts = [part for part in agent.modules() if isinstance(part, _BatchNorm)]
    return [part for part in parts if part.training and part.running_mean is not None]


@torch.no_grad()
def measure(agent: Any, norms: list[_BatchNorm], batches: Iterable[dict[str, Tensor]], device: torch.device) -> None:
    """Set the statistics of ``norms`` to the mean over ``batches`` of features; all else is as in planning."""
    agent.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches instead of a moving one
        norm.train()
    for features in batches:
        agent.forward({name: value.to(device) for name, value in features.items()})
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
        norm.eval()


def training_batches(run: Path, seed: int) -> Iterable[dict[str, Tensor]]:
    """Features of the run's training scenes, in random order, in batches of the run's size."""
    with reading(run / RESULT_FILE):
        result = read_json(run / RESULT_FILE)
        folder, logs = Path(result["config"]["cache"]["path"]), result["logs"]["train"]
        size = result["config"]["dataloader"]["params"].get("batch_size", DEFAULT_BATCH)
    scenes = CachedScenes(folder, logs)
    order = torch.Generator().manual_seed(seed)
    loader: Any = DataLoader(scenes, batch_size=size, shuffle=True, generator=order, collate_fn=collate)
    return (features for features, _ in loader)


def _agent_of(run: Path) -> Any:
    if not (run / RESULT_FILE).exists():
        raise InputError(f"{run} holds no {RESULT_FILE}; name the output of a finished drive-jepa train")
    return read_json(run / AGENT_FILE)
