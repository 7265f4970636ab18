"""A pool of workers that score sampled plans, for somebody's training loop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Callable, Optional, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.common.conventions import EPDMS_NAME, POSE_INTERVAL_S
from navsim_agents.common.kept_workers import KeptWorkers
from navsim_agents.common.poses import LARGEST_M
from navsim_agents.common.processes import WorkerError
from navsim_agents.errors import InputError, TrajectoryError
from navsim_agents.reward.ray_workers import TIMEOUT_S, RayWorkers
from navsim_agents.reward.scorer import Job, Rules, SceneScorer
from navsim_agents.reward.sources import SceneSource, reader_of, tokens_of
from navsim_agents.scoring.aggregate import COLUMNS
from navsim_agents.scoring.config import metric_config
from navsim_agents.scoring.scene_batch import refuse_other_horizon

PROCESSES, RAY = "processes", "ray"
BACKENDS = (PROCESSES, RAY)
KEPT_SCENES = 4096
SHOWN = 3  # unknown tokens that an error names


@runtime_checkable
class Workers(Protocol):
    """Functions with what they keep, somewhere."""

    def do(self, jobs: Sequence[tuple[int, Any]]) -> list[Any]:
        """Results in the order of ``jobs``: a worker's number, and what its function is called with."""

    def close(self) -> None:
        """End them."""


class WorkHere:
    """One function in this process."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._work = make()

    def do(self, jobs: Sequence[tuple[int, Any]]) -> list[Any]:
        """See :class:`Workers`."""
        return [self._work(job) for _, job in jobs]

    def close(self) -> None:
        """Nothing is to be ended."""


@dataclass(frozen=True)
class Rewards:
    """Answers for N plans in each of B scenes."""

    rewards: Float[Tensor, "B N"]  # 0 to 1
    columns: dict[str, Tensor]  # the metric's columns by the devkit's names, [B, N] each


class RewardPool:
    """Rewards of sampled plans, from workers that keep the scenes; close it, or use it in a ``with``.

    A scene belongs to one worker, which reads it and builds its index when it is first asked for. The reward is the
    metric's score: PDMS, or EPDMS without extended comfort. Traffic is the log's. No gradients flow.

    Processes are spawned, so a script that opens a pool needs ``if __name__ == "__main__":``.
    """

    def __init__(
        self,
        scenes: SceneSource,
        metric: str = EPDMS_NAME,
        *,
        workers: int = 0,
        backend: str = PROCESSES,
        interval_length: float = POSE_INTERVAL_S,
        human_penalty_filter: bool = False,
        kept_scenes: int = KEPT_SCENES,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Start the workers, and wait until they are ready.

        Args:
            scenes: a path, as ``scenes`` of every command, which workers on other machines must see, too; a store; or
                scenes by token, of which each worker is sent its own.
            metric: ``pdms`` (v1.1's rules) or ``epdms`` (v2.2's).
            workers: how many, with one core each; 0 scores in this process.
            backend: ``processes`` of this machine, or ``ray``: actors on all machines of the cluster that ``ray.init``
                connected to.
            interval_length: s between poses of the plans, which cover 4 s.
            human_penalty_filter: excuse sub-scores on which the human scores 0 (epdms, original scenes).
            kept_scenes: that a worker keeps; of more, those that were not asked for longest are read again.
            timeout_s: longest wait for Ray's actors, when they start and in each call; then the pool is closed.

        Raises:
            InputError: a setting is out of range, there are no scenes, or none lie at the path.
            TrajectoryError: an unknown metric, or the human filter with pdms.
            MissingPackageError: ``backend`` is ray, and Ray is not installed.
            WorkerError: a worker ended, or has not begun within ``timeout_s``.
        """
        self._check(metric, workers, backend, human_penalty_filter, kept_scenes)
        if not 0.0 < timeout_s < float("inf"):
            raise InputError(f"timeout_s is {timeout_s}, but must be a positive number of seconds; give one")
        self._rules, self._tokens = Rules(metric, interval_length, human_penalty_filter), tokens_of(scenes)
        if not self._tokens:
            raise InputError("there are 0 scenes, but a reward needs one; give at least one scene")
        count = max(workers, 1)
        self._worker_of = {token: number % count for number, token in enumerate(self._tokens)}
        makers = [
            partial(
                SceneScorer,
                reader_of(scenes, self._tokens[worker::count], is_sent=workers > 0),
                self._rules,
                kept_scenes,
            )
            for worker in range(count)
        ]
        self._workers: Optional[Workers] = _started(makers, workers, backend, timeout_s)

    @staticmethod
    def _check(metric: str, workers: int, backend: str, human_penalty_filter: bool, kept_scenes: int) -> None:
        if human_penalty_filter and not metric_config(metric).uses_history:
            raise TrajectoryError(
                f"human_penalty_filter is set, but {metric} has no human filter; score epdms or unset it"
            )
        metric_config(metric)
        if backend not in BACKENDS:
            raise InputError(f"backend is {backend}, but must be one of {', '.join(BACKENDS)}; choose one")
        least = 1 if backend == RAY else 0
        if workers < least:
            raise InputError(f"workers is {workers}, but must be {least} or more with backend={backend}; raise it")
        if kept_scenes < 1:
            raise InputError(f"kept_scenes is {kept_scenes}, but must be 1 or more; raise it")

    @property
    def tokens(self) -> list[str]:
        """Tokens of all scenes."""
        return list(self._tokens)

    def rewards(self, tokens: Sequence[str], trajectories: Tensor) -> Float[Tensor, "B N"]:
        """Rewards, on the device and in the dtype of ``trajectories``.

        Args:
            tokens: of B scenes; one may come several times.
            trajectories: N plans a scene, [B, N, P, 3]: x, y, heading (m, rad, ego frame at t0), the first pose
                ``interval_length`` after t0.

        Raises:
            InputError: a token is unknown, or the pool is closed.
            TrajectoryError: wrong shape, interval or values.
            SceneError: a scene is damaged, or has too few track columns for the metric; the pool stays open.
            WorkerError: a worker ended or has not answered within ``timeout_s``, and with it the pool.
        """
        return self._ask(tokens, trajectories, with_columns=False)[0]

    def score(self, tokens: Sequence[str], trajectories: Tensor) -> Rewards:
        """The same with all sub-scores."""
        rewards, *columns = self._ask(tokens, trajectories, with_columns=True)
        return Rewards(rewards, dict(zip(COLUMNS[self._rules.metric], columns)))

    def _ask(self, tokens: Sequence[str], trajectories: Tensor, with_columns: bool) -> Float[Tensor, "C B N"]:
        if self._workers is None:
            raise InputError("the reward pool is closed; open another")
        self._refuse(tokens, trajectories)
        plans = trajectories.detach().to("cpu", torch.float64).numpy()
        rows_of: defaultdict[int, list[int]] = defaultdict(list)
        for row, token in enumerate(tokens):
            rows_of[self._worker_of[token]].append(row)
        jobs = [
            (worker, Job([tokens[row] for row in rows], plans[rows], with_columns)) for worker, rows in rows_of.items()
        ]
        answers: npt.NDArray = np.empty((1 + with_columns * len(COLUMNS[self._rules.metric]), *plans.shape[:2]))
        try:
            found = self._workers.do(jobs)
        except WorkerError:
            self.close()
            raise
        for rows, answer in zip(rows_of.values(), found):
            answers[:, rows] = answer
        return torch.from_numpy(answers).to(trajectories)

    def _refuse(self, tokens: Sequence[str], trajectories: Tensor) -> None:
        unknown = [token for token in tokens if token not in self._worker_of]
        if unknown:
            raise InputError(
                f"{len(unknown)} of {len(tokens)} scenes are not among the {len(self._tokens)} of the reward pool: "
                f"{', '.join(unknown[:SHOWN])}{', …' if len(unknown) > SHOWN else ''}; export them, or leave them out"
            )
        refuse_other_horizon(trajectories, len(tokens), self._rules.interval_length)
        if not trajectories.is_floating_point():
            raise TrajectoryError(f"trajectories is {trajectories.dtype}, but poses must be floating-point; convert it")
        bad = torch.nonzero(~(trajectories.abs() <= LARGEST_M).flatten(2).all(-1)).tolist()
        if bad:
            scene, plan = bad[0]
            raise TrajectoryError(
                f"{len(bad)} plans are not finite or beyond {LARGEST_M:g} m, the first is plan {plan} of scene "
                f"{tokens[scene]}; drop or repair them"
            )

    def close(self) -> None:
        """End the workers; a second time does nothing."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()

    def __enter__(self) -> RewardPool:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()


def _started(makers: Sequence[Callable[[], SceneScorer]], workers: int, backend: str, timeout_s: float) -> Workers:
    if backend == RAY:
        return RayWorkers(makers, timeout_s)
    return KeptWorkers(makers, threads=1) if workers else WorkHere(makers[0])
