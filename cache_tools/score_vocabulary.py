"""Labels scenes: a label store of every sub-score of every vocabulary trajectory in every scene.

    drive-jepa score-vocabulary scenes=STORE vocabulary=V.npy metric=epdms output=LABELS workers=2

Killed at any moment and run again, it goes on where it stopped and ends with the same bytes. Exit code 1 where an input
breaks a rule, no scene could be labelled, or the devkit's own scorer disagrees (``verify=k``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Optional

import torch
from tqdm import tqdm

from cache_tools.labelling import BACKENDS, DTYPES, LabelSettings, ShardJob, ShardResult, build_shard, build_shards
from navsim_agents.common.command import command
from navsim_agents.common.conventions import EPDMS_NAME, POSE_INTERVAL_S
from navsim_agents.common.processes import run_jobs
from navsim_agents.common.settings import READS, SEED, WRITES_FOLDER, at_least
from navsim_agents.devkit.variant import detect_host
from navsim_agents.distillation import LabelStamp, LabelStoreWriter, Vocabulary, load_vocabulary, scenes_digest
from navsim_agents.errors import DevkitError, LabelError, NavsimDriveJepaError, SceneError
from navsim_agents.scenes import Scenes, open_metric_cache, open_scenes
from navsim_agents.scoring.config import METRICS
from navsim_agents.scoring.scene_batch import refuse_unknown_inputs

DISTRIBUTION = "navsim-drive-jepa"
MAX_LISTED = 10


@dataclass(frozen=True)
class ScoreVocabularyConfig:
    """Options of the command, explained in ``conf/score_vocabulary.yaml``."""

    vocabulary: str = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    scenes: str = field(metadata=READS)
    verify_scenes: Optional[str] = field(default=None, metadata=READS)
    metric: str = EPDMS_NAME
    backend: str = "batched"
    verify: int = 0
    seed: int = field(default=0, metadata=SEED)
    threshold: float = 0.95
    shard_size: int = field(default=32, metadata=at_least(1))
    dtype: str = "float64"
    chunk: int = field(default=2048, metadata=at_least(1))
    devices: list[str] = field(default_factory=lambda: ["cpu"])
    workers: int = field(default=1, metadata=at_least(0))
    threads: int = field(default=1, metadata=at_least(1))
    worker: Optional[str] = None
    worker_options: dict[str, Any] = field(default_factory=dict)
    output_dir: str = "label_worker_logs"
    part: int = 0
    num_parts: int = 1
    retry_failed: bool = False

    def check(self) -> None:
        """Raises at the first option that breaks a rule: LabelError, or of what the devkit reads InputError."""
        if self.dtype not in DTYPES:
            raise LabelError(f"dtype is {self.dtype!r}, but must be one of {', '.join(DTYPES)}")
        if not 0 <= self.part < self.num_parts:
            raise LabelError(f"part is {self.part} of num_parts={self.num_parts}, but parts count from 0; correct it")
        if self.backend not in BACKENDS:
            raise LabelError(f"backend is {self.backend!r}, but must be one of {', '.join(BACKENDS)}")
        if self.verify < 0 or (self.verify and self.backend != "batched"):
            raise LabelError(f"verify is {self.verify}, but checks backend=batched only; set it to 0")
        for name in self.devices:
            _check_device(name)
        if self.asks_devkit:
            _check_devkit(self.metric, self.devkit_scenes)

    @property
    def devkit_scenes(self) -> str:
        """The metric cache that the devkit's own scorer reads, where it takes part."""
        is_checked = self.backend == "batched" and self.verify_scenes is not None
        return str(self.verify_scenes) if is_checked else self.scenes

    @property
    def asks_devkit(self) -> bool:
        """Whether the devkit's own scorer takes part."""
        return self.backend == "devkit" or self.verify > 0


def label_scenes(config: ScoreVocabularyConfig) -> dict[str, Any]:
    """Do this run's part of the store and return its report, which is also written once every shard is there.

    Raises:
        NavsimDriveJepaError: an option, the vocabulary, the scenes or the store breaks a rule, or a worker died.
    """
    writer, jobs = plan_run(config)
    stamp = writer.stamp
    mine = range(config.part, stamp.num_shards, config.num_parts)
    total, left = (sum(map(len, map(writer.tokens_of, shards))) for shards in (mine, [job.plan.shard for job in jobs]))
    print(f"{stamp.num_scenes} scenes in {stamp.num_shards} shards; {total - left} of this run's {total} are labelled")
    with tqdm(total=total, initial=total - left, desc="labels", unit="scene", disable=not jobs) as progress:
        for result in _run(config, jobs):
            progress.update(result.num_scenes)
    return writer.finish()


def plan_run(config: ScoreVocabularyConfig) -> tuple[LabelStoreWriter, list[ShardJob]]:
    """The store, new or continued, and this run's shards that are still to be made.

    Raises:
        NavsimDriveJepaError: as :func:`label_scenes`.
    """
    config.check()
    scenes = open_scenes(config.scenes)
    stamp = _stamp(config, load_vocabulary(config.vocabulary), scenes)
    refuse_unknown_inputs(min(scenes.tokens), stamp.devkit, METRICS[stamp.metric])
    writer = LabelStoreWriter(config.output, stamp, scenes.tokens, scenes.checksums)
    missing = writer.missing(range(config.part, stamp.num_shards, config.num_parts), config.retry_failed)
    settings = LabelSettings(config.vocabulary, config.scenes, config.devkit_scenes, config.chunk, config.threads)
    devices = config.devices
    return writer, [
        ShardJob(settings, writer.plan(shard), devices[place % len(devices)]) for place, shard in enumerate(missing)
    ]


def _run(config: ScoreVocabularyConfig, jobs: list[ShardJob]) -> Iterator[ShardResult]:
    """On processes of this machine, or on NAVSIM's worker."""
    if config.worker is None:
        yield from run_jobs(build_shard, jobs, config.workers)
    elif jobs:
        from navsim_agents.devkit.workers import map_with_worker

        yield from map_with_worker(config.worker, config.worker_options, config.output_dir, build_shards, jobs)


def _devkit_of(scenes: Scenes, backend: str) -> str:
    """Whose scenes they are: by the first that can be read; scenes of another devkit fail one by one."""
    if backend == "devkit":
        return detect_host().variant.value
    reason: Optional[NavsimDriveJepaError] = None
    for token in sorted(scenes.tokens):
        try:
            return scenes.scene(token).devkit
        except (SceneError, DevkitError) as error:
            reason = error
    raise LabelError(f"none of {len(scenes.tokens)} scenes can be read ({reason}); export the scenes again")


def _stamp(config: ScoreVocabularyConfig, vocabulary: Vocabulary, scenes: Scenes) -> LabelStamp:
    return LabelStamp(
        devkit=_devkit_of(scenes, config.backend),
        metric=config.metric,
        backend=config.backend,
        dtype=config.dtype,
        vocabulary_digest=vocabulary.digest,
        num_trajectories=len(vocabulary),
        interval_s=POSE_INTERVAL_S,  # labels are of the poses that planners learn from
        threshold=config.threshold,
        package_version=_package_version(),
        scenes_digest=scenes_digest(scenes.tokens, scenes.checksums),
        num_scenes=len(scenes.tokens),
        shard_size=config.shard_size,
        verified=config.verify,
        seed=config.seed if config.verify else 0,
    )


def _package_version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "not installed"


def _check_devkit(metric: str, scenes: str) -> None:
    """Raises LabelError unless the devkit on the path can score the metric, InputError where it finds no scenes."""
    open_metric_cache(scenes)
    from navsim_agents.devkit.scoring import METRIC

    variant = detect_host().variant
    if METRIC.get(variant) != metric:
        raise LabelError(
            f"metric is {metric}, but the devkit on the path ({variant.value}) scores {METRIC.get(variant)}; put v1.1 "
            "on the path for pdms and v2.2 for epdms, or take backend=batched without verify"
        )


def _check_device(name: str) -> None:
    try:
        kind = torch.device(name).type
    except RuntimeError as error:
        raise LabelError(f"device is {name!r}, but must be cpu or cuda, with an index if need be") from error
    if kind not in ("cpu", "cuda"):
        raise LabelError(f"device is {name!r}, but must be cpu or cuda, with an index if need be")
    if kind == "cuda" and not torch.cuda.is_available():
        raise LabelError(f"device is {name!r}, but torch finds no CUDA device; use devices=[cpu]")


def summary(report: dict[str, Any], output: str) -> str:
    """What the command says at its end."""
    lines = [
        f"{report['labelled']} of {report['scenes']} scenes labelled, {report['bytes_per_scene']} bytes each: {output}"
    ]
    if report["shards_missing"]:
        lines.append(f"{report['shards_missing']} shards are still to be made by other parts")
    for title, rows in (
        ("failed", [f"{token}: {reason}" for token, reason in report["failed"].items()]),
        ("mismatches with the devkit's scorer", [str(row) for row in report["mismatches"]]),
    ):
        if rows:
            shown = rows[:MAX_LISTED] + ([f"… and {len(rows) - MAX_LISTED} more"] if len(rows) > MAX_LISTED else [])
            lines += [f"{len(rows)} {title}:", *(f"  {row}" for row in shown)]
    return "\n".join(lines)


@command(ScoreVocabularyConfig, "cache_tools.conf.score_vocabulary")
def main(config: ScoreVocabularyConfig) -> None:
    """Label as configured and say what there is now."""
    report = label_scenes(config)
    print(summary(report, config.output))
    if report["mismatches"] or not report["labelled"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
