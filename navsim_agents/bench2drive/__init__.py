"""Bench2Drive, a closed-loop benchmark in CARLA: its clips, its files, its measures, its planners and their agent."""
