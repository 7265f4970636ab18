"""The scorer as a reward: scenes stay in workers, sampled plans go there, rewards come back."""

from navsim_agents.reward.pool import RewardPool, Rewards

__all__ = ["RewardPool", "Rewards"]
