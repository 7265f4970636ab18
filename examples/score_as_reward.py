"""The scorer as the reward of a policy gradient: plans are sampled, scored, and the better ones made more likely.

First: drive-jepa demo output=outputs/demo
Then:  python examples/score_as_reward.py outputs/demo
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from navsim_agents import SceneStore, score_scenes


class Policy(nn.Module):
    """A stand-in for yours: a normal distribution of speed [m/s] and turn [rad/s], from the ego's speed alone."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Linear(1, 2)
        self.log_std = nn.Parameter(torch.tensor([0.5, -3.0]))

    def sample(self, speed: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """``count`` plans [B, N, 8, 3] for speeds [B], and their log-probabilities [B, N]."""
        mean = speed.new_tensor([5.0, 0.0]) + self.mean(speed[:, None])
        normal = torch.distributions.Normal(mean, self.log_std.exp())
        drawn = normal.sample((count,))
        time = 0.5 * torch.arange(1, 9)
        way, heading = (drawn[..., :1] * time, drawn[..., 1:] * time)
        poses = torch.stack((way * torch.cos(heading / 2), way * torch.sin(heading / 2), heading), dim=-1)
        return poses.transpose(0, 1), normal.log_prob(drawn).sum(-1).T


def main(scenes_of: Path, steps: int = 50) -> list[float]:
    """Train on the first scenes, and print how the mean reward grows."""
    torch.manual_seed(0)
    store = SceneStore(scenes_of)
    scenes = [store[token] for token in store.tokens[:8]]
    speed = torch.stack([scene.ego_state[3] for scene in scenes]).float()
    policy, means = Policy(), []
    optimiser = torch.optim.Adam(policy.parameters(), lr=0.05)
    for step in range(steps):
        plans, log_probability = policy.sample(speed, 32)
        rewards = score_scenes(scenes, plans.double(), metric="epdms").columns["pdm_score"]  # [B, N], without gradient
        advantage = rewards - rewards.mean(dim=1, keepdim=True)
        loss = -(advantage * log_probability).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        means.append(float(rewards.mean()))
        if step % 10 == 9:
            print(f"step {step + 1:3d}: mean reward {sum(means[-10:]) / 10:.3f}")
    return means


if __name__ == "__main__":
    main(Path(sys.argv[1]) / "unseen_world" / "scoring_scenes" / "test")
