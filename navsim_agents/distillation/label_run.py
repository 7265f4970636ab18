"""A run of labelling: which labels of which scenes, the shards that are still to be made, and who makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Optional

from navsim_agents.common.conventions import POSE_INTERVAL_S
from navsim_agents.common.extras import require_extras
from navsim_agents.common.processes import run_jobs
from navsim_agents.devkit.variant import detect_host
from navsim_agents.distillation.label_stamp import LabelStamp, scenes_digest
from navsim_agents.distillation.label_writer import LabelStoreWriter
from navsim_agents.distillation.labelling import LabelSettings, ShardJob, ShardResult, build_shard, build_shards
from navsim_agents.distillation.vocabulary import load_vocabulary
from navsim_agents.errors import DevkitError, LabelError, NavsimDriveJepaError, SceneError
from navsim_agents.scenes import Scenes, open_metric_cache, open_scenes
from navsim_agents.scoring.config import LOG_REPLAY, METRICS, REACTIVE
from navsim_agents.scoring.scene_batch import refuse_unknown_inputs
from navsim_agents.scoring.traffic.checks import require_traffic

DISTRIBUTION = "navsim-drive-jepa"
MAX_LISTED = 10


@dataclass(frozen=True)
class LabelKind:
    """What labels are asked for; all of it is in the store's stamp."""

    metric: str
    backend: str  # of labelling.BACKENDS
    dtype: str  # of labelling.DTYPES
    threshold: float  # score from which on a trajectory is a teacher
    shard_size: int  # scenes a shard
    verified: int = 0  # trajectories of each scene that the devkit's own scorer scores too
    seed: int = 0  # of their choice
    traffic: str = LOG_REPLAY  # of scoring.config.TRAFFIC_NAMES


@dataclass(frozen=True)
class LabelWorkers:
    """What does the work: processes of this machine, or one of the devkit's workers."""

    processes: int = 1  # 0: this one alone
    name: Optional[str] = None  # of the devkit's config group worker
    options: Mapping[str, Any] = field(default_factory=dict)  # what that config says otherwise
    output_dir: str = ""  # where its workers write their logs

    def results(self, jobs: Sequence[ShardJob]) -> Iterator[ShardResult]:
        """What becomes of each shard, as they are made."""
        if self.name is None:
            yield from run_jobs(build_shard, jobs, self.processes)
        elif jobs:
            from navsim_agents.devkit.workers import map_with_worker

            yield from map_with_worker(self.name, self.options, self.output_dir, build_shards, list(jobs))


def plan_labels(
    output: str,
    kind: LabelKind,
    settings: LabelSettings,
    *,
    devices: Sequence[str] = ("cpu",),
    part: int = 0,
    num_parts: int = 1,
    retry_failed: bool = False,
) -> tuple[LabelStoreWriter, list[ShardJob]]:
    """The store, new or continued, and the shards of one part of it that are still to be made.

    Args:
        output: folder of the store.
        kind: which labels.
        settings: vocabulary and scenes, and how a process works on them.
        devices: shards are dealt to them in turn.
        part: this run makes every ``num_parts``-th shard from this one on.
        num_parts: runs that share the store.
        retry_failed: make those shards again that lack a scene.

    Raises:
        NavsimDriveJepaError: the vocabulary, the scenes or the store break a rule.
    """
    scenes = open_scenes(settings.scenes)
    stamp = _stamp(kind, settings.vocabulary, scenes)
    refuse_unknown_inputs(min(scenes.tokens), stamp.devkit, METRICS[stamp.metric])
    writer = LabelStoreWriter(output, stamp, scenes.tokens, scenes.checksums)
    missing = writer.missing(range(part, stamp.num_shards, num_parts), retry_failed)
    return writer, [
        ShardJob(settings, writer.plan(shard), devices[place % len(devices)]) for place, shard in enumerate(missing)
    ]


def _devkit_of(scenes: Scenes, kind: LabelKind) -> str:
    """Whose scenes they are: by the first that can be read; scenes of another devkit fail one by one.

    Raises:
        LabelError: none can be read.
        SceneError: the first lacks the traffic that is asked for.
    """
    if kind.backend == "devkit":
        return detect_host().variant.value
    reason: Optional[NavsimDriveJepaError] = None
    for token in sorted(scenes.tokens):
        try:
            scene = scenes.scene(token)
        except (SceneError, DevkitError) as error:
            reason = error
            continue
        if kind.traffic == REACTIVE:
            require_extras("traffic")
            require_traffic(scene)
        return scene.devkit
    raise LabelError(f"none of {len(scenes.tokens)} scenes can be read ({reason}); export the scenes again")


def _stamp(kind: LabelKind, vocabulary_path: str, scenes: Scenes) -> LabelStamp:
    vocabulary = load_vocabulary(vocabulary_path)
    return LabelStamp(
        devkit=_devkit_of(scenes, kind),
        metric=kind.metric,
        backend=kind.backend,
        dtype=kind.dtype,
        vocabulary_digest=vocabulary.digest,
        num_trajectories=len(vocabulary),
        interval_s=POSE_INTERVAL_S,  # labels are of the poses that planners learn from
        threshold=kind.threshold,
        package_version=_package_version(),
        scenes_digest=scenes_digest(scenes.tokens, scenes.checksums),
        num_scenes=len(scenes.tokens),
        shard_size=kind.shard_size,
        verified=kind.verified,
        seed=kind.seed if kind.verified else 0,
        traffic=kind.traffic,
    )


def _package_version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "not installed"


def check_devkit(metric: str, scenes: str) -> None:
    """Raises LabelError unless the devkit on the path can score the metric, InputError where it finds no scenes."""
    open_metric_cache(scenes)
    from navsim_agents.devkit.scoring import METRIC

    variant = detect_host().variant
    if METRIC.get(variant) != metric:
        raise LabelError(
            f"metric is {metric}, but the devkit on the path ({variant.value}) scores {METRIC.get(variant)}; put v1.1 "
            "on the path for pdms and v2.2 for epdms, or take backend=batched without verify"
        )


def summary(report: dict[str, Any], output: str) -> str:
    """A store's report in words."""
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
