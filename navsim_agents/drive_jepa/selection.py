"""Momentum-aware selection (paper, section 3.5; inference only): prefer proposals that go on as planned before.

S ← (7 S + S_c) / 8, then the best. S_c is NAVSIM v2's two-frame extended comfort (0 or 1) between the plan chosen in
the frame before and a proposal, each simulated from its own frame's ego state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor

from navsim_agents.common.conventions import EGO_MEASURES_M, FRAME_INTERVAL_S, NUM_STATES, POSE_INTERVAL_S, STEP_S
from navsim_agents.common.poses import XY
from navsim_agents.drive_jepa.proposal_config import MULTIPLIED, MomentumConfig
from navsim_agents.models.proposals import EGO_MOTION
from navsim_agents.scoring.axes import MOTION, State
from navsim_agents.scoring.config import EPDMS
from navsim_agents.scoring.rules.comfort import MAX_INTERVAL_S, extended_comfort
from navsim_agents.scoring.simulation.reference import exact_times_us, reference_poses
from navsim_agents.scoring.simulation.tracker import simulate


@dataclass(frozen=True)
class Proposals:
    """What the network says of one frame."""

    poses: Tensor  # [N, T, 3] m, m, rad in the ego frame of that frame
    scores: Tensor  # [N] predicted, 0 to 1
    ego: Tensor  # [11] the ego feature of that frame


@dataclass(frozen=True)
class Choice:
    """The proposal that is driven, and what it was chosen by."""

    best: int
    proposals: Proposals
    scores: Tensor  # [N] after momentum, where there was any

    @property
    def plan(self) -> Tensor:
        """The chosen poses [T, 3]."""
        return self.proposals.poses[self.best]


def choose(
    proposals: Proposals, previous: Optional[Choice], momentum: MomentumConfig, gap_s: float = FRAME_INTERVAL_S
) -> Choice:
    """The best proposal; comfort counts where ``previous`` was planned more than 0 and less than 0.55 s before.

    Args:
        proposals: of this frame.
        previous: what was chosen ``gap_s`` seconds before.
        momentum: how comfort counts.
        gap_s: time between the two frames.
    """
    scores = proposals.scores
    if previous is not None and 0.0 < gap_s < MAX_INTERVAL_S:
        scores = with_comfort(scores, continues(proposals, previous, gap_s), momentum)
    return Choice(int(scores.argmax()), proposals, scores)


def with_comfort(scores: Tensor, is_steady: Tensor, momentum: MomentumConfig) -> Tensor:
    """Scores [N] after S_c [N] has counted; the metric itself has it in the mean that the gates multiply."""
    comfort, weight = is_steady.to(scores), momentum.comfort_weight
    if momentum.form == MULTIPLIED:
        return scores * (1.0 - weight + weight * comfort)
    return (1.0 - weight) * scores + weight * comfort


def smoothed(scores: Tensor, poses: Tensor, scale_m: float) -> Tensor:
    """Each proposal's score as the mean of all, near ones weighing more: ``exp(-distance / scale_m)``.

    The highest of several noisy scores is too high, and the more so the farther apart proposals are; a good plan has
    good neighbours. Distance [m] is the mean over time between positions.

    Args:
        scores: [..., N].
        poses: [..., N, T, 3].
        scale_m: 0 leaves the scores as they are.
    """
    if scale_m == 0.0:
        return scores
    places = poses[..., XY]
    distance = torch.linalg.vector_norm(places.unsqueeze(-3) - places.unsqueeze(-4), dim=-1).mean(-1)  # [..., N, N]
    weights = (-distance / scale_m).exp()
    return (weights * scores.unsqueeze(-2)).sum(-1) / weights.sum(-1)


def continues(proposals: Proposals, previous: Choice, gap_s: float) -> Tensor:
    """S_c of each proposal: bool [N]."""
    now = simulated_states(proposals.poses, proposals.ego)
    before = simulated_states(previous.plan[None], previous.proposals.ego)
    return extended_comfort(now, before.expand_as(now), gap_s)


def simulated_states(plans: Tensor, ego: Tensor) -> Tensor:
    """States [N, 41, 11] of plans [N, T, 3] tracked from the motion in the ego feature [11]; float64 on the CPU.

    The scorer's initial state, too, has no steering angle: NAVSIM's logs do not tell it.
    """
    plans, ego = plans.double().cpu(), ego.double().cpu()
    start = torch.zeros(1, len(State), dtype=torch.float64)
    start[0, MOTION] = ego[EGO_MOTION]
    origin = torch.zeros(1, 3, dtype=torch.float64)
    knots = exact_times_us(plans.shape[1] + 1, POSE_INTERVAL_S)[None]
    reference = reference_poses(plans[None], origin, origin, knots, exact_times_us(NUM_STATES, STEP_S)[None])
    return simulate(reference, start, torch.tensor([EGO_MEASURES_M], dtype=torch.float64), EPDMS.tracker)[0]
