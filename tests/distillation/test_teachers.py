from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from navsim_agents.distillation import (
    pad_rows,
    sample_teachers,
    sample_teachers_per_stage,
    scene_generator,
    scenes_without_teachers,
    teacher_poses,
    teacher_rows,
)
from navsim_agents.errors import LabelError

ROWS = torch.tensor([[4, 7, 9, -1, -1], [-1, -1, -1, -1, -1], [1, -1, -1, -1, -1]])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_teachers_reach_the_threshold():
    scores = np.array([0.2, 0.95, 0.9499, 1.0, 0.0, 0.96], dtype=np.float32)
    assert teacher_rows(scores, generator=generator()).tolist() == [1, 3, 5]
    assert teacher_rows(torch.from_numpy(scores).double(), 0.97, generator=generator()).tolist() == [3]
    assert teacher_rows(scores, 0.9, generator=generator()).tolist() == [1, 2, 3, 5]
    none = teacher_rows(np.zeros(6, dtype=np.float32), generator=generator())
    assert none.tolist() == []
    assert none.dtype == torch.int64


def test_cap_keeps_some_at_random():
    scores = torch.ones(20)
    kept = [teacher_rows(scores, cap=3, generator=generator(seed)).tolist() for seed in range(200)]
    assert all(len(set(rows)) == 3 and rows == sorted(rows) for rows in kept)
    counts = Counter(row for rows in kept for row in rows)
    assert set(counts) == set(range(20))  # every one has its chance: 30 times of 600 on average
    assert max(counts.values()) < 60
    assert kept[7] == teacher_rows(scores, cap=3, generator=generator(7)).tolist()


def test_each_scene_has_its_own_generator():
    def draw(token, seed=0):
        return torch.rand(2, generator=scene_generator(token, seed)).tolist()

    assert draw("a") == draw("a")
    assert draw("a") != draw("b")
    assert draw("a") != draw("a", seed=1)


def test_padding():
    assert pad_rows(torch.tensor([3, 5]), cap=4).tolist() == [3, 5, -1, -1]
    with pytest.raises(LabelError, match="3 teachers are given, but cap=2; draw them with teacher_rows"):
        pad_rows(torch.tensor([3, 5, 6]), cap=2)


def test_draws_are_different_teachers_of_the_scene():
    drawn = sample_teachers(ROWS, 2, generator())
    assert drawn.shape == (3, 2)
    assert set(drawn[0].tolist()) < {4, 7, 9}
    assert len(set(drawn[0].tolist())) == 2
    assert drawn[1].tolist() == [-1, -1]
    assert drawn[2].tolist() == [1, -1]
    assert sample_teachers(ROWS, 7, generator()).sort(dim=1).values.tolist() == [
        [-1, -1, -1, -1, 4, 7, 9],
        [-1] * 7,
        [-1] * 6 + [1],
    ]
    assert sample_teachers(ROWS, 0, generator()).shape == (3, 0)


def test_draws_are_uniform():
    """900 draws of one in three: 300 each, standard deviation 14."""
    draw = generator(3)
    counts = Counter(int(sample_teachers(ROWS, 1, draw)[0]) for _ in range(900))
    assert set(counts) == {4, 7, 9}
    assert all(abs(count - 300) < 60 for count in counts.values())


def test_stages_draw_for_themselves():
    rows = torch.arange(50)[None]
    drawn = sample_teachers_per_stage(rows, 3, 4, generator())
    assert drawn.shape == (4, 1, 3)
    assert len({tuple(stage[0].tolist()) for stage in drawn}) == 4
    draw = generator()
    torch.testing.assert_close(drawn[0], sample_teachers(rows, 3, draw))
    torch.testing.assert_close(drawn[1], sample_teachers(rows, 3, draw))


def test_poses_of_the_drawn():
    planned = torch.arange(6.0)[:, None, None].expand(6, 2, 3)
    poses, is_real = teacher_poses(planned, torch.tensor([[5, -1], [0, 2]]))
    assert poses.shape == (2, 2, 2, 3)
    assert poses[:, :, 1, 2].tolist() == [[5.0, 0.0], [0.0, 2.0]]
    assert is_real.tolist() == [[True, False], [True, True]]


def test_scenes_without_teachers_are_counted():
    assert scenes_without_teachers(ROWS) == 1
    assert scenes_without_teachers(ROWS[[0, 2]]) == 0


def test_bad_sizes_are_refused():
    with pytest.raises(LabelError, match=r"cap=0 and scores of shape \(2,\) are given"):
        teacher_rows(torch.ones(2), cap=0, generator=generator())
    with pytest.raises(LabelError, match="N_pseudo is -1, but must be 0 or more"):
        sample_teachers(ROWS, -1, generator())
