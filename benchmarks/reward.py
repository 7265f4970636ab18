"""Plans a second and core that are scored as rewards: directly, and by a pool of workers, which take turns.

    python -m benchmarks.reward                              # golden scenes, one worker
    python -m benchmarks.reward --workers 8 --backend ray    # where Ray is installed
    … --metric-cache PATH                                    # beside a pool of the devkit's own scorer, in the same run

Medians. One thread scores directly, and one in each worker. Others' work hardly counts in processor time, which is
that of this process and its workers together; wall time counts cores as they are busy. Both are Linux's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

import torch

from benchmarks.scoring_tools import VOCABULARY, peak_mb, plans_from, scenes_of
from navsim_agents.common.processes import run_jobs
from navsim_agents.reward import RewardPool
from navsim_agents.scenes import open_metric_cache
from navsim_agents.scoring import ScoringScene, score_scenes
from navsim_agents.scoring.aggregate import SCORE

TICKS = os.sysconf("SC_CLK_TCK")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, help="as SCENES of commands; recorded ones of v2.2 by default")
    parser.add_argument("--batch", type=int, default=64, help="scenes at once")
    parser.add_argument("--plans", type=int, default=32, help="of each scene")
    parser.add_argument("--metric", choices=list(SCORE), default="epdms")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--backend", choices=["processes", "ray"], default="processes")
    parser.add_argument("--calls", type=int, default=5, help="in each turn")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--metric-cache", type=Path, help="of the devkit on the path")
    return parser.parse_args(arguments)


def family() -> list[Path]:
    """Folders in /proc of this process and all that descend from it."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[folder.name] = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended meanwhile
            continue
    found = [str(os.getpid())]
    for name in found:
        found += [child for child, parent in parents.items() if parent == name]
    return [Path("/proc") / name for name in found]


def processor_s() -> float:
    """Time [s] that processors have worked for this process and its workers, the kernel's included."""
    fields = [(folder / "stat").read_text().rpartition(")")[2].split() for folder in family()]
    return sum(int(field[11]) + int(field[12]) for field in fields) / TICKS


def peaks_mb() -> list[float]:
    """Largest resident memory [MB] of each worker so far."""
    texts = [(folder / "status").read_text() for folder in family()[1:]]
    return [int(text.split("VmHWM:")[1].split()[0]) / 1024.0 for text in texts if "VmHWM:" in text]


def measure(works: dict[str, Callable[[], object]], calls: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Median wall and processor time [s] of one call of each, after one to warm up; they take turns."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            wall, processor = time.perf_counter(), processor_s()
            for _ in range(calls):
                work()
            if turn:
                worked = max(processor_s() - processor, 1.0 / TICKS)  # the clock's tick: less cannot be told
                seconds[name].append(((time.perf_counter() - wall) / calls, worked / calls))
    return {name: tuple(map(statistics.median, zip(*pairs))) for name, pairs in seconds.items()}  # type: ignore[misc]


def report(options: argparse.Namespace, scenes: dict[str, ScoringScene]) -> None:
    """Both ways on the same plans."""
    tokens, count = list(scenes), len(scenes) * options.plans
    vocabulary, loose = plans_from(VOCABULARY), list(scenes.values())
    drawn = torch.randint(len(vocabulary), (len(scenes), options.plans), generator=torch.Generator().manual_seed(0))
    plans = vocabulary[drawn]

    def direct() -> torch.Tensor:
        return score_scenes(loose, plans, metric=options.metric).columns[SCORE[options.metric]]

    with RewardPool(scenes, options.metric, workers=options.workers, backend=options.backend) as pool:

        def pooled() -> torch.Tensor:
            return pool.rewards(tokens, plans)

        print(f"largest difference of the rewards: {float((direct() - pooled()).abs().max()):.1e}")
        times = measure({"direct": direct, "pool": pooled}, options.calls, options.repeats)
        workers_mb = peaks_mb()
    for name, cores in (("direct", 1), ("pool", options.workers)):
        wall, processor = times[name]
        print(
            f"{name}: {count} plans in {1e3 * wall:.1f} ms, {count / wall / cores:.0f} plans a second and core; "
            f"{1e3 * processor:.1f} ms of processors, {count / processor:.0f} plans a second of them"
        )
    (wall, processor), (pool_wall, pool_processor) = times["direct"], times["pool"]
    print(
        f"overhead of the pool: {pool_processor / processor - 1:.1%} of processor time, "
        f"{pool_wall * options.workers / wall - 1:.1%} of wall time and core"
    )
    print(f"peak memory: {peak_mb(direct):.0f} MB directly; each worker {max(workers_mb, default=0.0):.0f} MB at most")


def report_devkit(options: argparse.Namespace) -> None:
    """As many processes of the devkit's own scorer, each scene's cache read from disk, as the released code does."""
    from benchmarks.training_step import score_in_pool

    cache = open_metric_cache(str(options.metric_cache))
    chosen = [cache.tokens[row % len(cache.tokens)] for row in range(options.batch)]
    plans = plans_from(VOCABULARY)[: options.plans].numpy()
    jobs = [(cache.entries[token].path, plans) for token in chosen]
    start, scored = time.perf_counter(), 0
    for number, answered in enumerate(run_jobs(score_in_pool, [*jobs[: options.workers], *jobs], options.workers)):
        scored += answered
        if number + 1 == options.workers:  # imports are done
            start, scored = time.perf_counter(), 0
    rate = scored / (time.perf_counter() - start) / options.workers
    print(f"the devkit's scorer in {options.workers} processes: {rate:.1f} plans a second and core")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    found = scenes_of(options.scenes, options.batch)
    scenes = {f"{row}_{scene.token}": ScoringScene.from_arrays(scene.to_arrays()) for row, scene in enumerate(found)}
    print(
        f"torch {torch.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {len(scenes)} scenes x "
        f"{options.plans} plans, {options.metric}; {options.workers} workers, {options.backend}"
    )
    report(options, scenes)
    if options.metric_cache is not None:
        report_devkit(options)


if __name__ == "__main__":
    main()
