"""Labels one shard: every sub-score of every trajectory of the vocabulary in every scene; a bad scene is left out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Optional, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from navsim_agents.common.ending import is_machines_fault
from navsim_agents.distillation import LabelLayout, ShardContent, ShardPlan, load_vocabulary
from navsim_agents.errors import DevkitError, NavsimDriveJepaError, SceneError
from navsim_agents.scenes import open_metric_cache, open_scenes
from navsim_agents.scoring import score_trajectories
from navsim_agents.scoring.aggregate import SCORE
from navsim_agents.scoring.config import REACTIVE

DTYPES = {"float64": torch.float64, "float32": torch.float32}
BACKENDS = ("batched", "devkit")
CONTINUOUS = ("ego_progress", *SCORE.values())
TOLERANCE = 1e-6  # of continuous columns; discrete ones must be equal

Columns = Mapping[str, npt.NDArray[np.floating]]


@dataclass(frozen=True)
class LabelSettings:
    """What a worker process needs to know."""

    vocabulary: str
    scenes: str  # to label
    devkit_scenes: str  # the metric cache that the devkit's own scorer reads, where it takes part
    chunk: int
    threads: int


@dataclass(frozen=True)
class ShardJob:
    """One shard and where to compute it."""

    settings: LabelSettings
    plan: ShardPlan
    device: str


@dataclass(frozen=True)
class ShardResult:
    """What became of a shard."""

    shard: int
    num_scenes: int
    failed: Mapping[str, str]
    num_mismatches: int


@runtime_checkable
class TrajectoryScorer(Protocol):
    """Scores the vocabulary, or some rows of it, on a scene."""

    def columns(self, token: str, rows: Optional[npt.NDArray[np.int64]] = None) -> Columns:
        """The devkit's columns [V], or [len(rows)]."""


class BatchedScorer:
    """The batched scorer on scoring scenes."""

    def __init__(self, job: ShardJob) -> None:
        self._scenes = open_scenes(job.settings.scenes)
        self._stamp, self._chunk, self._device = job.plan.stamp, job.settings.chunk, torch.device(job.device)
        self._planned = load_vocabulary(job.settings.vocabulary).planned().double().to(self._device)

    def columns(self, token: str, rows: Optional[npt.NDArray[np.int64]] = None) -> Columns:
        """See :class:`TrajectoryScorer`.

        Raises:
            SceneError: the scene is bad or another devkit's.
            DevkitError: its metric cache is damaged.
        """
        with machines_faults_uncovered():
            scene = self._scenes.scene(token)
        if scene.devkit != self._stamp.devkit:
            raise SceneError(
                f"the scene is of devkit {scene.devkit}, but the labels are of {self._stamp.devkit}; "
                "keep scenes of different devkits in different folders"
            )
        found = score_trajectories(
            scene.to(self._device),
            self._planned if rows is None else self._planned[torch.from_numpy(rows)],
            interval_length=self._stamp.interval_s,
            metric=self._stamp.metric,
            dtype=DTYPES[self._stamp.dtype],
            chunk=self._chunk,
            traffic=self._stamp.traffic,
        )
        return {name: found[name].cpu().numpy() for name in self._stamp.layout.columns}


class DevkitScorer:
    """The devkit's own scorer on its metric caches."""

    def __init__(self, job: ShardJob) -> None:
        self._entries = open_metric_cache(job.settings.devkit_scenes).entries
        self._stamp = job.plan.stamp
        self._planned = load_vocabulary(job.settings.vocabulary).planned().double().numpy()

    def columns(self, token: str, rows: Optional[npt.NDArray[np.int64]] = None) -> Columns:
        """See :class:`TrajectoryScorer`.

        Raises:
            SceneError: the scene has no metric cache, or the devkit's scorer fails on it.
            DevkitError: its metric cache is damaged.
        """
        if token not in self._entries:
            raise SceneError(
                f"scene {token} has no metric cache, but the devkit's scorer needs one; cache it with NAVSIM's "
                "run_metric_caching"
            )
        try:
            with machines_faults_uncovered():
                found = self._score(self._entries[token].path, rows)
        except Exception as error:  # the devkit may raise anything where a scene is bad
            if isinstance(error, (NavsimDriveJepaError, OSError)) or is_machines_fault(error):
                raise
            raise SceneError(
                f"the devkit's scorer fails on scene {token} ({type(error).__name__}: {error}); cache it again with "
                "NAVSIM's run_metric_caching, or leave it out"
            ) from error
        return {name: np.asarray(found[name]) for name in self._stamp.layout.columns}

    def _score(self, path: Path, rows: Optional[npt.NDArray[np.int64]]) -> Columns:
        """Some rows one by one by the devkit's ``pdm_score``; the whole vocabulary in one call of its scorer.

        Both give the same columns, the joint call several times faster. Where traffic reacts each row has its own, so
        that no call holds several.
        """
        from navsim_agents.devkit.cache_pickle import read_metric_cache
        from navsim_agents.devkit.scoring import score_jointly_with_devkit, score_with_devkit

        cache, interval_s = read_metric_cache(path), self._stamp.interval_s
        is_reactive = self._stamp.traffic == REACTIVE
        if rows is None and not is_reactive:
            return score_jointly_with_devkit(cache, self._planned, interval_s).columns
        planned = self._planned if rows is None else self._planned[rows]
        return score_with_devkit(cache, planned, interval_s, reactive=is_reactive)


@contextmanager
def machines_faults_uncovered() -> Iterator[None]:
    """Within this context, a metric cache that cannot be read because of an OSError raises the OSError itself."""
    try:
        yield
    except DevkitError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from error
        raise


def build_shard(job: ShardJob) -> ShardResult:
    """Label the scenes of a shard and put it in place.

    A scene that breaks a rule is left out; its reason goes into the store. Any other error ends the run, which goes on
    from the last shard when it is started again: it may be the machine's fault, for which no scene may be left out.
    """
    torch.set_num_threads(job.settings.threads)
    stamp = job.plan.stamp
    scorer = open_scorer(_without_shard(job), stamp.backend)
    reference = open_scorer(_without_shard(job), "devkit") if stamp.verified else None
    records: dict[str, bytes] = {}
    failed: dict[str, str] = {}
    mismatches: list[dict[str, Any]] = []
    for token in job.plan.tokens:
        try:
            columns = scorer.columns(token)
            records[token] = stamp.layout.encode(columns)
            if reference is not None:
                mismatches += compare_some(token, columns, reference, stamp.layout, stamp.verified, stamp.seed)
        except NavsimDriveJepaError as error:
            records.pop(token, None)
            failed[token] = f"{type(error).__name__}: {error}"
    job.plan.write(ShardContent(records, failed, mismatches))
    return ShardResult(job.plan.shard, len(job.plan.tokens), failed, len(mismatches))


def build_shards(jobs: list[ShardJob]) -> list[ShardResult]:
    """The same for several, in the form that the devkit's workers map."""
    return [build_shard(job) for job in jobs]


def compare_some(
    token: str, columns: Columns, reference: TrajectoryScorer, layout: LabelLayout, count: int, seed: int
) -> list[dict[str, Any]]:
    """Where ``count`` random trajectories of a scene differ from the reference's columns; empty if nowhere.

    Discrete columns must be equal, continuous ones within 1e-6. The choice depends on scene and seed alone.
    """
    draw = np.random.default_rng([seed, zlib.crc32(token.encode())])
    rows = np.sort(draw.choice(layout.num_trajectories, min(count, layout.num_trajectories), replace=False))
    wanted = reference.columns(token, rows)
    found = []
    for name in layout.columns:
        ours, theirs = np.asarray(columns[name], dtype=np.float64)[rows], np.asarray(wanted[name], dtype=np.float64)
        limit = TOLERANCE if name in CONTINUOUS else 0.0
        for place in np.flatnonzero(~(np.abs(ours - theirs) <= limit)):
            found.append(
                {
                    "token": token,
                    "trajectory": int(rows[place]),
                    "column": name,
                    "batched": float(ours[place]),
                    "devkit": repr(float(theirs[place])),  # may be NaN, which JSON has not
                }
            )
    return found


def _without_shard(job: ShardJob) -> ShardJob:
    """The same for all shards of a store, so that what was opened serves again."""
    plan = ShardPlan(job.plan.folder, job.plan.stamp, 0, ())
    return ShardJob(job.settings, plan, job.device)


@lru_cache(maxsize=4)
def open_scorer(job: ShardJob, backend: str) -> TrajectoryScorer:
    """The scorer of a job, opened once a process."""
    return DevkitScorer(job) if backend == "devkit" else BatchedScorer(job)
