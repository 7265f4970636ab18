"""The training loop: one ``VideoJepa`` over clips, the same on one process or many, interrupted or not."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, Optional, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from navsim_agents.common.files import read_json, write_json
from navsim_agents.errors import CheckpointError, InputError
from navsim_agents.models.masks import Masks, sample_masks
from navsim_agents.models.transformer import TokenGrid
from navsim_agents.models.video_jepa import VideoJepa
from navsim_agents.models.video_jepa_21 import VideoJepa21
from training.pretraining import checkpoints
from training.pretraining.config import ModelConfig, PretrainConfig
from training.pretraining.health import FiniteGuard
from training.pretraining.optimiser import apply_settings, build_optimiser
from training.pretraining.processes import Processes
from training.pretraining.record import Recorder, StepResult
from training.pretraining.schedules import settings_at

RESULT_FILE = "result.json"
CONFIG_FILE = "config.json"
UNREADABLE_FILE = "unreadable.json"
CHECKPOINT_FOLDER = "checkpoints"
MASK_SEED_STRIDE = 1_000_003
"""Seed of a step's masks = seed · stride + step, so that runs with neighbouring seeds share no masks."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what torchrun and batch systems send."""


@runtime_checkable
class ClipLoader(Protocol):
    """Clips of this process, as ``navsim_agents.video.loader`` gives them."""

    def __iter__(self) -> Iterator[Tensor]:
        """RGB uint8 clips [B, 3, T, H, W], by epoch or without end."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Plain data that says which clips were handed out, the same on every process."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the clips that had been handed out."""
        ...

    def report(self) -> dict[str, str]:
        """Files of this process that gave no clip, and why."""
        ...


class Pretrainer:
    """A run at some step. ``run`` continues to the end, or to the end of the step during which Ctrl-C was pressed."""

    def __init__(self, config: PretrainConfig, loader: ClipLoader, processes: Processes) -> None:
        self.config = config
        self.loader = loader
        self.processes = processes
        self.folder = Path(config.output) / CHECKPOINT_FOLDER
        self.jepa = build_model(config.model, config.seed).to(processes.device)
        self.optimiser = build_optimiser(self.jepa, config.optimiser)
        self.guard = FiniteGuard(config.health.max_skipped_steps)
        self.step = 0
        self.epoch_losses: list[float] = []
        self.unreadable: dict[str, str] = {}  # files that gave no clip before this run was resumed, and why
        self.received_signal: Optional[int] = None  # by this process, at any time
        self.agreed_signal: Optional[int] = None  # by all, at the end of a step
        found = checkpoints.read_newest(self.folder) if config.resume else None
        if found is not None:
            self._go_on_from(*found)
        elif config.model.init_from is not None:
            asked, path = config.model, config.model.init_from
            read = checkpoints.load_initial_weights(
                self.jepa, path, predictor=asked.init_predictor, entry=asked.init_entry
            )
            if processes.is_first:
                print(f"{path}: {read}")
        self._check_all_are_at_one_step()
        self.replica = processes.replicate(self.jepa)

    def run(self) -> dict[str, Any]:
        """Train; returns what is also written to ``<output>/result.json``.

        Raises:
            TrainingError: the loss is no longer finite, or the features collapsed and that should stop the run.
        """
        start, first_step = time.monotonic(), self.step
        recorder = self._recorder()
        with self._signals_noted():
            self._train(recorder)
        if recorder is not None:
            recorder.close()
        result = {
            "steps": self.step,
            "epochs": self.step // self.config.schedule.iterations_per_epoch,
            "is_complete": self.step == self.config.schedule.total_steps,
            "signal": self.agreed_signal,
            "checkpoint": str(checkpoints.checkpoint_path(Path(CHECKPOINT_FOLDER), self.step)),
            "epoch_loss": sum(self.epoch_losses) / len(self.epoch_losses) if self.epoch_losses else None,
            "clips": (self.step - first_step) * self._global_batch,
            "seconds": round(time.monotonic() - start, 1),
        }
        if self.processes.is_first:
            write_json(Path(self.config.output) / RESULT_FILE, result)
        return result

    def take_step(self, clip: Tensor) -> StepResult:
        """Loss, gradient and update for this process's clips [B, 3, T, H, W] uint8.

        Raises:
            TrainingError: too many steps in a row were not finite.
            InputError: there are not ``batch_size`` clips.
        """
        if len(clip) != self.config.batch_size:
            raise InputError(
                f"the loader gave {len(clip)} clips, but batch_size={self.config.batch_size}; let it drop short ones"
            )
        self.step += 1
        settings = settings_at(self.config.schedule, self.step)
        apply_settings(self.optimiser, settings)
        device, is_bf16 = self.processes.device, self.config.precision == "bf16"
        if isinstance(self.jepa, VideoJepa21):
            self.jepa.context_weight = self.config.context_loss.weight_at(self.step)
            self.jepa.weighs_distance = self.config.context_loss.by_distance
        masks = self._masks(self.jepa.encoder.config.grid(*clip.shape[2:]))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_bf16):
            losses, targets = self.replica(clip.to(device, non_blocking=True), masks)
        losses.mean().backward()
        grad_norm = self._clip_gradient()
        shared = self.processes.mean(losses.detach()).tolist()
        is_finite = self.guard.allows(shared, grad_norm, self.step)
        if is_finite:
            self.optimiser.step()
            self.jepa.update_target(settings.ema)
        self.optimiser.zero_grad(set_to_none=True)
        return StepResult(shared, grad_norm, not is_finite, targets, masks, tuple(clip.shape))

    def save(self) -> None:
        """Write a checkpoint of this step, drop the oldest, and list the files that gave no clip."""
        schedule = self.config.schedule
        reports = self.processes.gather(self.loader.report())
        if self.processes.is_first:
            for report in reports:
                self.unreadable.update(report)
            write_json(Path(self.config.output) / UNREADABLE_FILE, self.unreadable)
            progress = checkpoints.Progress(
                self.step,
                self.config.seed,
                self.config.batch_size,
                self.processes.world_size,
                self.loader.state_dict(),
                self.epoch_losses,
                self.config.identity(),
            )
            path = checkpoints.checkpoint_path(self.folder, self.step)
            epoch = self.step // schedule.iterations_per_epoch
            checkpoints.save_checkpoint(path, self.jepa, self.optimiser, progress, epoch=epoch, lr=schedule.lr)
            checkpoints.keep_newest(self.folder, self.config.saving.keep)
        self.processes.wait()

    def _train(self, recorder: Optional[Recorder]) -> None:
        clips, total = _endless(self.loader), self.config.schedule.total_steps
        while self.step < total and self.agreed_signal is None:
            clip = _next_clip(clips, recorder)
            result = self.take_step(clip)
            if (self.step - 1) % self.config.schedule.iterations_per_epoch == 0:
                self.epoch_losses = []
            if not result.is_skipped:
                self.epoch_losses.append(result.loss)
            if recorder is not None:
                recorder.record(self.step, result)
            self.agreed_signal = self.processes.maximum(self.received_signal or 0) or None
            is_last = self.step == total or self.agreed_signal is not None
            if is_last or self.step % self.config.saving.every == 0:
                self.save()

    def _recorder(self) -> Optional[Recorder]:
        """The first process's recorder; it replaces files of an earlier run that is not resumed.

        In a resumed run, checkpoints beyond its step are unreadable ones.
        """
        if not self.processes.is_first:
            return None
        if not self.step:
            for path in checkpoints.checkpoints_in(self.folder):
                path.unlink()
        checkpoints.set_aside_newer(self.folder, self.step)
        write_json(Path(self.config.output) / CONFIG_FILE, asdict(self.config))
        return Recorder(self.config, self.jepa, self.step, self.processes.world_size)

    def _start_from(self, path: str) -> None:
        asked = self.config.model
        read = checkpoints.load_initial_weights(self.jepa, path, predictor=asked.init_predictor, entry=asked.init_entry)
        if self.processes.is_first:
            print(f"{path}: {read}")

    def _go_on_from(self, path: Path, contents: Mapping[str, Any]) -> None:
        progress = checkpoints.restore(path, contents, self.jepa, self.optimiser)
        written = (progress.seed, progress.batch_size * progress.world_size)
        wanted = (self.config.seed, self._global_batch)
        if written != wanted:
            raise CheckpointError(
                f"{path} was written with (seed, batch_size · processes) = {written}, this run has {wanted}; keep "
                f"to the former, or start anew elsewhere from its weights: model.init_from={path}"
            )
        if progress.identity not in (None, self.config.identity()):
            raise CheckpointError(
                f"{path} was written with {progress.identity}, this run has {self.config.identity()}; keep to the "
                f"former, or start anew elsewhere from its weights: model.init_from={path}"
            )
        self.step, self.epoch_losses = progress.step, list(progress.losses)
        self.loader.load_state_dict(progress.data)
        unreadable = Path(self.config.output) / UNREADABLE_FILE
        if self.processes.is_first and unreadable.exists():
            self.unreadable.update(read_json(unreadable))

    def _check_all_are_at_one_step(self) -> None:
        """Refuse to start if some processes see no checkpoints: they would start anew while others resume."""
        most, least = self.processes.maximum(self.step), -self.processes.maximum(-self.step)
        if most != least:
            raise CheckpointError(
                f"process {self.processes.rank} is at step {self.step}, but others at {least} to {most}: "
                f"output={self.config.output} must be a folder that all machines share; put it on a shared disk, "
                "or copy its checkpoints to every machine"
            )

    @property
    def _global_batch(self) -> int:
        """Clips of a step, over all processes."""
        return self.config.batch_size * self.processes.world_size

    def _masks(self, grid: TokenGrid) -> list[Masks]:
        """This process's rows of masks that are drawn for the whole batch, alike on every process."""
        masks = sample_masks(
            self.config.masks.families,
            grid,
            self._global_batch,
            torch.Generator().manual_seed(self.config.seed * MASK_SEED_STRIDE + self.step),
            cut=self.config.masks.cut,
            rows=self.processes.rows(self.config.batch_size),
            cut_over_all=self.config.masks.cut_over == "all",
        )
        return [Masks(*(ids.to(self.processes.device) for ids in mask)) for mask in masks]

    def _clip_gradient(self) -> float:
        limit = self.config.optimiser.clip_grad_norm
        trained = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        return float(nn.utils.clip_grad_norm_(trained, math.inf if limit is None else limit))

    @contextmanager
    def _signals_noted(self) -> Iterator[None]:
        """Within this context a signal does not end the process; it is noted, and obeyed at the end of the step.

        Processes that read clips handle signals on their own: ``navsim_agents.video.loader.outlive_first_signal``.
        """

        def note(number: int, _frame: Optional[FrameType]) -> None:
            self.received_signal = number

        former = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def build_model(config: ModelConfig, seed: int) -> VideoJepa:
    """The networks with weights drawn from ``seed``; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        jepa = config.build()
    if config.compile:
        if not hasattr(jepa, "compile"):
            raise InputError(f"model.compile=true needs torch 2.2, this is {torch.__version__}; set it to false")
        for part in (jepa.encoder, jepa.target_encoder, jepa.predictor):
            part.compile(dynamic=True)  # masks are of another length at every step
    return jepa


def _endless(loader: ClipLoader) -> Iterator[Tensor]:
    """Clips of one epoch of the loader after another, without end."""
    empty_passes = 0  # one empty pass is fine: a run may be resumed at the very end of an epoch
    while True:
        empty_passes += 1
        for clip in loader:
            empty_passes = 0
            yield clip
        if empty_passes > 1:
            raise InputError("the loader has no clips for this process; add videos, or lower batch_size or processes")


def _next_clip(clips: Iterator[Tensor], recorder: Optional[Recorder]) -> Tensor:
    if recorder is None:
        return next(clips)
    with recorder.watch.waiting():
        return next(clips)
