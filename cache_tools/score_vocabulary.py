"""Labels scenes: a label store of every sub-score of every vocabulary trajectory in every scene.

    drive-jepa score-vocabulary scenes=STORE vocabulary=V.npy metric=epdms output=LABELS workers=2

Killed at any moment and run again, it goes on where it stopped and ends with the same bytes. Exit code 1 where an input
breaks a rule, no scene could be labelled, or the devkit's own scorer disagrees (``verify=k``).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any, Optional

from tqdm import tqdm

from navsim_agents.common.command import command
from navsim_agents.common.conventions import EPDMS_NAME, TEACHER_THRESHOLD
from navsim_agents.common.devices import named_device
from navsim_agents.common.settings import READS, SEED, WRITES_FOLDER, at_least
from navsim_agents.distillation import LabelStoreWriter
from navsim_agents.distillation.label_run import LabelKind, LabelWorkers, check_devkit, plan_labels, summary
from navsim_agents.distillation.labelling import BACKENDS, DTYPES, LabelSettings, ShardJob
from navsim_agents.errors import LabelError
from navsim_agents.scoring.config import LOG_REPLAY


@dataclass(frozen=True)
class ScoreVocabularyConfig:
    """Options of the command, explained in ``conf/score_vocabulary.yaml``."""

    vocabulary: str = field(metadata=READS)
    output: str = field(metadata=WRITES_FOLDER)
    scenes: str = field(metadata=READS)
    verify_scenes: Optional[str] = field(default=None, metadata=READS)
    metric: str = EPDMS_NAME
    traffic: str = LOG_REPLAY
    backend: str = "batched"
    verify: int = 0
    seed: int = field(default=0, metadata=SEED)
    threshold: float = TEACHER_THRESHOLD
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
        """Raises LabelError at the first option that breaks a rule, InputError if the devkit's scenes are missing."""
        if self.dtype not in DTYPES:
            raise LabelError(f"dtype is {self.dtype!r}, but must be one of {', '.join(DTYPES)}")
        if not 0 <= self.part < self.num_parts:
            raise LabelError(f"part is {self.part} of num_parts={self.num_parts}, but parts count from 0; correct it")
        if self.backend not in BACKENDS:
            raise LabelError(f"backend is {self.backend!r}, but must be one of {', '.join(BACKENDS)}")
        if self.verify < 0 or (self.verify and self.backend != "batched"):
            raise LabelError(f"verify is {self.verify}, but checks backend=batched only; set it to 0")
        for name in self.devices:
            named_device(name, LabelError)
        if self.asks_devkit:
            check_devkit(self.metric, self.devkit_scenes)

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
    workers = LabelWorkers(config.workers, config.worker, config.worker_options, config.output_dir)
    with tqdm(total=total, initial=total - left, desc="labels", unit="scene", disable=not jobs) as progress:
        for result in workers.results(jobs):
            progress.update(result.num_scenes)
    return writer.finish()


def plan_run(config: ScoreVocabularyConfig) -> tuple[LabelStoreWriter, list[ShardJob]]:
    """The store, new or continued, and this run's shards that are still to be made.

    Raises:
        NavsimDriveJepaError: as :func:`label_scenes`.
    """
    config.check()
    return plan_labels(
        config.output,
        LabelKind(
            config.metric,
            config.backend,
            config.dtype,
            config.threshold,
            config.shard_size,
            config.verify,
            config.seed,
            config.traffic,
        ),
        LabelSettings(config.vocabulary, config.scenes, config.devkit_scenes, config.chunk, config.threads),
        devices=config.devices,
        part=config.part,
        num_parts=config.num_parts,
        retry_failed=config.retry_failed,
    )


@command(ScoreVocabularyConfig, "cache_tools.conf.score_vocabulary")
def main(config: ScoreVocabularyConfig) -> None:
    """Label as configured and print what the store holds."""
    report = label_scenes(config)
    print(summary(report, config.output))
    if report["mismatches"] or not report["labelled"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
