"""Plan one scene with the full planner: its proposals, what it foresees of each, and what the simulator says.

First: drive-jepa world output=world logs=12 cameras=[cam_f0]
       drive-jepa train agent=drive_jepa_small data.root=world output=run \
           agent.config.scenes=world/scoring_scenes
Then:  python examples/propose_and_choose.py run world [picture.png]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Optional

from navsim_agents import Choice, SceneLoader, diversity, load_agent, open_scenes, score_trajectories, sensors_of


def main(run: Path, world: Path, picture: Optional[Path] = None) -> None:
    """Print the proposals of the first scene that the agent has not seen, the best foreseen score first."""
    agent = load_agent(run)
    scenes = SceneLoader(world, "test", sensors_of([agent]))
    token = scenes.tokens[0]
    choice = agent.choose(scenes.get_scene(token).get_agent_input(), agent.config.momentum.replanned)
    scene = open_scenes(str(world / "scoring_scenes")).scene(token)
    true = score_trajectories(scene, choice.proposals.poses.double(), metric="epdms")
    print(" proposal  foreseen  with momentum  simulator   ends at x, y [m]")
    for row in choice.scores.argsort(descending=True).tolist():
        foreseen, score = choice.proposals.scores[row], true["pdm_score"][row]
        x, y = choice.proposals.poses[row, -1, :2]
        print(f"{row:9d} {foreseen:9.3f} {choice.scores[row]:14.3f} {score:10.3f}   {x:8.2f} {y:8.2f}")
    print(f"diversity: {diversity(choice.proposals.poses).union:.2f}")
    if picture is not None:
        draw(choice, picture)


def draw(choice: Choice, path: Path) -> None:
    """The proposals from above, green where the foreseen score is high; the chosen one is thick."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    for row, poses in enumerate(choice.proposals.poses):
        colour = pyplot.get_cmap("RdYlGn")(float(choice.proposals.scores[row]))
        axes.plot(-poses[:, 1], poses[:, 0], color=colour, linewidth=3 if row == choice.best else 1)
    axes.set(xlabel="right [m]", ylabel="ahead [m]", aspect="equal")
    figure.savefig(path)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
