"""Times the batched scorer: absolute, against slow loops and the devkit, and as its inputs grow.

    python -m benchmarks.scoring [--parts vocabulary training precision growth devkit] [--device cuda]

The devkit's part needs ``--metric-cache``, a file that the devkit's run_metric_caching wrote. Medians; run it on an
idle machine.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from benchmarks import scoring_devkit, scoring_growth
from benchmarks.scoring_tools import ROOT, VOCABULARY, fresh, golden_paths, median_s, peak_mb, plans_from
from navsim_agents.scoring import (
    ScoringScene,
    pack_scene,
    packed_size,
    score_batch,
    score_trajectories,
    unpack_scenes,
)
from navsim_agents.scoring.aggregate import COLUMNS, SCORE
from navsim_agents.scoring.packed_layout import ALIGNMENT
from tests.scoring.slow import SlowScorer

PARTS = ("vocabulary", "training", "precision", "growth", "devkit")
TRAINING_SCENES, TRAINING_PROPOSALS = 64, {"cpu": 32, "cuda": 64}
SLOW_TRAJECTORIES = 4
SAME = 1e-3  # sub-scores closer than that agree
METRIC = {"v1.1": "pdms", "v2.2": "epdms"}


def report_vocabulary(scene: ScoringScene, plans: torch.Tensor, repeats: int, device: str) -> None:
    """All of the vocabulary on one scene, and the slow loops."""
    here, moved = plans.to(device), scene.to(device)
    for dtype in (torch.float64, torch.float32):
        warm = median_s(lambda d=dtype: score_trajectories(moved, here, dtype=d), repeats, device)
        print(f"{len(plans)} trajectories x 1 scene, {dtype}: {warm:.3f} s")
    if device != "cpu":
        return
    warm = median_s(lambda: score_trajectories(scene, plans), repeats)
    build = median_s(lambda: fresh(scene).index, repeats)
    print(f"its index: {1e3 * build:.1f} ms; peak memory {peak_mb(lambda: score_trajectories(scene, plans)):.0f} MB")
    slow = SlowScorer(scene, "epdms")
    chosen = plans[:: len(plans) // SLOW_TRAJECTORIES][:SLOW_TRAJECTORIES]
    start = time.perf_counter()
    wanted = [slow.score(poses.numpy())["pdm_score"] for poses in chosen]
    each = (time.perf_counter() - start) / len(chosen)
    found = score_trajectories(scene, chosen)["pdm_score"].tolist()
    print(f"slow loops: {each:.3f} s a trajectory, {each * len(plans) / warm:.0f} times as long (extrapolated)")
    print(f"largest difference of the scores: {max(abs(a - b) for a, b in zip(wanted, found)):.1e}")


def report_training(scenes: list[ScoringScene], plans: torch.Tensor, repeats: int, device: str) -> None:
    """One training step's worth of proposals, from packed scenes."""
    proposals = TRAINING_PROPOSALS[device]
    batch = [fresh(scenes[row % len(scenes)]) for row in range(TRAINING_SCENES)]
    start = time.perf_counter()
    for scene in batch:
        _ = scene.index
    build = (time.perf_counter() - start) / len(batch)
    sizes = [packed_size(scene) for scene in batch]
    num_bytes = -(-max(sizes) // ALIGNMENT) * ALIGNMENT
    packed = torch.stack([pack_scene(scene, num_bytes) for scene in batch]).to(device)
    order = torch.randperm(len(plans), generator=torch.Generator().manual_seed(0))
    rows = plans[order[: TRAINING_SCENES * proposals]].unflatten(0, (TRAINING_SCENES, proposals)).to(device)
    print(f"index {1e3 * build:.1f} ms a scene; packed {min(sizes) // 1024} to {max(sizes) // 1024} KiB a scene")
    for dtype in (torch.float64, torch.float32):
        unpack = median_s(lambda d=dtype: unpack_scenes(packed, "epdms", dtype=d), repeats, device)
        both = median_s(lambda d=dtype: score_batch(unpack_scenes(packed, "epdms", dtype=d), rows), repeats, device)
        print(f"{len(batch)} scenes x {proposals} proposals, {dtype}: {both:.3f} s, of which unpacking {unpack:.3f} s")


def report_precision(device: str) -> None:
    """How often float32 disagrees with float64 on the golden trajectories, a sub-score at a time."""
    for version, metric in METRIC.items():
        differs: defaultdict[str, list[bool]] = defaultdict(list)
        for path in golden_paths(version):
            scene = ScoringScene.load(path).to(device)
            plans = torch.from_numpy(np.load(path.with_name(path.name.replace("scene", "expected")))["trajectories"])
            double, single = (
                score_trajectories(scene, plans, metric=metric, dtype=dtype) for dtype in (torch.float64, torch.float32)
            )
            for name in COLUMNS[metric]:
                differs[name] += ((double[name] - single[name].double()).abs() > SAME).tolist()
        count = len(differs[SCORE[metric]])
        rates = ", ".join(f"{name} {100.0 * sum(flags) / count:.2f} %" for name, flags in differs.items())
        print(f"float32 disagrees, {metric}, {count} trajectories: {rates}")


def main() -> None:
    """Run the chosen parts and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:-1])
    parser.add_argument("--scene", type=Path, help="default: the largest golden scene of v2.2")
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--metric-cache", type=Path, nargs="*", default=[])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "scoring_growth.png")
    options = parser.parse_args()
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads of {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}, {options.device}"
    )
    golden = golden_paths("v2.2")
    scene = ScoringScene.load(options.scene or max(golden, key=lambda path: path.stat().st_size))
    scenes, plans = [ScoringScene.load(path) for path in golden], plans_from(options.vocabulary)
    if "vocabulary" in options.parts:
        report_vocabulary(scene, plans, options.repeats, options.device)
    if "training" in options.parts:
        report_training(scenes, plans, options.repeats, options.device)
    if "precision" in options.parts:
        report_precision(options.device)
    if "growth" in options.parts:
        series = scoring_growth.measure(scene, scenes, plans, options.repeats)
        scoring_growth.report(series)
        scoring_growth.plot(series, options.plot)
    if "devkit" in options.parts:
        for path in options.metric_cache:
            scoring_devkit.report(path, plans, options.repeats)


if __name__ == "__main__":
    main()
