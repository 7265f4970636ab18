"""The ego's boxes, the areas that they are in, and the rules that follow from these.

Which are: drivable area (0/1), driving direction (1, 1/2, 0) and traffic light (0/1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.boxes import corner_coordinates
from navsim_agents.scoring.axes import State, Vehicle
from navsim_agents.scoring.config import MetricConfig
from navsim_agents.scoring.geometry.boxes import segment_intersects_box
from navsim_agents.scoring.scene import SceneIndex
from navsim_agents.scoring.scene_batch import SceneBatch


@dataclass(frozen=True)
class Motion:
    """Ego boxes of B scenes, N trajectories, S states (m, m/s, rad); ``x, y`` is the rear axle."""

    x: Float[Tensor, "B N S"]
    y: Float[Tensor, "B N S"]
    heading: Float[Tensor, "B N S"]
    cos: Float[Tensor, "B N S"]
    sin: Float[Tensor, "B N S"]
    speed: Float[Tensor, "B N S"]
    center_x: Float[Tensor, "B N S"]
    center_y: Float[Tensor, "B N S"]
    half_size: Float[Tensor, "B 2"]

    @staticmethod
    def of(states: Float[Tensor, "B N S 11"], vehicle: Float[Tensor, "B 4"]) -> Motion:
        """Motion of simulated states."""
        x, y, heading = states[..., State.X], states[..., State.Y], states[..., State.HEADING]
        cos, sin = torch.cos(heading), torch.sin(heading)
        ahead = vehicle[:, None, None, Vehicle.REAR_AXLE_TO_CENTER]
        return Motion(
            x=x,
            y=y,
            heading=heading,
            cos=cos,
            sin=sin,
            speed=torch.hypot(states[..., State.VELOCITY_X], states[..., State.VELOCITY_Y]),
            center_x=x + ahead * cos,
            center_y=y + ahead * sin,
            half_size=vehicle[:, [Vehicle.HALF_LENGTH, Vehicle.HALF_WIDTH]],
        )

    def rows(self, rows: slice) -> Motion:
        """Some of the trajectories."""
        per_state = {name: value[..., rows, :] for name, value in vars(self).items() if name != "half_size"}
        return Motion(**per_state, half_size=self.half_size)

    @property
    def shape(self) -> torch.Size:
        """B, N, S."""
        return self.x.shape

    def corners(self) -> tuple[Float[Tensor, "4 B N S"], Float[Tensor, "4 B N S"]]:
        """x and y of the corners: front left, rear left, rear right, front right."""
        length, width = (half[:, None, None] for half in self.half_size.unbind(-1))
        return corner_coordinates(self.center_x, self.center_y, self.cos, self.sin, length, width)

    def scene_of(self, trajectory: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Scene of each flat trajectory number b * N + i."""
        return torch.div(trajectory, self.shape[1], rounding_mode="floor")


@dataclass(frozen=True)
class EgoAreas:
    """Areas of B scenes, N trajectories, S states."""

    multiple_lanes: Bool[Tensor, "B N S"]  # corners in two lanes or more, and no lane holds all four
    non_drivable: Bool[Tensor, "B N S"]  # some corner in no drivable polygon
    oncoming: Bool[Tensor, "B N S"]  # centre in no lane of the route
    center_in_intersection: Bool[Tensor, "B N S"]
    corner_bits: Int[Tensor, "W B N S"]  # polygons and red lights that hold a corner or more

    def rows(self, rows: slice) -> EgoAreas:
        """Of some of the trajectories."""
        return EgoAreas(**{name: value[..., rows, :] for name, value in vars(self).items()})

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


def drivable_area(areas: EgoAreas) -> Bool[Tensor, "B N"]:
    """Whether every corner stays in drivable polygons at every state."""
    return ~areas.non_drivable.any(-1)


def driving_direction(motion: Motion, areas: EgoAreas, metric: MetricConfig) -> Float[Tensor, "B N"]:
    """1, 1/2 or 0 by the longest distance [m] that the centre moves within one second outside the route's lanes."""
    steps = torch.hypot(torch.diff(motion.center_x), torch.diff(motion.center_y))
    counts = areas.oncoming[..., 1:]
    if metric.intersection_excuses_direction:
        counts = counts & ~areas.center_in_intersection[..., 1:]
    ways = torch.nn.functional.pad(steps * counts, (metric.direction_window_steps, 0))
    longest = ways.unfold(-1, metric.direction_window_steps, 1).sum(-1).amax(-1)
    half = torch.where(longest < metric.direction_violation_m, 0.5, 0.0).to(longest)
    return torch.where(longest < metric.direction_compliance_m, 1.0, half)


def traffic_light(motion: Motion, batch: SceneBatch, areas: EgoAreas) -> Bool[Tensor, "B N"]:
    """Whether the box never touches a connector while it is red: none holds a corner of it, and no outline cuts it."""
    num_scenes, num_trajectories, num_steps = motion.shape
    active = batch.red_light_active[..., :num_steps]
    if not active.any():
        return torch.ones(motion.shape[:2], dtype=torch.bool, device=motion.x.device)
    light_bits = batch.index.light_bits.permute(2, 0, 1)[..., None]  # [W, B, L, 1]
    active_bits = (active * light_bits).sum(2)  # [W, B, S], each bit once
    runs = (areas.corner_bits & active_bits[:, :, None] != 0).any(0).any(-1).flatten()
    waits = torch.nonzero(~runs)[:, 0]
    trajectory, step = (
        waits.repeat_interleave(num_steps),
        torch.arange(num_steps, device=waits.device).repeat(len(waits)),
    )
    scene = motion.scene_of(trajectory)
    lit = torch.nonzero(active.any(1)[scene, step])[:, 0]
    trajectory, step, scene = trajectory[lit], step[lit], scene[lit]
    x, y = flat(motion.center_x, trajectory, step), flat(motion.center_y, trajectory, step)
    center = torch.stack((x, y), dim=-1)
    direction = torch.stack((flat(motion.cos, trajectory, step), flat(motion.sin, trajectory, step)), dim=-1)
    lights = batch.index.lights
    for which, segments, owner in lights.candidates(x.double(), y.double(), scene):
        red = active[scene[which], owner, step[which]]
        start, end = segments.to(center).split(2, dim=-1)
        half_size = motion.half_size[scene[which]]
        cut = segment_intersects_box(start, end, center[which], direction[which], half_size)
        runs[trajectory[which[(red & cut).any(0)]]] = True
    return ~runs.reshape(num_scenes, num_trajectories)


def flat(values: Tensor, trajectory: Int[Tensor, " n"], step: Int[Tensor, " n"]) -> Tensor:
    """``values`` [B, N, S] at flat trajectory numbers and steps."""
    return values.flatten(0, 1)[trajectory, step]


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
