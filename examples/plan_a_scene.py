"""Plan one scene with a trained agent, from Python.

First: python -m training.demo output=outputs/demo
Then:  python examples/plan_a_scene.py outputs/demo
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from training.metrics import average_displacement
from training.sources import LoggedScenes, sensors_of
from training.train import load_run


def main(demo: Path) -> None:
    """Print planned and driven positions of the first scene of towns that the agent has not seen."""
    agent = load_run(demo / "trainings" / "drive_jepa_perception_free")
    source = LoggedScenes(str(demo / "unseen_world"), "test", sensors_of([agent]))
    reader = source.open(source.log_names()[0])
    scene = reader.get_scene(reader.tokens[0])
    planned = agent.compute_trajectory(scene.get_agent_input()).poses
    driven = scene.get_future_trajectory(len(planned)).poses
    print("  t [s]   planned x, y [m]    driven x, y [m]")
    for step, (plan, drive) in enumerate(zip(planned, driven), start=1):
        print(f"{0.5 * step:7.1f}  {plan[0]:8.2f} {plan[1]:8.2f}  {drive[0]:8.2f} {drive[1]:8.2f}")
    error = float(average_displacement(np.asarray(planned, dtype=np.float64), driven))
    print(f"average displacement error: {error:.2f} m")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
