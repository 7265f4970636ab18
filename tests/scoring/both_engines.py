"""The same work done by compiled code and by torch."""

from __future__ import annotations

import pytest
import torch

from navsim_agents.scoring.aggregate import TENSORS
from navsim_agents.scoring.by_tensors import ByTensors
from navsim_agents.scoring.config import METRICS
from navsim_agents.scoring.scene_batch import collate_scenes

compiled_run = pytest.importorskip("navsim_agents.scoring.compiled.run", reason="Numba is not installed")
NEAR = 1e-7
"""Metres and radians; floats are summed in another order, which the tracker makes more of where a plan hardly moves."""


def batch_of(scenes, metric="epdms", num_poses=8, interval_s=0.5, dtype=torch.float64):
    return collate_scenes(scenes, METRICS[metric], num_poses, interval_s, dtype)


def assert_same_answers(batch, plans):
    """States within rounding; from the same states, every discrete answer is identical."""
    fast, slow = compiled_run.Compiled(), ByTensors()
    reference = batch.pdm_trajectory[:, None].double()
    states = slow.drive(batch, plans, reference)
    torch.testing.assert_close(fast.drive(batch, plans, reference), states, rtol=0, atol=NEAR)
    found, wanted = fast.judge(batch, states), slow.judge(batch, states)
    assert found.columns.keys() == wanted.columns.keys()
    for name, values in wanted.columns.items():
        assert torch.equal(found.columns[name], values), name
    for name in TENSORS:
        if name == "raw_progress":
            torch.testing.assert_close(found.raw_progress, wanted.raw_progress, rtol=0, atol=NEAR)
        else:
            assert torch.equal(getattr(found, name), getattr(wanted, name)), name
    return wanted
