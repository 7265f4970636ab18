"""Which areas the ego box is in at every state; several rules and training labels read them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from navsim_agents.scoring.rules.motion import Motion
from navsim_agents.scoring.scene_index import SceneIndex


@dataclass(frozen=True)
class EgoAreas:
    """Areas of B scenes, N trajectories, S states."""

    multiple_lanes: Bool[Tensor, "B N S"]  # corners in two lanes or more, and no lane holds all four
    non_drivable: Bool[Tensor, "B N S"]  # some corner in no drivable polygon
    oncoming: Bool[Tensor, "B N S"]  # centre in no lane of the route
    center_in_intersection: Bool[Tensor, "B N S"]
    corner_bits: Int[Tensor, "B N S W"]  # polygons and red lights that hold a corner or more

    def stacked(self) -> Bool[Tensor, "B N S 3"]:
        """Columns of :class:`~navsim_agents.scoring.axes.EgoArea`."""
        return torch.stack((self.multiple_lanes, self.non_drivable, self.oncoming), dim=-1)


def locate_ego(motion: Motion, index: SceneIndex) -> EgoAreas:
    """Areas of all boxes."""
    corners_x, corners_y = motion.corners()
    x = torch.cat((corners_x, motion.center_x[None])).double()
    y = torch.cat((corners_y, motion.center_y[None])).double()
    num_scenes = len(motion.x)
    scene = torch.arange(num_scenes, device=x.device)[:, None, None] if num_scenes > 1 else None
    bits = index.areas.polygons_at(x, y, scene)  # [5, B, N, S, W]
    corners, center = bits[:4], bits[4]
    lanes = corners & index.lane_bits[:, None, None]
    any_lane = lanes[0] | lanes[1] | lanes[2] | lanes[3]
    all_lane = lanes[0] & lanes[1] & lanes[2] & lanes[3]
    drivable = _holds(corners, index.drivable_bits)
    return EgoAreas(
        multiple_lanes=_has_two_bits(any_lane) & ~(all_lane != 0).any(-1),
        non_drivable=~drivable.all(0),
        oncoming=~_holds(center, index.on_route_bits),
        center_in_intersection=_holds(center, index.intersection_bits),
        corner_bits=corners[0] | corners[1] | corners[2] | corners[3],
    )


def in_intersection(x: Tensor, y: Tensor, scene: Int[Tensor, " n"], index: SceneIndex) -> Bool[Tensor, " n"]:
    """Whether points [n] (m) of the given scenes lie in an intersection."""
    bits = index.areas.polygons_at(x.double(), y.double(), scene)
    return (bits & index.intersection_bits[scene] != 0).any(-1)


def _holds(bits: Tensor, layer: Int[Tensor, "B W"]) -> Tensor:
    """Whether any polygon of the layer is among ``bits`` [..., B, N, S, W]."""
    return (bits & layer[:, None, None] != 0).any(-1)


def _has_two_bits(words: Int[Tensor, "*batch W"]) -> Bool[Tensor, "*batch"]:
    """Whether two bits or more are set in all words together."""
    return (words & (words - 1) != 0).any(-1) | ((words != 0).sum(-1) > 1)
