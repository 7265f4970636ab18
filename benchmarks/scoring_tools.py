"""Clock, memory and inputs of the scorer's benchmark."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Callable

import numpy as np
import torch

from navsim_agents.scenes import open_scenes
from navsim_agents.scoring import ScoringScene

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "scoring" / "golden"
SHARED_GOLDEN = ROOT.parent / "shared" / "data" / "golden"
VOCABULARY = ROOT.parent / "shared" / "data" / "vocabulary" / "8192.npy"
VOCABULARY_SIZE = 8192
LAYERS = np.array(["roadblock", "lane", "lane_connector", "intersection"])


def median_s(work: Callable[[], object], repeats: int, device: str = "cpu") -> float:
    """Median time [s] after one run to warm up: wall time on the CPU, CUDA events on a GPU."""
    work()
    return statistics.median(_once_s(work, device) for _ in range(repeats))


def _once_s(work: Callable[[], object], device: str) -> float:
    if device == "cpu":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3


def peak_mb(work: Callable[[], object]) -> float:
    """Largest resident memory of the process [MB] while ``work`` runs, libraries and inputs included (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    work()
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024.0


def golden_paths(version: str) -> list[Path]:
    """Golden scenes of a devkit's version: all of them where they are, or those of the tests."""
    full = sorted((SHARED_GOLDEN / version).glob("scene_*.npz"))
    return full or sorted((GOLDEN / version).glob("scene_*.npz"))


def plans_from(path: Path) -> torch.Tensor:
    """The vocabulary's eight-pose form [V, 8, 3], or random smooth plans where there is none."""
    if path.exists():
        return torch.from_numpy(np.load(path))[:, 4::5].double()
    print(f"no vocabulary at {path}: random plans instead")
    draw, t = np.random.default_rng(0), 0.5 * np.arange(1, 9)
    speed, turn = draw.uniform(0, 14, (VOCABULARY_SIZE, 1)), draw.normal(0, 0.15, (VOCABULARY_SIZE, 1))
    heading = turn * t
    steps = 0.5 * speed * np.stack((np.cos(heading), np.sin(heading)))
    return torch.from_numpy(np.concatenate((np.cumsum(steps, axis=-1), heading[None])).transpose(1, 2, 0).copy())


def fresh(scene: ScoringScene) -> ScoringScene:
    """The scene without its index."""
    return ScoringScene.from_arrays(scene.to_arrays())


def with_polygons(scene: ScoringScene, num_polygons: int, num_vertices: int) -> ScoringScene:
    """The scene with round drivable polygons of that many vertices strewn around."""
    draw = np.random.default_rng(num_polygons)
    angles = np.linspace(0, 2 * np.pi, num_vertices, endpoint=False)
    circle = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    centers, radii = draw.uniform(-80, 80, (num_polygons, 1, 2)), draw.uniform(3, 30, (num_polygons, 1, 1))
    arrays = scene.to_arrays()
    arrays.update(
        ring_xy=(centers + radii * circle).reshape(-1, 2),
        ring_offsets=np.arange(num_polygons + 1) * num_vertices,
        ring_polygon=np.arange(num_polygons),
        ring_is_hole=np.zeros(num_polygons, dtype=bool),
        polygon_layer=LAYERS[np.arange(num_polygons) % len(LAYERS)],
        polygon_token=np.arange(num_polygons).astype(str),
        polygon_on_route=np.arange(num_polygons) % 3 == 0,
    )
    return ScoringScene.from_arrays(arrays)


def with_tracks(scene: ScoringScene, num_tracks: int) -> ScoringScene:
    """The scene with that many tracks: its own ones over and over, each time strewn around anew."""
    draw = np.random.default_rng(num_tracks)
    arrays = scene.to_arrays()
    chosen = np.arange(num_tracks) % len(scene.track_token)
    for name in ("track_token", "track_type", "track_is_agent", "collided_track", "track_size", "track_speed"):
        arrays[name] = arrays[name][chosen]
    arrays["track_heading"], arrays["track_valid"] = arrays["track_heading"][chosen], arrays["track_valid"][chosen]
    moved = arrays["track_poses"][chosen]
    moved[..., :2] += np.where(np.arange(num_tracks) < len(scene.track_token), 0.0, 1.0)[:, None, None] * draw.uniform(
        -40, 40, (num_tracks, 1, 2)
    )
    arrays["track_poses"] = moved
    return ScoringScene.from_arrays(arrays)


def scenes_of(path: Path | None, count: int) -> list[ScoringScene]:
    """``count`` scenes, evenly spaced over those at ``path``, or over and over again where there are fewer.

    ``path``: as ``scenes`` of every command, or a folder of recorded ``scene_*.npz``; None: those of v2.2 in this
    repository.

    Raises:
        InputError: there is none of these.
    """
    folder = path or GOLDEN / "v2.2"
    recorded = sorted(folder.glob("scene_*.npz"))
    if recorded:
        found = [ScoringScene.load(file) for file in recorded]
        return [found[index % len(found)] for index in range(count)]
    scenes = open_scenes(str(folder))
    tokens = scenes.tokens
    return [scenes.scene(tokens[len(tokens) * index // count]) for index in range(count)]
