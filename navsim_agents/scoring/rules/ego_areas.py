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
    corner_bits: Int[Tensor, "W B N S"]  # polygons and red lights that hold a corner or more

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
    *corners, center = index.areas.polygons_at(x, y, scene).unbind(1)  # [W, B, N, S] each
    one, two, three, four = corners
    any_corner = one | two | three | four
    lanes = _layer(index.lane_bits)
    drivable = [_holds(corner, index.drivable_bits) for corner in corners]
    return EgoAreas(
        multiple_lanes=_has_two_bits(any_corner & lanes) & ~_any_word(one & two & three & four & lanes),
        non_drivable=~(drivable[0] & drivable[1] & drivable[2] & drivable[3]),
        oncoming=~_holds(center, index.on_route_bits),
        center_in_intersection=_holds(center, index.intersection_bits),
        corner_bits=any_corner,
    )


def in_intersection(x: Tensor, y: Tensor, scene: Int[Tensor, " n"], index: SceneIndex) -> Bool[Tensor, " n"]:
    """Whether points [n] (m) of the given scenes lie in an intersection."""
    bits = index.areas.polygons_at(x.double(), y.double(), scene)
    return _any_word(bits & index.intersection_bits[scene].T)


def _holds(bits: Int[Tensor, "W B N S"], layer: Int[Tensor, "B W"]) -> Bool[Tensor, "B N S"]:
    """Whether any polygon of the layer is among ``bits``."""
    return _any_word(bits & _layer(layer))


def _layer(bits: Int[Tensor, "B W"]) -> Int[Tensor, "W B 1 1"]:
    return bits.T[:, :, None, None]


def _any_word(words: Int[Tensor, "W *batch"]) -> Bool[Tensor, "*batch"]:
    """Whether any bit is set."""
    return words[0] != 0 if len(words) == 1 else (words != 0).any(0)


def _has_two_bits(words: Int[Tensor, "W *batch"]) -> Bool[Tensor, "*batch"]:
    """Whether two bits or more are set in all words together."""
    return _any_word(words & (words - 1)) | ((words != 0).sum(0) > 1)
