"""What the rules read of simulated states: boxes, speeds, and the polygons that the boxes touch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from navsim_agents.common.boxes import corner_coordinates
from navsim_agents.scoring.axes import State, Vehicle


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
        x, y, heading, velocity_x, velocity_y = states[..., : State.ACCELERATION_X].unbind(-1)
        cos, sin = torch.cos(heading), torch.sin(heading)
        ahead = vehicle[:, None, None, Vehicle.REAR_AXLE_TO_CENTER]
        return Motion(
            x=x,
            y=y,
            heading=heading,
            cos=cos,
            sin=sin,
            speed=torch.hypot(velocity_x, velocity_y),
            center_x=x + ahead * cos,
            center_y=y + ahead * sin,
            half_size=vehicle[:, [Vehicle.HALF_LENGTH, Vehicle.HALF_WIDTH]],
        )

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
