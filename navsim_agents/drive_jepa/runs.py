"""Agents that are there already: of a training's folder, or of a checkpoint and the config that goes with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Optional, Union

import hydra
import numpy as np
import numpy.typing as npt
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from navsim_agents.common.errors import FormerNameError
from navsim_agents.common.files import read_json
from navsim_agents.common.settings import changed
from navsim_agents.errors import InputError, NavsimDriveJepaError

AGENT_FILE = "agent.json"
RESULT_FILE = "result.json"
CHECKPOINT_FOLDER = "checkpoints"
BEST, LAST = "best", "last"
CONFIGS = "navsim_configs"


def load_agent(
    source: Union[str, Path],
    config: Optional[str] = None,
    *,
    settings: Optional[Mapping[str, Any]] = None,
    weights: str = BEST,
    device: Optional[str] = None,
) -> Any:
    """A trained agent, ready to plan.

    Args:
        source: folder that ``drive-jepa train output=…`` wrote; or a checkpoint, of a training or a released one.
        config: for a checkpoint, which agent it is of: a name that ``agent=`` takes, such as ``drive_jepa_released``;
            None where it lies in the folder of its training.
        settings: replace keys of the agent's config; for a folder, only what does not touch the weights.
        weights: of a folder, the ``best`` of the validation or the ``last``.
        device: where it plans: ``auto`` (the default), ``cpu``, ``cuda``.

    Raises:
        InputError: the training is not finished, has not kept these weights, is of a release that called settings
            otherwise, or no config has this name.
        CheckpointError: the weights are not of this agent.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        agent, checkpoint = _of_run(path, weights)
    else:
        agent, checkpoint = _of_file(path, config), str(path)
    own = agent.get("config") or {}
    if settings:
        agent["config"] = changed(own, settings)
    try:
        return build_agent({**agent, "device": device} if device else agent, checkpoint)
    except FormerNameError as error:
        if settings or not path.is_dir():
            raise
        raise InputError(
            f"{path / AGENT_FILE} is of an earlier release; train again, or give its settings their new names, which "
            f"docs/planner.md lists: {error}"
        ) from error


def build_agent(agent_config: Any, checkpoint: Optional[str] = None) -> Any:
    """The agent of a composed group, initialised; with the weights of ``checkpoint`` where one is given.

    Raises:
        NavsimDriveJepaError: as the agent does of its settings.
    """
    settings = dict(agent_config)
    if checkpoint is not None:
        settings["checkpoint_path"] = checkpoint
    try:
        agent = hydra.utils.instantiate(settings)
    except InstantiationException as error:
        if isinstance(error.__cause__, NavsimDriveJepaError):  # the rule that was broken, not where Hydra stood
            raise error.__cause__ from None
        raise
    agent.initialize()
    return agent


def plan(agent: Any, scene: Any) -> npt.NDArray[np.float32]:
    """Poses [T, 3] (x, y, heading; m, rad) that ``agent`` plans, 0.5 s apart, in the ego frame of now.

    Args:
        agent: of :func:`load_agent`, or any other with NAVSIM's interface.
        scene: a scene of ``SceneLoader``, or its agent input; NAVSIM's own serve as well.

    Raises:
        InputError: the scene lacks a camera that the agent looks through, or its values break a rule.
    """
    agent_input = scene.get_agent_input() if hasattr(scene, "get_agent_input") else scene
    poses: npt.NDArray[np.float32] = agent.compute_trajectory(agent_input).poses
    return poses


def last_checkpoint(run: Path) -> Optional[str]:
    """Where an interrupted training goes on, or None."""
    path = run / CHECKPOINT_FOLDER / "last.ckpt"
    return str(path) if path.exists() else None


def _of_file(path: Path, config: Optional[str]) -> dict[str, Any]:
    """The settings of a checkpoint's agent."""
    found = _of_config(config) if config is not None else agent_of_checkpoint(path)
    if found is None:
        raise InputError(f"{path} is no folder of a training; for a checkpoint name its agent: config='drive_jepa'")
    return found


def agent_of_checkpoint(path: Path) -> Optional[dict[str, Any]]:
    """Settings of the agent whose training holds the checkpoint, be it finished or not; None outside of a training."""
    for folder in list(path.parents)[:2]:
        if (folder / AGENT_FILE).exists():
            return dict(read_json(folder / AGENT_FILE))
    return None


def _of_run(run: Path, weights: str) -> tuple[dict[str, Any], str]:
    """The agent's settings and its checkpoint."""
    if not (run / RESULT_FILE).exists():
        raise InputError(f"{run} holds no {RESULT_FILE}; finish it: drive-jepa train output={run} …")
    if weights == BEST:
        return read_json(run / AGENT_FILE), str(run / read_json(run / RESULT_FILE)["best_checkpoint"])
    last = last_checkpoint(run)
    if weights != LAST or last is None:
        raise InputError(f"{run} holds no {CHECKPOINT_FOLDER}/{weights}.ckpt; ask for weights={BEST}")
    return read_json(run / AGENT_FILE), last


def _of_config(name: str) -> dict[str, Any]:
    """The settings that ``agent=<name>`` composes."""
    names = config_names()
    if name not in names:
        raise InputError(f"no agent's config is called {name!r}; choose one of {', '.join(names)}")
    with hydra.initialize_config_module(CONFIGS, version_base="1.2"):
        composed = hydra.compose(f"agent/{name}")
    agent: Any = OmegaConf.to_container(composed.agent, resolve=True)
    return dict(agent)


def config_names() -> list[str]:
    """What ``agent=`` takes."""
    spec = find_spec(f"{CONFIGS}.agent")
    folders = () if spec is None else spec.submodule_search_locations or ()
    return sorted(path.stem for folder in folders for path in Path(folder).glob("*.yaml"))


def training_digest(run: Path) -> str:
    """Tells a run (its folder, or a checkpoint) from another training in its place; empty where nothing is."""
    told = run / RESULT_FILE if run.is_dir() else run
    return hashlib.sha256(told.read_bytes()).hexdigest() if told.exists() else ""
