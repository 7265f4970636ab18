"""k-means over trajectories by scikit-learn or, where it is asked for, faiss; some iterations at a time.

What comes out must not depend on what is installed: both begin with the same k-means++ centres, of points moved to the
origin (faiss measures distances wrongly far from it), and move centres that lose all their points to the points that
are farthest from theirs, where faiss's own k-means would split a large cluster.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32
from tqdm import tqdm

from navsim_agents.distillation.kmeans_start import FloatArray, plus_plus
from navsim_agents.errors import LabelError

Round = Callable[[FloatArray, FloatArray, int], tuple[FloatArray, float]]
"""Points [N, D], centres [k, D], iterations -> better centres, inertia (sum of squared distances)."""
Rows = npt.NDArray[np.int64]

NOT_IMPROVED = 1e-4  # relative drop of the inertia over a round below which nothing more is to be had
CHUNK = 4096  # points whose distances to all centres are held at once
DISTRIBUTIONS = {"sklearn": ("scikit-learn",), "faiss": ("faiss-cpu", "faiss-gpu", "faiss")}


@dataclass(frozen=True)
class Clusters:
    """The answer, and how it came about."""

    centers: Float32[np.ndarray, "k D"]
    inertia: Sequence[float]  # after each round
    iterations: int
    sizes: Rows  # [k] points of each centre
    backend: str
    version: str


def cluster(
    points: FloatArray, num_clusters: int, *, backend: str, seed: int, max_iterations: int, iterations_per_round: int
) -> Clusters:
    """Lloyd's k-means from a k-means++ start.

    Args:
        points: [N, D].
        num_clusters: k, at most the number of different points.
        backend: ``sklearn`` or ``faiss``.
        seed: of the start, which alone is random.
        max_iterations: most of them; it ends earlier where the inertia falls no more.
        iterations_per_round: between two reports.

    Raises:
        LabelError: k is out of range, a point is not finite, or the backend is unknown or not installed.
    """
    improve = choose_backend(backend)
    middle = points.mean(axis=0, dtype=np.float64)
    centred = (points - middle).astype(np.float32)
    centers = _beginning(centred, num_clusters, seed)
    inertia: list[float] = []
    with tqdm(total=max_iterations, desc=f"k-means ({backend})", unit="iteration") as progress:
        while progress.n < max_iterations:
            count = min(iterations_per_round, max_iterations - progress.n)
            centers, found = improve(centred, centers, count)
            progress.update(count)
            progress.set_postfix(inertia=f"{found:.6g}")
            inertia.append(found)
            if len(inertia) > 1 and inertia[-2] - found <= NOT_IMPROVED * inertia[-2]:
                break
        iterations = progress.n
    sizes = np.bincount(nearest(centred, centers)[0], minlength=num_clusters)
    centers = (centers + middle).astype(np.float32)
    return Clusters(centers, inertia, iterations, sizes, backend, _version(backend))


def choose_backend(name: str) -> Round:
    """The function of that name; raises LabelError where it is unknown or not installed."""
    rounds: dict[str, Round] = {"sklearn": _sklearn_round, "faiss": _faiss_round}
    if name not in rounds:
        raise LabelError(f"kmeans is {name!r}, but must be one of {', '.join(rounds)}")
    if importlib.util.find_spec(name) is None:
        way_out = (
            "pip install 'navsim-drive-jepa[labels]'" if name == "sklearn" else "install it or take kmeans=sklearn"
        )
        raise LabelError(f"kmeans={name} needs {name}, which is not installed; {way_out}")
    return rounds[name]


def _version(backend: str) -> str:
    for name in DISTRIBUTIONS[backend]:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


def _beginning(points: FloatArray, num_clusters: int, seed: int) -> FloatArray:
    if not np.isfinite(points).all():
        raise LabelError("a trajectory is not finite; leave out the log that it is from")
    different, counts = np.unique(points, axis=0, return_counts=True)
    if not 1 <= num_clusters <= len(different):
        raise LabelError(
            f"k is {num_clusters}, but {len(points)} trajectories, {len(different)} of them different, make 1 to "
            f"{len(different)} clusters; lower k or give more logs"
        )
    return np.ascontiguousarray(different[plus_plus(different, counts.astype(np.float32), num_clusters, seed)])


def _sklearn_round(points: FloatArray, centers: FloatArray, iterations: int) -> tuple[FloatArray, float]:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    model = KMeans(len(centers), init=centers, n_init=1, max_iter=iterations, tol=0.0)
    with warnings.catch_warnings():  # it warns whenever it stops before convergence, which a round does
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points)
    return np.ascontiguousarray(model.cluster_centers_, dtype=np.float32), float(model.inertia_)


def _faiss_round(points: FloatArray, centers: FloatArray, iterations: int) -> tuple[FloatArray, float]:
    import faiss

    def assign(of: FloatArray, to: FloatArray) -> Rows:
        index = faiss.IndexFlatL2(to.shape[1])
        index.add(to)
        return index.search(of, 1)[1][:, 0]

    return lloyd_round(points, centers, iterations, assign)


def lloyd_round(
    points: FloatArray, centers: FloatArray, iterations: int, assign: Callable[[FloatArray, FloatArray], Rows]
) -> tuple[FloatArray, float]:
    """Better centres and their inertia; ``assign`` gives the row of the nearest centre of each point."""
    rows = assign(points, centers)
    for _ in range(iterations):
        centers = _means(points, rows, centers)
        rows = assign(points, centers)
    return centers, float(_squared_offsets(points, centers, rows).sum())


def _means(points: FloatArray, rows: Rows, centers: FloatArray) -> FloatArray:
    """The mean of each centre's points; centres without points go one after the other where most is to be gained."""
    sizes = np.bincount(rows, minlength=len(centers))
    sums = np.stack([np.bincount(rows, column, minlength=len(centers)) for column in points.T], axis=1)
    means = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    empty = np.flatnonzero(sizes == 0)
    left = _squared_offsets(points, centers, rows) if len(empty) else np.zeros(0)
    for center in empty:
        means[center] = points[left.argmax()]
        left = np.minimum(left, ((points - means[center]) ** 2).sum(axis=1, dtype=np.float64))
    return means


def _squared_offsets(points: FloatArray, centers: FloatArray, rows: Rows) -> npt.NDArray[np.float64]:
    """Squared distance of each point from its centre."""
    return ((points - centers[rows]) ** 2).sum(axis=1, dtype=np.float64)


def nearest(points: FloatArray, centers: FloatArray) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Nearest centre of each point, and the squared distance to it."""
    squares = (centers.astype(np.float64) ** 2).sum(axis=1)
    rows, distances = [], []
    for start in range(0, len(points), CHUNK):
        part = points[start : start + CHUNK].astype(np.float64)
        found = squares - 2.0 * part @ centers.T.astype(np.float64)
        rows.append(found.argmin(axis=1))
        distances.append(found.min(axis=1) + (part**2).sum(axis=1))
    return np.concatenate(rows), np.maximum(np.concatenate(distances), 0.0)
