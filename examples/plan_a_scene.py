"""Plan one scene with a trained agent, from Python.

First: drive-jepa demo output=outputs/demo
Then:  python examples/plan_a_scene.py outputs/demo
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from navsim_agents import SceneLoader, load_agent, plan, sensors_of


def main(demo: Path) -> None:
    """Print planned and driven positions of the first scene of towns that the agent has not seen."""
    agent = load_agent(demo / "trainings" / "drive_jepa_perception_free")
    scenes = SceneLoader(demo / "unseen_world", "test", sensors_of([agent]))
    scene = scenes.get_scene(scenes.tokens[0])
    planned = plan(agent, scene)
    driven = scene.get_future_trajectory(len(planned)).poses
    print("  t [s]   planned x, y [m]    driven x, y [m]")
    for step, (ours, theirs) in enumerate(zip(planned, driven), start=1):
        print(f"{0.5 * step:7.1f}  {ours[0]:8.2f} {ours[1]:8.2f}  {theirs[0]:8.2f} {theirs[1]:8.2f}")
    error = np.linalg.norm(planned[:, :2] - driven[:, :2], axis=-1).mean()
    print(f"average displacement error: {error:.2f} m")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
