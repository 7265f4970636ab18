from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from navsim_agents.distillation import Vocabulary, load_vocabulary, resample, save_vocabulary
from navsim_agents.errors import LabelError
from tests.distillation.labels import vocabulary


def test_planned_takes_every_fifth_pose():
    made = vocabulary(size=3)
    torch.testing.assert_close(made.planned(), made.poses[:, 4::5], rtol=0, atol=0)
    assert made.planned(4, 0.2).shape == (3, 4, 3)
    torch.testing.assert_close(made.planned(4, 0.2), made.poses[:, [1, 3, 5, 7]], rtol=0, atol=0)
    torch.testing.assert_close(made.planned(40, 0.1), made.poses, rtol=0, atol=0)


@pytest.mark.parametrize(("num_poses", "interval_s"), [(9, 0.5), (8, 0.25), (8, 0.0), (0, 0.5)])
def test_other_samplings_are_refused(num_poses, interval_s):
    with pytest.raises(LabelError, match=f"num_poses={num_poses} and interval_s={interval_s} are asked"):
        vocabulary(size=2).planned(num_poses, interval_s)


def test_digest_is_of_the_numbers():
    made = vocabulary(size=2)
    assert made.digest == hashlib.sha256(made.poses.numpy().tobytes()).hexdigest()
    changed = made.poses.clone()
    changed[1, 39, 2] += 1e-3
    assert Vocabulary(changed).digest != made.digest


def test_round_trip(tmp_path):
    made = vocabulary(size=4)
    save_vocabulary(made, tmp_path / "deep" / "v.npy")
    assert load_vocabulary(tmp_path / "deep" / "v.npy").digest == made.digest
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["v.npy"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 8, 3), dtype=np.float32), r"of shape \(2, 8, 3\), but must be float32 of \[V, 40, 3\]"),
        (np.zeros((0, 40, 3), dtype=np.float32), r"with V of 1 or more"),
        (np.zeros((2, 40, 3)), "is torch.float64"),
        (np.zeros((2, 40, 3), dtype=np.int32), "holds int32, but a vocabulary is one array of float32"),
        (np.full((2, 40, 3), np.nan, dtype=np.float32), "2 trajectories of the vocabulary are not finite"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, message):
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(LabelError, match=message):
        load_vocabulary(tmp_path / "v.npy")


def test_no_file_is_refused(tmp_path):
    with pytest.raises(LabelError, match=r"is not a readable \.npy"):
        load_vocabulary(tmp_path / "v.npy")


def test_resample_is_linear_with_now_in_front():
    """Worked by hand: 1 m in the first half second, then standing; the heading crosses pi on its way."""
    futures = np.zeros((2, 8, 3))
    futures[0, :, 0] = 1.0
    futures[1, :, 2] = [1.5, 3.0, -3.0, -3.0, -3.0, -3.0, -3.0, -3.0]
    dense = resample(futures)
    assert dense.shape == (2, 40, 3)
    np.testing.assert_allclose(dense[0, :6, 0], [0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    np.testing.assert_allclose(dense[1, [4, 9, 39], 2], [1.5, 3.0, 2 * np.pi - 3.0])
    np.testing.assert_allclose(dense[1, 11, 2], 3.0 + 0.4 * (2 * np.pi - 6.0))


def test_resample_agrees_with_numpy_interpolation():
    futures = np.cumsum(np.random.default_rng(0).normal(size=(3, 8, 3)), axis=1)
    times = np.arange(1, 41) * 0.1
    for row, dense in zip(futures, resample(futures)):
        for axis in range(2):
            wanted = np.interp(times, np.arange(9) * 0.5, np.concatenate(([0.0], row[:, axis])))
            np.testing.assert_allclose(dense[:, axis], wanted, atol=1e-12)


def test_resample_keeps_a_dense_future():
    dense = np.cumsum(np.random.default_rng(1).normal(scale=0.1, size=(2, 40, 3)), axis=1)
    np.testing.assert_allclose(resample(dense, 0.1), dense, atol=1e-12)


def test_resample_refuses_another_horizon():
    with pytest.raises(LabelError, match=r"futures have shape \(1, 6, 3\) with poses 0.5 s apart"):
        resample(np.zeros((1, 6, 3)))
