"""Where the figures of a training go: Lightning's own loggers, with what it takes to repeat the run written beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from navsim_agents.common.extras import require_extras
from navsim_agents.devkit.variant import detect_host
from navsim_agents.errors import InputError
from training.report.provenance import git_revision, machine, versions

CSV, TENSORBOARD, WANDB = KINDS = ("csv", "tensorboard", "wandb")
CLASSES: Mapping[str, str] = {CSV: "CSVLogger", TENSORBOARD: "TensorBoardLogger", WANDB: "WandbLogger"}
FOLDER = "logs"


@dataclass(frozen=True)
class LoggerConfig:
    """One of Lightning's loggers."""

    kind: str = CSV
    params: dict[str, Any] = field(default_factory=dict)  # of that logger, passed on; they go before ours

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind={self.kind!r} must be one of {', '.join(KINDS)}: logger=<one of them>")


def logger_class(config: LoggerConfig) -> Any:
    """Lightning's class.

    Raises:
        MissingPackageError: it needs a package that is not installed.
    """
    if config.kind != CSV:
        require_extras(config.kind)
    return getattr(import_module("pytorch_lightning.loggers"), CLASSES[config.kind])


def logger_params(config: LoggerConfig, output: Path) -> dict[str, Any]:
    """Its arguments for a training that writes to ``output``."""
    ours: dict[str, Any] = {"save_dir": str(output), "name": FOLDER}
    if config.kind == TENSORBOARD:
        ours["default_hp_metric"] = False  # else a column of -1 beside the hyperparameters
    if config.kind == WANDB:
        ours["name"] = output.resolve().name
    return {**ours, **{name: value for name, value in config.params.items() if value is not None}}


def hyperparameters(config: Any) -> dict[str, Any]:
    """Settings of a run and what it ran with, nested and in plain types: nothing is left to be resolved."""
    settings = {name: _resolved(value) for name, value in asdict(config).items()}
    found = {
        "config": settings,
        "git": git_revision(),
        "devkit": detect_host().variant.value,
        "versions": versions(),
        "machine": machine(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def _resolved(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
