"""Times the labelling of scenes with a whole vocabulary, and projects it to the training split.

    python -m benchmarks.labels [--scenes FOLDER] [--vocabulary 8192.npy] [--workers 2] [--count 24] [--metric epdms]

The command's own jobs run on ``--workers`` processes of one thread each. The rate leaves out the first scene of
every process, so that the start of Python does not count; the projection is by processor time. Best on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.scoring_tools import VOCABULARY, scenes_of
from cache_tools.score_vocabulary import ScoreVocabularyConfig, plan_run
from navsim_agents.common.processes import run_jobs
from navsim_agents.distillation import LabelStore, Vocabulary, save_vocabulary
from navsim_agents.distillation.labelling import ShardJob, build_shard
from navsim_agents.scoring import SceneStoreWriter

NAVTRAIN_SCENES = 103_288
CORES = (1, 8, 64)
PUBLISHED = "published: 1 to 2 days on 32 machines for 16,384 trajectories a scene"
SECONDS_PER_DAY = 86_400.0


def store_scenes(source: Path | None, folder: Path, count: int) -> int:
    """``count`` scenes, each under a token of its own; how many different ones there are."""
    scenes = scenes_of(source, count)
    with SceneStoreWriter(folder) as writer:
        for number, scene in enumerate(scenes):
            writer.add(replace(scene, token=f"{number:016x}"))
    return len({scene.token for scene in scenes})


def vocabulary_path(path: Path, folder: Path) -> Path:
    """The vocabulary, or 8192 random smooth trajectories where there is none."""
    if path.exists():
        return path
    print(f"no vocabulary at {path}: random arcs instead")
    draw, t = np.random.default_rng(0), 0.1 * np.arange(1, 41)
    speed, turn = draw.uniform(0, 14, (8192, 1)), draw.normal(0, 0.15, (8192, 1))
    heading = turn * t
    steps = 0.1 * speed * np.stack((np.cos(heading), np.sin(heading)))
    poses = np.concatenate((np.cumsum(steps, axis=-1), heading[None])).transpose(1, 2, 0)
    save_vocabulary(Vocabulary(torch.from_numpy(poses.astype(np.float32))), folder / "random.npy")
    return folder / "random.npy"


def processor_seconds(job: ShardJob) -> float:
    """Make one shard; the processor time of this process that it took."""
    start = time.process_time()
    build_shard(job)
    return time.process_time() - start


def measure(config: ScoreVocabularyConfig) -> tuple[float, float]:
    """Wall seconds a scene on all processes together, and the median processor seconds a scene of one."""
    _, jobs = plan_run(config)
    done_s, busy_s = [], []
    for busy in run_jobs(processor_seconds, jobs, config.workers):
        done_s.append(time.perf_counter())
        busy_s.append(busy)
    skipped = config.workers  # the first scene of each process
    return (done_s[-1] - done_s[skipped - 1]) / (len(done_s) - skipped), statistics.median(busy_s)


def report_reading(store: LabelStore) -> None:
    """How long it takes to read a scene's labels."""
    tokens = store.tokens
    start = time.perf_counter()
    for token in tokens:
        store.scores(token)
    each = (time.perf_counter() - start) / len(tokens)
    start = time.perf_counter()
    for token in tokens:
        store.is_teacher(token)
    quick = (time.perf_counter() - start) / len(tokens)
    print(f"reading: {1e3 * each:.2f} ms a scene for scores, {1e3 * quick:.2f} ms for teachers alone")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=Path, help="SceneStore, or folder of recorded scenes")
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--metric", default="epdms")
    parser.add_argument("--dtype", default="float64")
    return parser.parse_args()


def report_projection(busy_s: float, record_bytes: int) -> None:
    """Days and gigabytes of the training split, at ``busy_s`` seconds of a core a scene."""
    total_gb = record_bytes * NAVTRAIN_SCENES / 1e9
    print(f"navtrain, {NAVTRAIN_SCENES} scenes, {total_gb:.2f} GB ({PUBLISHED}):")
    for cores in CORES:
        days = busy_s / cores * NAVTRAIN_SCENES / SECONDS_PER_DAY
        print(f"  {cores} cores: {days:.3f} days, were each as fast as one here")


def main() -> None:
    """Run everything and print one line a figure."""
    options = read_options()
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        num_different = store_scenes(options.scenes, folder / "scenes", options.count)
        config = ScoreVocabularyConfig(
            scenes=str(folder / "scenes"),
            vocabulary=str(vocabulary_path(options.vocabulary, folder)),
            output=str(folder / "labels"),
            metric=options.metric,
            dtype=options.dtype,
            shard_size=1,
            workers=options.workers,
        )
        each_s, busy_s = measure(config)
        store = LabelStore.open(folder / "labels")
        teachers = np.mean([store.is_teacher(token).sum() for token in store])
        print(
            f"{store.layout.num_trajectories} trajectories, {options.count} scenes ({num_different} different), "
            f"{options.metric} in {options.dtype}, {options.workers} processes: {60.0 / each_s:.1f} scenes a minute"
        )
        print(
            f"processor time: {busy_s:.3f} s a scene, so {60.0 * options.workers / busy_s:.1f} scenes a minute without "
            "other load"
        )
        print(f"{store.layout.record_bytes} bytes a scene; {teachers:.0f} teachers a scene on average")
        report_projection(busy_s, store.layout.record_bytes)
        report_reading(store)
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024.0
    print(f"peak memory of a process: {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
