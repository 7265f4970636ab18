"""Times the batched scorer against the slow loops kept in ``tests/scoring``, and says how memory and cost grow.

    python -m benchmarks.scoring [--scene SCENE.npz] [--vocabulary 8192.npy] [--repeats 5]

Medians of wall time, with the index of a scene built anew each time (cold) and kept (warm). Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from pathlib import Path
from typing import Callable

import numpy as np
import torch

from navsim_agents.scoring import ScoringScene, score_scenes, score_trajectories
from tests.scoring.slow import SlowScorer

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "scoring" / "golden" / "v2.2"
VOCABULARY = ROOT.parent / "shared" / "data" / "vocabulary" / "8192.npy"
TRAINING_SCENES, TRAINING_PROPOSALS = 64, 32
SLOW_TRAJECTORIES = 4
GROWTH = ((300, 200), (100, 200), (50, 100))  # polygons, vertices of each


def median_s(work: Callable[[], object], repeats: int) -> float:
    """Median wall time [s]."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_mb() -> float:
    """Largest resident memory of this process so far [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def trajectories_from(path: Path) -> torch.Tensor:
    """The vocabulary's eight-pose form, or random smooth plans where there is none."""
    if path.exists():
        return torch.from_numpy(np.load(path))[:, 4::5].double()
    print(f"no vocabulary at {path}: random plans instead")
    draw, t = np.random.default_rng(0), 0.5 * np.arange(1, 9)
    speed, turn = draw.uniform(0, 14, (8192, 1)), draw.normal(0, 0.15, (8192, 1))
    heading = turn * t
    steps = 0.5 * speed * np.stack((np.cos(heading), np.sin(heading)))
    return torch.from_numpy(np.concatenate((np.cumsum(steps, axis=-1), heading[None])).transpose(1, 2, 0).copy())


def crowded(scene: ScoringScene, num_polygons: int, num_vertices: int) -> ScoringScene:
    """The scene with round drivable polygons of that many vertices strewn around."""
    draw = np.random.default_rng(num_polygons)
    angles = np.linspace(0, 2 * np.pi, num_vertices, endpoint=False)
    circle = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    centers, radii = draw.uniform(-80, 80, (num_polygons, 1, 2)), draw.uniform(3, 30, (num_polygons, 1, 1))
    layers = np.array(["roadblock", "lane", "lane_connector", "intersection"])
    arrays = scene.to_arrays()
    arrays.update(
        ring_xy=(centers + radii * circle).reshape(-1, 2),
        ring_offsets=np.arange(num_polygons + 1) * num_vertices,
        ring_polygon=np.arange(num_polygons),
        ring_is_hole=np.zeros(num_polygons, dtype=bool),
        polygon_layer=layers[np.arange(num_polygons) % len(layers)],
        polygon_token=np.arange(num_polygons).astype(str),
        polygon_on_route=np.arange(num_polygons) % 3 == 0,
    )
    return ScoringScene.from_arrays(arrays)


def fresh(scene: ScoringScene) -> ScoringScene:
    """The scene without its index."""
    return ScoringScene.from_arrays(scene.to_arrays())


def report_single(scene: ScoringScene, plans: torch.Tensor, repeats: int) -> None:
    """All of the vocabulary on one scene, for both metrics where the scene allows, and the slow loops."""
    warm = median_s(lambda: score_trajectories(scene, plans), repeats)
    scenes = iter([fresh(scene) for _ in range(repeats)])
    cold = median_s(lambda: score_trajectories(next(scenes), plans), repeats)
    print(f"{len(plans)} trajectories, 1 scene: {warm:.3f} s warm, {cold:.3f} s cold, peak {peak_mb():.0f} MB")
    single = median_s(lambda: score_trajectories(scene, plans, dtype=torch.float32), repeats)
    print(f"the same in float32: {single:.3f} s")
    slow = SlowScorer(scene, "epdms")
    chosen = plans[:: len(plans) // SLOW_TRAJECTORIES][:SLOW_TRAJECTORIES]
    start = time.perf_counter()
    wanted = [slow.score(poses.numpy())["pdm_score"] for poses in chosen]
    each = (time.perf_counter() - start) / len(chosen)
    found = score_trajectories(scene, chosen)["pdm_score"].tolist()
    print(f"slow loop: {each:.3f} s a trajectory, {each * len(plans) / warm:.0f} times as long")
    print(f"largest difference of the scores: {max(abs(a - b) for a, b in zip(wanted, found)):.1e}")


def report_training(scenes: list[ScoringScene], plans: torch.Tensor, repeats: int) -> None:
    """One training step's worth of proposals."""
    batch = [fresh(scenes[row % len(scenes)]) for row in range(TRAINING_SCENES)]
    rows = plans[: TRAINING_SCENES * TRAINING_PROPOSALS].unflatten(0, (TRAINING_SCENES, TRAINING_PROPOSALS))
    start = time.perf_counter()
    indices = [scene.index for scene in batch]
    build = time.perf_counter() - start
    taken = median_s(lambda: score_scenes(batch, rows), repeats)
    print(f"{len(indices)} scenes x {TRAINING_PROPOSALS} proposals: {taken:.3f} s; their indices, once: {build:.3f} s")


def report_growth(scene: ScoringScene, plans: torch.Tensor, repeats: int) -> None:
    """How cost grows with trajectories and with polygon vertices."""
    for count in (512, 1024, 2048, 4096):
        print(f"{count} trajectories: {median_s(lambda c=count: score_trajectories(scene, plans[:c]), repeats):.3f} s")
    for polygons, vertices in GROWTH:
        made = crowded(scene, polygons, vertices)
        start = time.perf_counter()
        score_trajectories(made, plans[:1])
        build = time.perf_counter() - start
        taken = median_s(lambda m=made: score_trajectories(m, plans[:2048]), repeats)
        print(f"{polygons} polygons of {vertices} vertices: index {build:.3f} s, 2048 trajectories {taken:.3f} s")


def main() -> None:
    """Run everything and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", type=Path, default=max(GOLDEN.glob("scene_*.npz"), key=lambda p: p.stat().st_size))
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads of {os.cpu_count()} cores, load {load:.1f}")
    scene, plans = ScoringScene.load(options.scene), trajectories_from(options.vocabulary)
    report_single(scene, plans, options.repeats)
    report_training([ScoringScene.load(path) for path in sorted(GOLDEN.glob("scene_*.npz"))], plans, options.repeats)
    report_growth(scene, plans, options.repeats)


if __name__ == "__main__":
    main()
