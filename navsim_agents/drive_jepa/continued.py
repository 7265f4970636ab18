"""Plans shorter than what the scorer judges."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.common.poses import HEADING, XY, X, Y


def continued(plans: Float[Tensor, "*batch T 3"], num_poses: int) -> Float[Tensor, "*batch P 3"]:
    """Plans (m, m, rad; ``ego`` frame) with ``num_poses`` poses at least: each goes on with its last step, turned on.

    That is at its last speed, along the arc that it ends in. A plan that is long enough stays as it is.
    """
    poses = list(plans.unbind(-2))
    while len(poses) < num_poses:
        last, before = poses[-1], poses[-2] if len(poses) > 1 else torch.zeros_like(poses[-1])
        turn = last[..., HEADING] - before[..., HEADING]
        step, cos, sin = last[..., XY] - before[..., XY], turn.cos(), turn.sin()
        x = last[..., X] + cos * step[..., X] - sin * step[..., Y]
        y = last[..., Y] + sin * step[..., X] + cos * step[..., Y]
        poses.append(torch.stack((x, y, last[..., HEADING] + turn), dim=-1))
    return torch.stack(poses, dim=-2)
