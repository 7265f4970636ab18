"""Corners of boxes: torch's, NumPy's, the planner's and the rules' are the same points."""

from __future__ import annotations

import numpy as np
import torch

from navsim_agents.common.boxes import box_corners, corner_coordinates
from navsim_agents.common.conventions import EGO_LENGTH_M, EGO_MEASURES_M, EGO_REAR_AXLE_TO_CENTER_M, EGO_WIDTH_M
from navsim_agents.common.planar import corners
from navsim_agents.models.deformable import ego_corners
from navsim_agents.scoring.axes import State
from navsim_agents.scoring.rules.ego import Motion
from navsim_agents.world.boxes import box_outline


def random_boxes() -> np.ndarray:
    """Boxes [2, 3, 5]: centre x, y, heading, length, width."""
    return np.random.default_rng(0).uniform((-30.0, -30.0, -4.0, 1.0, 0.5), (30.0, 30.0, 4.0, 8.0, 3.0), (2, 3, 5))


def torch_corners(boxes: np.ndarray) -> torch.Tensor:
    values = torch.from_numpy(boxes)
    heading = values[..., 2]
    direction = torch.stack((heading.cos(), heading.sin()), dim=-1)
    return box_corners(values[..., :2], direction, values[..., 3:] / 2.0)


def test_corners_by_hand() -> None:
    """A box that faces left: its front is at larger y, its left at smaller x."""
    found = box_corners(*(torch.tensor(pair) for pair in ((10.0, 20.0), (0.0, 1.0), (2.0, 1.0))))
    assert found.tolist() == [[9, 22], [9, 18], [11, 18], [11, 22]]


def test_numpy_and_torch_agree() -> None:
    boxes = random_boxes()
    np.testing.assert_allclose(corners(boxes), torch_corners(boxes).numpy(), rtol=0.0, atol=1e-12)
    np.testing.assert_array_equal(box_outline(boxes[1, 2, :2], *boxes[1, 2, 2:]), corners(boxes)[1, 2])


def test_coordinates_that_lie_apart_broadcast() -> None:
    x, y = corner_coordinates(*(torch.tensor(value) for value in ([1.0, 2.0], 5.0, 1.0, 0.0, 3.0, 0.5)))
    assert x.tolist() == [[4.0, 5.0], [-2.0, -1.0], [-2.0, -1.0], [4.0, 5.0]]
    assert y.tolist() == [5.5, 5.5, 4.5, 4.5]


def test_the_egos_box_is_the_same_for_rules_and_world() -> None:
    poses = random_boxes()[:, None, :, :3]  # [B, N, S, 3]
    states = torch.zeros(2, 1, 3, len(State), dtype=torch.float64)
    states[..., :3] = torch.from_numpy(poses)
    x, y = Motion.of(states, torch.tensor([EGO_MEASURES_M] * 2, dtype=torch.float64)).corners()
    ahead = np.stack((np.cos(poses[..., 2]), np.sin(poses[..., 2])), axis=-1)
    centers = poses[..., :2] + EGO_REAR_AXLE_TO_CENTER_M * ahead
    sizes = np.broadcast_to((EGO_LENGTH_M, EGO_WIDTH_M), centers.shape)
    wanted = corners(np.concatenate((centers, poses[..., 2:], sizes), axis=-1))
    np.testing.assert_allclose(torch.stack((x, y), dim=-1).movedim(0, -2).numpy(), wanted, rtol=0.0, atol=1e-12)


def test_the_planner_looks_at_the_egos_box_with_a_margin() -> None:
    """Released code: 0.25 m and 0.1 m wider on each side, and clockwise."""
    poses = torch.from_numpy(random_boxes()[..., :3])
    direction = torch.stack((poses[..., 2].cos(), poses[..., 2].sin()), dim=-1)
    center = poses[..., :2] + EGO_REAR_AXLE_TO_CENTER_M * direction
    sizes = torch.tensor([EGO_LENGTH_M + 0.5, EGO_WIDTH_M + 0.2], dtype=torch.float64).expand_as(center)
    wanted = corners(torch.cat((center, poses[..., 2:], sizes), dim=-1).numpy())
    np.testing.assert_allclose(ego_corners(poses).numpy(), wanted[..., [0, 3, 2, 1], :], rtol=0.0, atol=1e-12)
