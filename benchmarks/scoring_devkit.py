"""The devkit's own simulator and scorer on one cached scene, for comparison; needs the devkit on the path."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from benchmarks.scoring_tools import median_s
from navsim_agents.scoring import score_trajectories
from navsim_agents.scoring.aggregate import COLUMNS

JOINT, ALONE = 256, 8  # trajectories in the sample of each kind of call


def report(cache_path: Path, plans: torch.Tensor, repeats: int) -> None:
    """Both ways of calling the devkit, extrapolated from a sample, against the batched scorer on the same scene."""
    from navsim_agents.devkit.cache_pickle import read_metric_cache
    from navsim_agents.devkit.metric_cache import cache_variant, scoring_scene_of
    from navsim_agents.devkit.scoring import METRIC, score_jointly_with_devkit, score_with_devkit

    cache = read_metric_cache(cache_path)
    scene, metric = scoring_scene_of(cache), METRIC[cache_variant(cache)]
    ours = median_s(lambda: score_trajectories(scene, plans, metric=metric), repeats)
    sample = plans[:: len(plans) // JOINT][:JOINT]
    start = time.perf_counter()
    joint = score_jointly_with_devkit(cache, sample.numpy())
    joint_s = (time.perf_counter() - start) / len(sample) * len(plans)
    start = time.perf_counter()
    score_with_devkit(cache, sample[:ALONE].numpy())
    alone_s = (time.perf_counter() - start) / ALONE * len(plans)
    found = score_trajectories(scene, sample, metric=metric)
    worst = max(float((found[name] - torch.from_numpy(joint.columns[name])).abs().max()) for name in COLUMNS[metric])
    count, polygons = len(plans), len(scene.polygon_layer)
    print(f"{cache_path.parent.name}, {metric}, {polygons} polygons, {count} trajectories (devkit: from a sample):")
    print(f"  batched scorer {ours:.3f} s; largest difference of any column on {len(sample)}: {worst:.1e}")
    print(f"  devkit, joint call: {joint_s:.1f} s, {joint_s / ours:.0f} times as long (from {len(sample)})")
    print(f"  devkit, one by one: {alone_s:.0f} s, {alone_s / ours:.0f} times as long (from {ALONE})")
