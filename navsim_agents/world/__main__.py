"""Write a driving world in NAVSIM's formats: ``python -m navsim_agents.world output=<folder> logs=12 seed=0``."""

from __future__ import annotations

import logging

import hydra
from omegaconf import DictConfig, OmegaConf

from navsim_agents.errors import errors_in_one_line
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.generate import generate_world
from navsim_agents.world.plan import WorldIndex
from navsim_agents.world.scoring_scenes.store import STORES_FOLDER
from navsim_agents.world.writers.shell import SHELL_NAME


def summary(config: WorldConfig, index: WorldIndex) -> str:
    """What was written and how to point NAVSIM's scripts at it."""
    output = config.output
    lines = [f"World in {output}:"]
    for split, names in index.splits.items():
        scenes = sum(log.num_scenes() for log in index.logs if log.split == split)
        if names:
            lines.append(f"  {split}: {len(names)} logs, {scenes} scenes of 4 + 10 frames at frame_interval=1")
    if config.scoring_scenes:
        lines.append(f"For training.evaluate, PDMS and EPDMS without the devkit: {output}/{STORES_FOLDER}")
    return "\n".join([*lines, f"For NAVSIM's scripts: . {output}/{SHELL_NAME}"])


@hydra.main(version_base="1.2", config_path="conf", config_name="world")
def main(cfg: DictConfig) -> None:
    """Check the settings, write the world, say what there is."""
    logging.getLogger("pyogrio").setLevel(logging.WARNING)  # it reports every layer
    with errors_in_one_line():
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(WorldConfig), cfg))
        assert isinstance(config, WorldConfig)
        print(summary(config, generate_world(config)))


if __name__ == "__main__":
    main()
