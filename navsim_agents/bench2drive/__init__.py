"""Bench2Drive: its clips, what its planners see, the agent that its leaderboard loads, and its results."""
