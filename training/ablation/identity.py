"""What decides a training's weights, as short hashes: settings and what is read, wherever it lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from navsim_agents.drive_jepa.runs import build_agent
from navsim_agents.evaluation.encoder_weights import RANDOM, weights_stamp
from navsim_agents.sources import LoggedScenes
from training.ablation.inputs import version
from training.config import BESIDE_LEARNING, TrainConfig

PATHS = (
    "data.root",
    "agent.encoder_checkpoint_path",
    "agent.config.scenes",
    "agent.config.teachers.label_store",
    "agent.config.teachers.vocabulary",
)
"""Of a training's settings, those whose content counts and not their place."""
SAYS_NOTHING = ("output", "cache", "threads", "resume", *BESIDE_LEARNING)
"""The others that change nothing of what is learnt."""


class Digests:
    """What decides weights, as short hashes; each part is computed once."""

    def __init__(self) -> None:
        self._logs: dict[tuple[str, str, int], str] = {}
        self._builders: dict[str, list[str]] = {}

    def identity(self, settings: TrainConfig) -> str:
        """Of a training: what it is told and what it reads, wherever that lies.

        Raises:
            InputError: the encoder's checkpoint is no file, or what the agent's builders read is not there.
        """
        content = {key: value for key, value in asdict(settings).items() if key not in SAYS_NOTHING}
        encoder = settings.agent.get("encoder_checkpoint_path") or RANDOM
        parts = [version(), self._of_logs(settings), self._names(settings), weights_stamp(encoder)]
        return content_hash([*parts, _without(content, *(path.split(".") for path in PATHS))])

    def _of_logs(self, settings: TrainConfig) -> str:
        data = settings.data
        key = (data.root, data.split, data.frame_interval)
        if key not in self._logs:
            self._logs[key] = logs_hash(*key)
        return self._logs[key]

    def _names(self, settings: TrainConfig) -> list[str]:
        """Of the builders: they change with scenes, labels and vocabulary."""
        key = content_hash(settings.agent)
        if key not in self._builders:
            agent = build_agent(settings.agent)
            builders = [*agent.get_feature_builders(), *agent.get_target_builders()]
            self._builders[key] = [builder.get_unique_name() for builder in builders]
        return self._builders[key]


def logs_hash(root: str, split: str, frame_interval: int) -> str:
    """Short hash of what the logs of a split hold."""
    source = LoggedScenes(root, split, {}, frame_interval)
    return content_hash([source.fingerprint(name) for name in source.log_names()])


def content_hash(content: Any) -> str:
    """Short hash of plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _without(content: Mapping[str, Any], *paths: Sequence[str]) -> dict[str, Any]:
    """Nested mappings without the entries at ``paths``."""
    kept = {}
    for key, value in content.items():
        below = [path[1:] for path in paths if path[0] == key]
        if [] not in below:
            kept[key] = _without(value, *below) if below and isinstance(value, Mapping) else value
    return kept
