"""Pillars over planned poses, and where cameras see them."""

from __future__ import annotations

import math

import pytest
import torch

from navsim_agents.models.deformable import PADDED_PICTURE, PictureRegion, ego_corners, find_anchors, pillar_points

HALF_LENGTH, HALF_WIDTH, TO_CENTRE = 2.838, 1.2485, 1.461


def test_corners_of_a_box_straight_ahead() -> None:
    expected = [
        [10 + TO_CENTRE + HALF_LENGTH, 2 + HALF_WIDTH],
        [10 + TO_CENTRE + HALF_LENGTH, 2 - HALF_WIDTH],
        [10 + TO_CENTRE - HALF_LENGTH, 2 - HALF_WIDTH],
        [10 + TO_CENTRE - HALF_LENGTH, 2 + HALF_WIDTH],
    ]
    torch.testing.assert_close(ego_corners(torch.tensor([10.0, 2.0, 0.0])), torch.tensor(expected))


def test_corners_of_a_box_turned_by_a_quarter() -> None:
    corners = ego_corners(torch.tensor([[10.0, 2.0, math.pi / 2]]))
    front = 2 + TO_CENTRE + HALF_LENGTH
    expected = [[10 - HALF_WIDTH, front], [10 + HALF_WIDTH, front]]
    torch.testing.assert_close(corners[0, :2], torch.tensor(expected))


def test_tiled_pillar_has_four_points_four_times_over() -> None:
    pose = torch.tensor([4.0, -1.0, 0.3])
    points, corners = pillar_points(pose, tiled=True), ego_corners(pose)
    heights = [-2.0, 2 / 3, 10 / 3, 6.0]
    for place, point in enumerate(points):
        torch.testing.assert_close(point[:2], corners[place % 4])
        assert point[2].item() == pytest.approx(heights[place % 4])


def test_whole_pillar_has_every_corner_at_every_height() -> None:
    pose = torch.tensor([4.0, -1.0, 0.3])
    points = pillar_points(pose, tiled=False)
    wanted = {
        (round(x, 3), round(y, 3), round(height, 3))
        for x, y in ego_corners(pose).tolist()
        for height in (-2.0, 2 / 3, 10 / 3, 6.0)
    }
    assert {tuple(round(value, 3) for value in point) for point in points.tolist()} == wanted
    assert len(wanted) == 16


# A camera at the origin that looks along x: depth x, picture x = 960 - 1000 y / x, picture y = 560 - 1000 z / x.
AHEAD = torch.tensor(
    [[960.0, -1000.0, 0.0, 0.0], [560.0, 0.0, -1000.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)


def test_points_are_projected_into_the_padded_picture() -> None:
    points = torch.tensor([[[[10.0, 2.0, -1.0]], [[10.0, 0.0, 0.0]]]])  # B=1, Q=2, P=1
    anchors = find_anchors(points, AHEAD[None, None], PADDED_PICTURE)
    expected = [[[760 / 1920, 660 / 1120]], [[0.5, 0.5]]]
    torch.testing.assert_close(anchors.references[0, 0], torch.tensor(expected))


def test_points_are_projected_into_the_picture_that_the_encoder_saw() -> None:
    points = torch.tensor([[[[10.0, 2.0, -1.0]]]])
    anchors = find_anchors(points, AHEAD[None, None], PictureRegion(0.0, 28.0, 1920.0, 1024.0))
    torch.testing.assert_close(anchors.references.flatten(), torch.tensor([760 / 1920, (660 - 28) / 1024]))


@pytest.mark.parametrize(
    ("point", "is_visible"),
    [
        ((10.0, 0.0, 0.0), True),
        ((-10.0, 0.0, 0.0), False),  # behind, though its mirror image lies in the picture
        ((10.0, 9.7, 0.0), False),  # left of the picture
        ((10.0, 9.5, 0.0), True),
        ((10.0, 0.0, 5.7), False),  # above
        ((10.0, 0.0, -5.7), False),  # below
    ],
)
def test_a_query_is_visible_where_one_of_its_points_is(point: tuple[float, ...], is_visible: bool) -> None:
    hidden = (-5.0, 1.0, 1.0)
    points = torch.tensor([[[hidden, point]]])
    assert find_anchors(points, AHEAD[None, None], PADDED_PICTURE).is_visible.item() is is_visible


def test_every_scene_has_its_own_cameras() -> None:
    points = torch.tensor([[[[10.0, 0.0, 0.0]]], [[[-10.0, 0.0, 0.0]]]])
    backwards = AHEAD * torch.tensor([-1.0, -1.0, 1.0, 1.0])
    projections = torch.stack((torch.stack((AHEAD, backwards)), torch.stack((backwards, AHEAD))))
    anchors = find_anchors(points, projections, PADDED_PICTURE)
    assert anchors.is_visible.squeeze(-1).tolist() == [[True, False], [True, False]]
