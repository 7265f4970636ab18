"""What the first process writes about every step: history, progress bar, alarms."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from tqdm import tqdm

from navsim_agents.errors import TrainingError
from navsim_agents.models.masks import Masks
from navsim_agents.models.video_jepa import VideoJepa
from training.pretraining.config import PretrainConfig
from training.pretraining.health import CollapseAlarm, Stopwatch, clip_flops, measure_features
from training.pretraining.history import History
from training.pretraining.schedules import settings_at

HISTORY_FILE = "history.csv"
TERA = 1e12


class StepResult(NamedTuple):
    """One step; losses and gradient are means over the processes."""

    losses: list[float]  # by mask family
    grad_norm: float
    is_skipped: bool
    targets: Tensor  # [B, N, D] of this process
    masks: list[Masks]  # of this process
    clip_shape: tuple[int, ...]  # B, 3, T, H, W

    @property
    def loss(self) -> float:
        """Mean over the families."""
        return sum(self.losses) / len(self.losses)


class Recorder:
    """Records a run from its first step on."""

    def __init__(self, config: PretrainConfig, jepa: VideoJepa, steps_done: int, num_processes: int) -> None:
        self.config = config
        self.jepa = jepa
        self.num_processes = num_processes
        self.watch = Stopwatch()
        self._alarm = CollapseAlarm(config.health)
        self._families = [family.name for family in config.masks.families]
        self._history = History(Path(config.output) / HISTORY_FILE, self._families, steps_done)
        self._bar = tqdm(total=config.schedule.total_steps, initial=steps_done, desc="pretraining", unit="step")

    def record(self, step: int, result: StepResult) -> None:
        """Add a row, advance the progress bar, and print what is wrong.

        Raises:
            TrainingError: the features collapsed, and health.on_collapse is stop.
        """
        row: dict[str, Any] = {"step": step, "epoch": (step - 1) // self.config.schedule.iterations_per_epoch}
        row.update(settings_at(self.config.schedule, step)._asdict(), **self._speed(result))
        if self.config.processes.peak_tflops is not None:
            row["utilisation"] = row["tflop_per_s"] / self.config.processes.peak_tflops
        row.update(loss=result.loss, grad_norm=result.grad_norm, is_skipped=int(result.is_skipped))
        row.update(zip((f"loss_{name}" for name in self._families), result.losses))
        message = None
        if step == 1 or step % self.config.health.every == 0:
            health = measure_features(result.targets, self.config.health.max_tokens)
            row.update(health._asdict())
            if not result.is_skipped:  # a step that is not finite has an alarm of its own
                message = self._alarm.check(health, step)
            self._bar.set_postfix(loss=f"{result.loss:.3f}", rank=f"{health.effective_rank:.1f}")
        self._history.add(row)
        self._bar.update()
        if result.is_skipped:
            tqdm.write(f"step {step}: losses {result.losses}, gradient norm {result.grad_norm}; skipped, not finite")
        if message is not None:
            self._sound(message)

    def close(self) -> None:
        """End the progress bar's line."""
        self._bar.close()

    def _sound(self, message: str) -> None:
        if self.config.health.on_collapse == "stop":
            raise TrainingError(message)  # torchrun then ends the other processes
        tqdm.write(f"ALARM: {message}")

    def _speed(self, result: StepResult) -> dict[str, float]:
        """Throughput since the last step."""
        seconds, waited = self.watch.lap()
        config, clips = self.jepa.encoder.config, result.clip_shape[0]
        grid = config.grid(*result.clip_shape[2:])
        flops = clips * clip_flops(config, self.jepa.predictor.config, grid, result.masks)
        return {
            "context_tokens": sum(mask.context.shape[1] for mask in result.masks),
            "target_tokens": sum(mask.target.shape[1] for mask in result.masks),
            "clips_per_s": clips * self.num_processes / seconds,
            "tokens_per_s": clips * self.num_processes * grid.num_tokens / seconds,
            "tflop_per_s": flops / TERA / seconds,
            "data_wait": waited / seconds,
        }
