"""Several checkpoints of one agent as rows of one table: named by their steps, their features computed once."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
from torch import Tensor

from navsim_agents.common.settings import changed
from navsim_agents.drive_jepa.checkpoint_average import AVERAGED
from navsim_agents.drive_jepa.checkpoint_files import find_checkpoints
from navsim_agents.drive_jepa.runs import agent_of_checkpoint, build_agent
from navsim_agents.errors import InputError
from navsim_agents.models.checkpoint_file import open_checkpoint

REMEMBERED = 4
"""Inputs whose features are kept: a scene's, and those of the frames before it, which momentum plans again."""
STATUS = ("ego_pose", "ego_velocity", "ego_acceleration", "driving_command")


def load_checkpoints(name: str, given: Any, agent: Any, settings: Optional[Mapping[str, Any]]) -> dict[str, Any]:
    """An agent for each checkpoint, ready to plan, by its name in the table.

    Args:
        name: with which the rows begin.
        given: a path, a pattern, or a list of these.
        agent: settings of the agent that they are of; those of a training that holds the file go before it.
        settings: replace keys of the agent's config.

    Raises:
        InputError: there is no such file, or nothing says which agent it is of.
        CheckpointError: weights are damaged, or not of their agent.
    """
    labels: dict[Path, Optional[str]] = {}
    shared: dict[str, SharedFeatures] = {}
    agents = []
    for path in find_checkpoints(given, f"checkpoints.{name}"):
        with open_checkpoint(path) as contents:
            labels[path] = _label(contents)
            row_names(name, labels)  # refuses names that come twice before the weights are loaded
            agents.append(_agent_of(name, path, agent, settings, shared))
    return dict(zip(row_names(name, labels).values(), agents))


def _agent_of(
    name: str,
    path: Path,
    agent: Any,
    settings: Optional[Mapping[str, Any]],
    shared: dict[str, SharedFeatures],
) -> Any:
    """The agent that plans with ``path``; ``shared`` holds the features of those whose settings are the same."""
    own = agent_of_checkpoint(path) or (dict(agent) if agent is not None else None)
    if own is None:
        raise InputError(
            f"checkpoints.{name}: {path} lies in no folder of a training, so say which agent it is of: "
            "agent=drive_jepa, or another of navsim_configs"
        )
    if settings:
        own["config"] = changed(own.get("config") or {}, settings)
    found = build_agent(own, str(path))
    if hasattr(found, "build_features"):
        key = json.dumps({**own, "checkpoint_path": None}, sort_keys=True, default=str)
        found.build_features = shared.setdefault(key, SharedFeatures(found.build_features))
    return found


def row_names(name: str, labels: Mapping[Path, Optional[str]]) -> dict[Path, str]:
    """Path → ``<name>-epoch003-step01234``; with the file's name where it says no step, is an average, or is alike."""
    names = {}
    for path, label in labels.items():
        is_alike = label is not None and list(labels.values()).count(label) > 1
        parts = [name, *([label] if label else []), *([path.stem] if is_alike or not label else [])]
        names[path] = "-".join(parts)
    twice = sorted({row for row in names.values() if list(names.values()).count(row) > 1})
    if twice:
        raise InputError(
            f"checkpoints.{name}: more than one file would be called {twice[0]}; give each folder a name of its own, "
            "such as +checkpoints.a=… +checkpoints.b=…"
        )
    return names


def _label(contents: Mapping[str, Any]) -> Optional[str]:
    epoch, step = contents.get("epoch"), contents.get("global_step")
    if AVERAGED in contents or not isinstance(epoch, int) or not isinstance(step, int):
        return None
    return f"epoch{epoch:03d}-step{step:05d}"


class SharedFeatures:
    """Features of the last inputs, for agents that make the same of them."""

    def __init__(self, build: Callable[[Any], dict[str, Tensor]]) -> None:
        """With ``build`` of one of the agents."""
        self._build = build
        self._known: OrderedDict[Any, tuple[Any, dict[str, Tensor]]] = OrderedDict()

    def __call__(self, agent_input: Any) -> dict[str, Tensor]:
        """Features of one scene without batch axis, made where they are not remembered."""
        key = _key(agent_input)
        if key not in self._known:
            self._known[key] = agent_input, self._build(agent_input)  # the input too: its pictures' ids stay its own
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return dict(self._known[key][1])


def _key(agent_input: Any) -> Any:
    """The same pictures, by identity, and the same motion, by content."""
    motion = [np.asarray(getattr(status, name)) for status in agent_input.ego_statuses for name in STATUS]
    return tuple(map(id, agent_input.cameras)), tuple(value.tobytes() for value in motion)
