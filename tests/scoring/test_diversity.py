"""Diversity of proposals against shapely's buffers and cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from shapely.geometry import LineString
from shapely.ops import unary_union

from navsim_agents.scoring.diversity import CELL_M, corridors, diversity


def fan(num: int, num_poses: int = 5, seed: int = 0) -> torch.Tensor:
    """Plans that leave the origin with different speeds and bends."""
    draw = np.random.default_rng(seed)
    t = 0.5 * np.arange(1, num_poses + 1)
    speed, turn = draw.uniform(1.0, 9.0, (num, 1)), draw.uniform(-0.5, 0.5, (num, 1))
    return torch.from_numpy(np.stack((speed * t * np.cos(turn * t), speed * t * np.sin(turn * t), turn * t), axis=-1))


def line(y: float, length: float = 10.0) -> list[list[float]]:
    return [[x, y, 0.0] for x in np.linspace(0.0, length, 6)]


def test_areas_are_those_of_buffers() -> None:
    plans = fan(4)
    found = corridors(plans[..., :2].float()).sum(1) * CELL_M**2
    wanted = [LineString(plan[:, :2].numpy()).buffer(1.0, quad_segs=32).area for plan in plans]
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0.01)


def test_both_definitions_equal_shapely() -> None:
    plans = fan(5, seed=3)
    shapes = [LineString(plan[:, :2].numpy()).buffer(1.0, quad_segs=32) for plan in plans]
    union = unary_union(shapes).area
    pairs = [(a, b) for i, a in enumerate(shapes) for b in shapes[i + 1 :]]
    found = diversity(plans.float())
    assert found.union.item() == pytest.approx(1 - np.mean([shape.area / union for shape in shapes]), abs=0.01)
    overlap = np.mean([a.intersection(b).area / a.union(b).area for a, b in pairs])
    assert found.pairwise.item() == pytest.approx(1 - overlap, abs=0.01)


def test_alike_is_zero_and_apart_is_counted_by_hand() -> None:
    alike = diversity(torch.tensor([line(1.0)] * 3))
    assert (alike.union.item(), alike.pairwise.item()) == (0.0, 0.0)
    apart = diversity(torch.tensor([line(0.0), line(10.0)]))
    assert apart.union.item() == pytest.approx(0.5, abs=1e-3)
    assert apart.pairwise.item() == 1.0


def test_one_that_stands_still_is_a_disc() -> None:
    standing = torch.zeros(1, 6, 3)
    assert corridors(standing[..., :2]).sum() * CELL_M**2 == pytest.approx(math.pi, rel=0.03)
    assert diversity(standing) == (0.0, 0.0)


def test_order_and_place_do_not_matter() -> None:
    plans = fan(6, seed=5)
    found = diversity(plans)
    moved = diversity(plans.flip(0) + torch.tensor([CELL_M * 37, -CELL_M * 11, 0.4]))
    assert moved.union.item() == pytest.approx(found.union.item(), abs=2e-3)
    assert moved.pairwise.item() == pytest.approx(found.pairwise.item(), abs=2e-3)
