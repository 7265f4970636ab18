"""k-means over trajectories by faiss where it is installed, by scikit-learn elsewhere; some iterations at a time."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from navsim_agents.errors import LabelError

FloatArray = npt.NDArray[np.float32]
Round = Callable[[FloatArray, FloatArray, int, int], tuple[FloatArray, float]]
"""Points [N, D], centres [k, D], iterations, seed -> better centres, inertia (sum of squared distances)."""

NOT_IMPROVED = 1e-4  # relative drop of the inertia over a round below which nothing more is to be had
CHUNK = 4096  # points whose distances to all centres are held at once


@dataclass(frozen=True)
class Clusters:
    """The answer, and how it came about."""

    centers: FloatArray  # [k, D]
    inertia: Sequence[float]  # after each round
    sizes: npt.NDArray[np.int64]  # [k] points of each centre
    backend: str


def cluster(
    points: FloatArray, num_clusters: int, *, backend: str, seed: int, max_iterations: int, iterations_per_round: int
) -> Clusters:
    """Lloyd's k-means from ``num_clusters`` different random points, as faiss begins too.

    Args:
        points: [N, D].
        num_clusters: k, at most the number of different points.
        backend: ``faiss``, ``sklearn``, or ``auto`` for the first that is installed.
        seed: of the beginning, and of faiss where it splits clusters to fill empty ones.
        max_iterations: most of them; it ends earlier where the inertia falls no more.
        iterations_per_round: between two reports.

    Raises:
        LabelError: k is out of range, or the backend is unknown or not installed.
    """
    name, improve = choose_backend(backend)
    centers = _beginning(points, num_clusters, seed)
    inertia: list[float] = []
    with tqdm(total=max_iterations, desc=f"k-means ({name})", unit="iteration") as progress:
        while progress.n < max_iterations:
            count = min(iterations_per_round, max_iterations - progress.n)
            centers, found = improve(points, centers, count, seed)
            progress.update(count)
            progress.set_postfix(inertia=f"{found:.6g}")
            inertia.append(found)
            if len(inertia) > 1 and inertia[-2] - found <= NOT_IMPROVED * inertia[-2]:
                break
    sizes = np.bincount(nearest(points, centers)[0], minlength=num_clusters)
    return Clusters(centers, inertia, sizes, name)


def choose_backend(name: str) -> tuple[str, Round]:
    """Name and function; raises LabelError where it is unknown or not installed."""
    rounds: dict[str, Round] = {"faiss": _faiss_round, "sklearn": _sklearn_round}
    if name != "auto" and name not in rounds:
        raise LabelError(f"kmeans is {name!r}, but must be auto or one of {', '.join(rounds)}")
    for candidate in rounds if name == "auto" else (name,):
        if importlib.util.find_spec(candidate) is not None:
            return candidate, rounds[candidate]
    raise LabelError(
        f"kmeans={name} needs {' or '.join(rounds) if name == 'auto' else name}, which is not installed; "
        "pip install 'navsim-drive-jepa[labels]' brings scikit-learn"
    )


def _beginning(points: FloatArray, num_clusters: int, seed: int) -> FloatArray:
    different = np.unique(points, axis=0)
    if not 1 <= num_clusters <= len(different):
        raise LabelError(
            f"k is {num_clusters}, but {len(points)} trajectories, {len(different)} of them different, make 1 to "
            f"{len(different)} clusters; lower k or give more logs"
        )
    chosen = np.random.default_rng(seed).choice(len(different), num_clusters, replace=False)
    return np.ascontiguousarray(different[chosen])


def _sklearn_round(points: FloatArray, centers: FloatArray, iterations: int, seed: int) -> tuple[FloatArray, float]:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    model = KMeans(len(centers), init=centers, n_init=1, max_iter=iterations, tol=0.0, random_state=seed)
    with warnings.catch_warnings():  # it warns whenever it stops before convergence, which a round does
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
    return np.ascontiguousarray(model.cluster_centers_, dtype=np.float32), float(model.inertia_)


def _faiss_round(points: FloatArray, centers: FloatArray, iterations: int, seed: int) -> tuple[FloatArray, float]:
    import faiss

    model = faiss.Kmeans(
        points.shape[1],
        len(centers),
        niter=iterations,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),  # no subsampling
    )
    model.train(points, init_centroids=centers)
    return np.ascontiguousarray(model.centroids, dtype=np.float32), float(model.obj[-1])


def nearest(points: FloatArray, centers: FloatArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Nearest centre of each point, and the squared distance to it."""
    squares = (centers.astype(np.float64) ** 2).sum(axis=1)
    rows, distances = [], []
    for start in range(0, len(points), CHUNK):
        part = points[start : start + CHUNK].astype(np.float64)
        found = squares - 2.0 * part @ centers.T.astype(np.float64)
        rows.append(found.argmin(axis=1))
        distances.append(found.min(axis=1) + (part**2).sum(axis=1))
    return np.concatenate(rows), np.maximum(np.concatenate(distances), 0.0)
