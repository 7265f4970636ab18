"""Health of a run: features that still differ, finite numbers, and the cost of a step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Optional, Union

import torch
from torch import Tensor

from navsim_agents.errors import TrainingError
from navsim_agents.models.collapse import effective_rank, feature_std
from navsim_agents.models.masks import Masks
from navsim_agents.models.predictor import PredictorConfig
from navsim_agents.models.transformer import TokenGrid
from navsim_agents.models.video_encoder import VideoEncoderConfig
from training.pretraining.config import HealthConfig

BACKWARD_COST = 2
"""A backward pass has twice the matrix products of a forward pass."""
TOKEN_SEED = 0


class FeatureHealth(NamedTuple):
    """Measured on layer-normed target features."""

    feature_std: float
    effective_rank: float


def measure_features(targets: Tensor, max_tokens: int) -> FeatureHealth:
    """Spread and rank of target features [B, N, D], of at most ``max_tokens`` tokens, the same at every step.

    They are drawn: evenly spaced tokens may all lie on one edge of the picture. Features that are not finite have
    neither spread nor rank: both are NaN.
    """
    tokens = targets.detach().flatten(0, 1)
    if len(tokens) > max_tokens:
        chosen = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(TOKEN_SEED))[:max_tokens]
        tokens = tokens[chosen.to(tokens.device)]
    tokens = tokens.float()
    if not tokens.isfinite().all():
        return FeatureHealth(math.nan, math.nan)
    return FeatureHealth(feature_std(tokens), effective_rank(tokens))


class CollapseAlarm:
    """Sounds when features no longer tell tokens apart, once per collapse."""

    def __init__(self, config: HealthConfig) -> None:
        self.config = config
        self.is_on = False

    def check(self, health: FeatureHealth, step: int) -> Optional[str]:
        """A description of the collapse when it begins; otherwise None."""
        limits = FeatureHealth(self.config.min_feature_std, self.config.min_effective_rank)
        low = [
            f"{name}={value:.3g} is below {limit:g}"
            for name, value, limit in zip(health._fields, health, limits)
            if not value >= limit
        ]
        begins, self.is_on = bool(low) and not self.is_on, bool(low)
        if not begins:
            return None
        return f"step {step}: features collapse: {' and '.join(low)}; lower schedule.lr, or raise schedule.ema_start"


class FiniteGuard:
    """Skips a step whose loss or gradient is not finite, and gives up after several in a row."""

    def __init__(self, max_skipped: int) -> None:
        self.max_skipped = max_skipped
        self.in_a_row = 0

    def allows(self, losses: Sequence[float], grad_norm: float, step: int) -> bool:
        """Whether the optimiser may step; the same on every process, as both figures are.

        Raises:
            TrainingError: more than ``max_skipped`` steps in a row were not finite.
        """
        if bool(torch.tensor([*losses, grad_norm]).isfinite().all()):
            self.in_a_row = 0
            return True
        self.in_a_row += 1
        if self.in_a_row > self.max_skipped:
            raise TrainingError(
                f"step {step}: losses {list(losses)}, gradient norm {grad_norm}: not finite for {self.in_a_row} steps "
                "in a row; lower schedule.lr, or try precision=float32, and resume from the last checkpoint"
            )
        return False


class Stopwatch:
    """Seconds of a step, and of them those spent waiting for clips."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._waited = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time spent inside this context counts as waiting."""
        start = time.monotonic()
        yield
        self._waited += time.monotonic() - start

    def lap(self) -> tuple[float, float]:
        """Seconds since the last lap, and of them those waited; starts the next lap."""
        now = time.monotonic()
        seconds, waited = now - self._last, self._waited
        self._last, self._waited = now, 0.0
        return seconds, waited


def clip_flops(
    encoder: VideoEncoderConfig, predictor: PredictorConfig, grid: TokenGrid, masks: Sequence[Masks]
) -> float:
    """Floating-point operations in the matrix products of one clip's step, without recomputation."""
    patch = 2.0 * grid.num_tokens * encoder.width * 3 * encoder.tubelet_size * encoder.patch_size**2
    total = patch + _blocks_flops(grid.num_tokens, encoder)
    for mask in masks:
        context, target = mask.context.shape[1], mask.target.shape[1]
        joints = 2.0 * predictor.joint_products(encoder.width, context, target)
        trained = _blocks_flops(context, encoder) + joints + _blocks_flops(context + target, predictor)
        total += 2 * patch + (1 + BACKWARD_COST) * trained  # pixels get no gradient
    return total


def _blocks_flops(tokens: int, config: Union[VideoEncoderConfig, PredictorConfig]) -> float:
    linear = 4 * config.width + 2 * config.mlp_width
    return 2.0 * tokens * config.width * config.depth * (linear + 2 * tokens)
