"""Bench2Drive, a closed-loop benchmark in CARLA: its files, its measures, and the agent that its leaderboard loads."""
