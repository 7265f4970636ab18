"""Times the traffic that reacts to many plans of one scene: beside our log replay, and beside the devkit's one by one.

    python -m benchmarks.reactive_traffic [--plans 256] [--plot FILE]
    python -m benchmarks.reactive_traffic --metric-cache FOLDER [--scenes 60] [--added 0 40] [--devkit-plans 4]

The second form needs devkit v2.2 on the path, and ``NUPLAN_MAPS_ROOT``: it takes scenes of a metric cache, each with so
many vehicles more, and compares every box at every step with the devkit's. Without a cache the scenes are those of the
tests' small net of roads. Times are the process's own (CPU), one thread; medians and the worst scene.
The ratio is of the whole scorer with traffic=reactive to the same with traffic=log_replay.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import torch

from benchmarks.scoring_tools import fresh, peak_mb
from navsim_agents.devkit.parity_plans import plans_among_others
from navsim_agents.devkit.traffic_parity import box_distance
from navsim_agents.scoring import ScoringScene, score_trajectories
from navsim_agents.scoring.config import REACTIVE
from navsim_agents.scoring.traffic.engine import plans_traffic, plans_traffic_with_effort
from navsim_agents.scoring.traffic.reactive import Traffic
from navsim_agents.scoring.traffic.roles import Role
from tests.scoring.traffic.busy import busy_scene

BUSY = (2, 4, 8, 16, 24, 32)  # vehicles of the tests' roads
REPEATS = 3
SAME = 1e-6  # m and rad
MOST = 3.0  # log replays that traffic and scores shall take


@dataclass(frozen=True)
class Row:
    """What one scene took; times in s."""

    name: str
    reacting: int
    met: float  # share of the plans that change what somebody does
    prepare: float
    traffic: float
    replay: float  # scored in the log's traffic
    whole: float  # scored in the traffic that reacts, simulation and all
    slow: int  # plans that were simulated one by one
    devkit: float = np.nan  # a plan
    compared: int = 0  # plans
    worst: float = np.nan  # m and rad, of all boxes
    misses: int = 0  # steps at which other tracks are there


def cpu_s(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time [s] of this process after one run to warm up."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return float(np.median(taken))


def measure(name: str, scene: ScoringScene, num_plans: int, seed: int, cached: Any = None, num_devkit: int = 0) -> Row:
    """One scene: log replay, preparation, traffic; and the devkit on some of the plans."""
    plans = torch.from_numpy(
        plans_among_others(max(float(scene.ego_state[3]), 3.0), num_plans, np.random.default_rng(seed))
    )
    states = score_trajectories(scene, plans)["simulated_states"].double().numpy()
    traffic, effort = plans_traffic_with_effort(scene, states)
    both = cpu_s(lambda: plans_traffic(fresh(scene), states[:1])) - cpu_s(lambda: fresh(scene))
    row = Row(
        name=name,
        reacting=int((scene.traffic_role == Role.REACTS).sum()),
        met=len(np.unique(traffic.own_plan)) / num_plans,
        prepare=both,
        traffic=cpu_s(lambda: plans_traffic(scene, states)),
        replay=cpu_s(lambda: score_trajectories(scene, plans)),
        whole=cpu_s(lambda: score_trajectories(scene, plans, traffic=REACTIVE)),
        slow=effort.num_slow,
    )
    if num_devkit == 0:
        return row
    chosen = np.random.default_rng(seed).choice(num_plans, min(num_devkit, num_plans), replace=False)
    return _beside_devkit(row, scene, cached, states, traffic.of_plan, chosen)


def _beside_devkit(
    row: Row,
    scene: ScoringScene,
    cached: Any,
    states: np.ndarray,
    of_plan: Callable[[int], Traffic],
    chosen: np.ndarray,
) -> Row:
    from tests.devkit.boxes import devkit_boxes

    taken, worst, misses = [], 0.0, 0
    for plan in chosen.tolist():
        start = time.process_time()
        wanted = devkit_boxes(cached, scene, states[plan])
        taken.append(time.process_time() - start)
        off, missed = box_distance(of_plan(plan), wanted)
        if off > SAME or missed:
            print(f"{row.name}, plan {plan}: {off:.1e} m or rad, other tracks at {missed} steps", flush=True)
        worst, misses = max(worst, off), misses + missed
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return Row(
        **{**values, "devkit": float(np.median(taken)), "compared": len(chosen), "worst": worst, "misses": misses}
    )


def cached_scenes(folder: Path, count: int, added: list[int]) -> Iterator[tuple[str, ScoringScene, Any]]:
    """Scenes of a metric cache, evenly spaced, each with so many vehicles more."""
    from navsim_agents.devkit.cache_files import list_metric_cache
    from navsim_agents.devkit.cache_pickle import read_metric_cache
    from navsim_agents.devkit.metric_cache import scoring_scene_of
    from tests.devkit.crowd import crowded

    entries = list_metric_cache(folder).entries
    for index, entry in enumerate(entries[:: max(1, len(entries) // count)][:count]):
        number = added[index % len(added)]
        cached = read_metric_cache(entry.path)
        cached = crowded(cached, number, seed=index) if number else cached
        yield f"{entry.token} + {number}", scoring_scene_of(cached, with_traffic=True), cached


def report(rows: list[Row], num_plans: int) -> None:
    """Medians and the worst scene."""
    ratio = np.array([row.whole / row.replay for row in rows])
    traffic, replay, prepare = (
        np.array([getattr(row, name) for row in rows]) for name in ("traffic", "replay", "prepare")
    )
    print(
        f"{len(rows)} scenes x {num_plans} plans, one thread; "
        f"plans simulated one by one: {sum(row.slow for row in rows)}"
    )
    print(
        f"traffic: median {1e3 * np.median(traffic):.0f} ms, worst {1e3 * traffic.max():.0f} ms; "
        f"once a scene: median {1e3 * np.median(prepare):.0f} ms, worst {1e3 * prepare.max():.0f} ms"
    )
    print(f"log replay, scored: median {1e3 * np.median(replay):.0f} ms")
    print(
        f"traffic and scores in it: median {1e3 * np.median([row.whole for row in rows]):.0f} ms; as many log replays: "
        f"median {np.median(ratio):.2f}, worst {ratio.max():.2f}; "
        f"at most {MOST:.0f} in {int((ratio <= MOST).sum())} scenes"
    )
    beside = [row for row in rows if row.compared]
    if beside:
        gain = np.array([num_plans * row.devkit / row.traffic for row in beside])
        print(
            f"devkit: median {np.median([row.devkit for row in beside]):.2f} s a plan; {num_plans} plans take it "
            f"{np.median(gain):.0f} times as long, at least {gain.min():.0f} times"
        )
        print(
            f"{sum(row.compared for row in beside)} plans compared: "
            f"largest difference {max(row.worst for row in beside):.1e} m or rad; "
            f"steps with other tracks: {sum(row.misses for row in beside)}"
        )


def plot(rows: list[Row], path: Path) -> None:
    """Cost against the vehicles that react, and against the share of plans that meet them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8.0, 3.2), sharey=True, layout="constrained")
    milliseconds = [1e3 * row.traffic for row in rows]
    axes[0].plot([row.reacting for row in rows], milliseconds, "o", color="tab:blue")
    axes[0].set(xlabel="vehicles that react", ylabel="traffic of all plans [ms]", ylim=(0.0, None))
    axes[1].plot([row.met for row in rows], milliseconds, "o", color="tab:blue")
    axes[1].set(xlabel="share of plans that change what somebody does")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def main() -> None:
    """Measure, print and plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--metric-cache", type=Path, nargs="*", default=[])
    parser.add_argument("--scenes", type=int, default=8, help="of each cache")
    parser.add_argument("--added", type=int, nargs="+", default=[0, 40])
    parser.add_argument("--plans", type=int, default=256)
    parser.add_argument("--devkit-plans", type=int, default=2)
    parser.add_argument("--plot", type=Path, help="where a plot goes; default: none is drawn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    last: Optional[ScoringScene] = None
    if not options.metric_cache:
        for seed, count in enumerate(BUSY):
            rows.append(measure(f"busy roads, {count}", busy_scene(seed, count), options.plans, seed))
    for folder in options.metric_cache:
        for name, scene, cached in cached_scenes(folder, options.scenes, options.added):
            rows.append(measure(name, scene, options.plans, len(rows), cached, options.devkit_plans))
            last = scene
            print(rows[-1], flush=True)
    report(rows, options.plans)
    if last is not None:
        states = np.zeros((options.plans, 41, 11))
        print(f"peak memory {peak_mb(lambda: plans_traffic(last, states)):.0f} MB")
    if options.plot is not None:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
