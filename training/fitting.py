"""A training: cache, loaders, Lightning's trainer, and the record of what came out."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Optional

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader

from navsim_agents.common.files import write_json, write_text
from navsim_agents.drive_jepa.runs import AGENT_FILE, CHECKPOINT_FOLDER, RESULT_FILE, build_agent, last_checkpoint
from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.checkpoint_file import read_checkpoint
from navsim_agents.models.key_table import mismatches
from navsim_agents.sources import SceneSource, split_logs
from training.cache import Builders, LogResult, build_cache
from training.config import TrainConfig
from training.dataset import CachedScenes, collate
from training.history import History
from training.lightning_module import AgentModule
from training.loggers import hyperparameters, logger_class, logger_params
from training.saving import checkpoints_of, kept_files
from training.scene_source import source_of


def train(config: TrainConfig, source: Optional[SceneSource] = None) -> dict[str, Any]:
    """Cache what the agent needs, fit it, and return what is also written to ``<output>/result.json``.

    ``source`` stands in for the logs at ``config.data``.
    """
    output = Path(config.output)
    log_with = logger_class(config.logger)
    if config.threads:
        torch.set_num_threads(config.threads)
    pl.seed_everything(config.seed, workers=True)
    agent = build_agent(config.agent)
    data = config.data
    source = source or source_of(data, agent)
    write_json(output / AGENT_FILE, config.agent)
    train_logs, val_logs = split_logs(source.log_names(), data.train_logs, data.val_logs, data.val_fraction)
    fill_cache(config, source, agent, [*train_logs, *val_logs])
    sets = [CachedScenes(Path(config.cache.path), logs) for logs in (train_logs, val_logs) if logs]
    if not config.resume:
        shutil.rmtree(output / CHECKPOINT_FOLDER, ignore_errors=True)
    resumed = _check_resumed(agent, last_checkpoint(output))
    trainer = _trainer(config, agent, output, log_with, is_validated=len(sets) > 1)
    train_loader, val_loader = [*_loaders(config, sets), None][:2]
    start = time.monotonic()
    with _refusals_of_lightning():
        trainer.fit(AgentModule(agent), train_loader, val_loader, ckpt_path=resumed)
    if trainer.interrupted:  # older Lightning returns normally after Ctrl-C
        raise KeyboardInterrupt
    result = {
        **_result(trainer, output),
        "kept_checkpoints": kept_files(trainer.callbacks, output),  # type: ignore[attr-defined]
        "seconds": round(time.monotonic() - start, 1),
        "num_scenes": {"train": len(sets[0]), "val": sum(map(len, sets[1:]))},
        "logs": {"train": train_logs, "val": val_logs},
        "num_parameters": sum(parameter.numel() for parameter in agent.parameters()),
        "config": asdict(config),
    }
    if trainer.is_global_zero:
        write_json(output / RESULT_FILE, result)
    return result


def fill_cache(config: TrainConfig, source: SceneSource, agent: Any, log_names: Sequence[str]) -> None:
    """Compute what ``agent`` needs of the logs, where it is not in ``config.cache`` yet; say what is left out."""
    folder = Path(config.cache.path)
    results = build_cache(
        folder, source, Builders.of(agent), log_names, workers=config.cache.workers, force=config.cache.force
    )
    _report_skipped(results, folder / "skipped.csv")


def _report_skipped(results: Sequence[LogResult], path: Path) -> None:
    rows = [(result.log_name, token, reason) for result in results for token, reason in result.skipped.items()]
    write_text(path, pd.DataFrame(rows, columns=["log_name", "token", "reason"]).to_csv(index=False))
    for log_name, token, reason in rows[:5]:
        print(f"skipped {token or 'the whole log'} of {log_name}: {reason}")
    if rows:
        print(f"{len(rows)} scenes or logs are left out; {path} names them all")


def _constructed(name: str, kind: Callable[..., Any], /, **params: Any) -> Any:
    """An object of Lightning or torch, built from settings that the library itself checks.

    Raises:
        InputError: the library does not know a setting, or refuses its value.
    """
    try:
        return kind(**params)
    except (TypeError, ValueError, ImportError, RuntimeError, MisconfigurationException) as error:
        raise InputError(f"{name} are refused: {' '.join(str(error).split())}; correct them") from error


@contextmanager
def _refusals_of_lightning() -> Iterator[None]:
    """Report errors raised in Lightning's own code as wrong settings: some are checked only while training.

    Raises:
        InputError: a setting is wrong.
    """
    try:
        yield
    except (AssertionError, AttributeError, ArithmeticError, TypeError, ValueError, MisconfigurationException) as error:
        frames = traceback.extract_tb(error.__traceback__)
        if not {"pytorch_lightning", "lightning_fabric"} & set(Path(frames[-1].filename).parts):
            raise
        reason = " ".join(f"{type(error).__name__} in {frames[-1].name}: {error}".split())
        raise InputError(f"trainer.params are refused while training ({reason}); correct them") from error


def _check_resumed(agent: Any, path: Optional[str]) -> Optional[str]:
    """Return ``path`` if its weights belong to this agent; reading it executes no code that the file may contain.

    Raises:
        CheckpointError: it is damaged, of another agent, or holds more than weights and plain data.
    """
    if path is None:
        return None
    try:
        weights = read_checkpoint(path).get("state_dict")
        names = {f"agent.{name}": value for name, value in agent.state_dict().items()}
        problems = mismatches(names, weights) if isinstance(weights, Mapping) else ["it has no state_dict"]
        if problems:
            raise CheckpointError(f"{path} is not of this agent: {'; '.join(problems)}")
    except CheckpointError as error:
        raise CheckpointError(f"{error}; choose another output, or start anew there: resume=false") from error
    return path


def _loaders(config: TrainConfig, sets: Sequence[CachedScenes]) -> list[Any]:
    """Of the scenes that train, in random order, and of those that validate, where there are some."""
    ours = {"collate_fn": collate, **config.dataloader.params}
    return [
        _constructed("dataloader.params", DataLoader, **{"dataset": data, "shuffle": not index, **ours})
        for index, data in enumerate(sets)
    ]


def _trainer(config: TrainConfig, agent: Any, output: Path, log_with: Any, is_validated: bool) -> pl.Trainer:
    """Lightning's trainer, whose loggers have been told what it takes to repeat the run."""
    callbacks = [*agent.get_training_callbacks(), History(output / "history.csv")]
    callbacks = checkpoints_of(callbacks, config.saving, is_validated)
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint):
            callback.dirpath = str((output / CHECKPOINT_FOLDER).resolve())
    logger = _constructed("logger.params", log_with, **logger_params(config.logger, output))
    ours = {"default_root_dir": str(output), "logger": logger, "callbacks": callbacks}
    trainer: pl.Trainer = _constructed("trainer.params", pl.Trainer, **{**ours, **config.trainer.params})
    written = hyperparameters(config) if trainer.loggers else {}
    for one in trainer.loggers:
        one.log_hyperparams(written)
    return trainer


def _result(trainer: pl.Trainer, output: Path) -> dict[str, Any]:
    best = trainer.checkpoint_callback.best_model_path if trainer.checkpoint_callback else ""  # type: ignore[attr-defined]
    path = best or last_checkpoint(output)
    if not path:
        raise InputError(
            "training left no checkpoint: nothing was trained (max_epochs, limit_train_batches, fast_dev_run), or "
            "trainer.params.enable_checkpointing is false; correct that"
        )
    return {
        "best_checkpoint": str(Path(path).resolve().relative_to(output.resolve())),
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
    }
