"""A vocabulary of human futures: the centres of their clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from navsim_agents.distillation.human_futures import Futures
from navsim_agents.distillation.kmeans import Clusters, cluster, nearest
from navsim_agents.distillation.vocabulary import Vocabulary, resample
from navsim_agents.poses import wrap_angle
from navsim_agents.scoring.axes import POSITION, State


@dataclass(frozen=True)
class Clustering:
    """How k-means is run; see ``kmeans.cluster``."""

    k: int
    backend: str
    seed: int
    max_iterations: int
    iterations_per_round: int


def cluster_futures(futures: Futures, clustering: Clustering) -> tuple[Vocabulary, dict[str, Any]]:
    """Centres of the futures as trajectories, and how they were found, in plain JSON types.

    Raises:
        LabelError: a size is out of range, or what the backend needs is not installed.
    """
    dense = resample(futures.poses)  # [N, 40, 3], headings unwrapped, so that their means are right
    points = np.ascontiguousarray(dense.reshape(len(dense), -1), dtype=np.float32)
    found = cluster(
        points,
        clustering.k,
        backend=clustering.backend,
        seed=clustering.seed,
        max_iterations=clustering.max_iterations,
        iterations_per_round=clustering.iterations_per_round,
    )
    centers = found.centers.reshape(-1, *dense.shape[1:]).astype(np.float64)
    rows, _ = nearest(points, found.centers)
    offsets_m = np.linalg.norm((dense - centers[rows])[..., POSITION], axis=-1)
    centers[..., State.HEADING] = wrap_angle(centers[..., State.HEADING])
    vocabulary = Vocabulary(torch.from_numpy(centers.astype(np.float32)))
    return vocabulary, _how(futures, clustering, found, offsets_m)


def _how(futures: Futures, clustering: Clustering, found: Clusters, offsets_m: np.ndarray) -> dict[str, Any]:
    return {
        "trajectories": len(futures.poses),
        "logs": futures.num_logs,
        "skipped": dict(futures.skipped),
        "kmeans": found.backend,
        "kmeans_version": found.version,
        "start": "k-means++",
        "seed": clustering.seed,
        "iterations": found.iterations,
        "inertia": found.inertia[-1],
        "inertia_per_round": list(found.inertia),
        "iterations_per_round": clustering.iterations_per_round,
        "cluster_size": {
            "min": int(found.sizes.min()),
            "median": float(np.median(found.sizes)),
            "max": int(found.sizes.max()),
        },
        "mean_offset_m": float(offsets_m.mean()),  # of a pose from the nearest centre's
        "mean_end_offset_m": float(offsets_m[:, -1].mean()),
    }
