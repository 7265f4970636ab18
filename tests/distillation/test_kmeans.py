"""k-means: both backends, their common start, and points that a centre lacks."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.cluster import KMeans

from navsim_agents.distillation import kmeans
from navsim_agents.distillation.kmeans import choose_backend, cluster, lloyd_round, nearest
from navsim_agents.distillation.kmeans_start import plus_plus
from navsim_agents.errors import LabelError


def blobs(count=90, seed=0):
    """Three clusters on a line, far apart."""
    draw = np.random.default_rng(seed)
    centers = np.array([[0.0, 0.0], [50.0, 0.0], [90.0, 10.0]])
    return (centers[np.arange(count) % 3] + draw.normal(size=(count, 2))).astype(np.float32), centers


@pytest.fixture(params=["sklearn", "faiss", "plain"])
def backend(request, monkeypatch):
    """scikit-learn; faiss where it is installed; and what surrounds faiss with the obvious search in its place."""
    if request.param != "plain":
        pytest.importorskip(request.param)
        return request.param
    plain = SimpleNamespace(IndexFlatL2=PlainIndex)
    monkeypatch.setitem(sys.modules, "faiss", plain)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "faiss" else find_spec(name))
    return "faiss"


class PlainIndex:
    def __init__(self, dim):
        self.rows = np.zeros((0, dim))

    def add(self, rows):
        self.rows = rows

    def search(self, points, count):
        assert count == 1
        found = ((points[:, None].astype(np.float64) - self.rows) ** 2).sum(axis=-1)
        return found.min(axis=1)[:, None], found.argmin(axis=1)[:, None]


def arcs(count, seed=0):
    """Futures of constant speed and yaw rate, as 120 numbers each."""
    draw, time = np.random.default_rng(seed), 0.1 * np.arange(1, 41)
    speed, turn = draw.uniform(0, 15, (count, 1)), draw.normal(0, 0.2, (count, 1))
    poses = (speed / turn * np.sin(turn * time), speed / turn * (1 - np.cos(turn * time)), turn * time)
    return np.stack(poses, axis=-1).reshape(count, -1).astype(np.float32)


def inertia_of(points, centers):
    return nearest(points, centers)[1].sum()


def test_clusters_are_the_means_of_their_points(backend):
    points, _ = blobs()
    found = cluster(points, 7, backend=backend, seed=3, max_iterations=60, iterations_per_round=4)
    assert found.backend == backend
    assert found.sizes.sum() == len(points)
    assert all(later <= earlier * (1 + 1e-5) for earlier, later in zip(found.inertia, found.inertia[1:]))
    rows, squares = nearest(points, found.centers)
    for center in range(7):
        np.testing.assert_allclose(found.centers[center], points[rows == center].mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(found.inertia[-1], squares.sum(), rtol=1e-3)
    again = cluster(points, 7, backend=backend, seed=3, max_iterations=60, iterations_per_round=4)
    np.testing.assert_array_equal(again.centers, found.centers)


def test_both_backends_find_as_good_a_vocabulary(backend):
    """Within 1 % of scikit-learn's from the same start, and of the best of ten of its own starts."""
    points = arcs(600)
    options = {"max_iterations": 60, "iterations_per_round": 5}
    found = [cluster(points, 64, backend=name, seed=4, **options) for name in ("sklearn", backend)]
    of_sklearn, of_backend = (inertia_of(points, one.centers) for one in found)
    assert of_backend == pytest.approx(of_sklearn, rel=0.01)
    assert found[1].inertia[-1] == pytest.approx(of_backend, rel=1e-3)
    own = KMeans(64, n_init=10, random_state=0).fit(points).inertia_
    assert of_backend < 1.03 * own


def test_far_from_the_origin_is_as_good_as_near_it(backend):
    """1 km away, where single-precision squares of distances are off by metres."""
    points, _ = blobs(240)
    near, far = (
        cluster(points + offset, 9, backend=backend, seed=1, max_iterations=40, iterations_per_round=4)
        for offset in (np.float32(0.0), np.float32(1000.0))
    )
    assert inertia_of(points + np.float32(1000.0), far.centers) == pytest.approx(
        inertia_of(points, near.centers), rel=1e-2
    )
    np.testing.assert_array_equal(np.sort(far.sizes), np.sort(near.sizes))


def test_a_centre_without_points_goes_where_it_helps_most():
    """By hand: all points nearest to the first centre; the others go to the two that are farthest from all."""
    points = np.array([[0.0], [2.0], [10.0], [11.0], [-20.0]], dtype=np.float32)
    centers = np.array([[0.0], [500.0], [600.0]], dtype=np.float32)

    def assign(of, to):
        return nearest(of, to)[0]

    moved, inertia = lloyd_round(points, centers, 1, assign)
    assert moved[:, 0].tolist() == pytest.approx([0.6, -20.0, 11.0])
    assert inertia == pytest.approx(0.6**2 + 1.4**2 + 0.0 + 1.0 + 0.0)
    moved, inertia = lloyd_round(points, centers, 2, assign)
    assert moved[:, 0].tolist() == pytest.approx([1.0, -20.0, 10.5])
    assert inertia == pytest.approx(1.0 + 1.0 + 0.0 + 0.25 + 0.25)


def test_the_start_is_spread_and_follows_the_seed():
    """Three clusters far apart: one centre in each, whatever the seed, which a random draw misses most of the time."""
    points, _ = blobs()
    weights = np.ones(len(points), dtype=np.float32)
    starts = [plus_plus(points - points.mean(axis=0), weights, 3, seed) for seed in range(20)]
    assert all({0, 1, 2} == {row % 3 for row in start.tolist()} for start in starts)
    assert len({tuple(start) for start in starts}) > 10
    again = plus_plus(points - points.mean(axis=0), weights, 3, 7)
    np.testing.assert_array_equal(again, starts[7])


def test_the_start_has_every_point_where_as_many_are_asked_for():
    """Also where single precision cannot tell some apart."""
    points = np.array([[-30.0], [30.0], [30.000002], [0.0], [5.0]], dtype=np.float32)
    assert len(np.unique(points)) == 5
    for seed in range(5):
        assert sorted(plus_plus(points, np.ones(5, dtype=np.float32), 5, seed)) == [0, 1, 2, 3, 4]


def test_points_that_are_not_finite_are_refused():
    points, _ = blobs()
    points[3, 1] = np.nan
    with pytest.raises(LabelError, match="a trajectory is not finite"):
        cluster(points, 3, backend="sklearn", seed=0, max_iterations=5, iterations_per_round=5)


def test_every_point_can_be_a_centre(backend):
    points = np.array([[0.0], [1.0], [5.0], [1.0]], dtype=np.float32)
    found = cluster(points, 3, backend=backend, seed=0, max_iterations=5, iterations_per_round=5)
    assert sorted(found.centers[:, 0].tolist()) == [0.0, 1.0, 5.0]
    assert found.inertia[-1] == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(LabelError, match="k is 4, but 4 trajectories, 3 of them different, make 1 to 3 clusters"):
        cluster(points, 4, backend="sklearn", seed=0, max_iterations=5, iterations_per_round=5)


def test_nearest_is_the_obvious_loop(monkeypatch):
    monkeypatch.setattr(kmeans, "CHUNK", 4)
    points, centers = blobs(11)
    rows, squares = nearest(points, centers.astype(np.float32))
    for point, row, square in zip(points, rows, squares):
        distances = ((point - centers) ** 2).sum(axis=1)
        assert row == distances.argmin()
        assert square == pytest.approx(distances.min(), rel=1e-5)


def test_backends_are_named():
    for name in ("lloyd", "auto"):
        with pytest.raises(LabelError, match=f"kmeans is '{name}', but must be one of sklearn, faiss"):
            choose_backend(name)


@pytest.mark.parametrize(("name", "way_out"), [("faiss", "take kmeans=sklearn"), ("sklearn", r"pip install '.*labels")])
def test_a_backend_that_is_not_there_is_named(name, way_out, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == name else find_spec(asked))
    with pytest.raises(LabelError, match=f"kmeans={name} needs {name}, which is not installed; .*{way_out}"):
        choose_backend(name)
