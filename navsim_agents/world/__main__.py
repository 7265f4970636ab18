"""Writes a driving world in NAVSIM's on-disk formats, with its scoring scenes.

drive-jepa world output=<folder> logs=12 seed=0
"""

from __future__ import annotations

import logging

from navsim_agents.common.command import command
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.summary import summary


@command(WorldConfig, "navsim_agents.world.conf.world")
def main(config: WorldConfig) -> None:
    """Write the world and print a summary."""
    from navsim_agents.world.generate import generate_world  # needs the extra world; without it: one line

    logging.getLogger("pyogrio").setLevel(logging.WARNING)  # it reports every layer
    print(summary(config, generate_world(config)))


if __name__ == "__main__":
    main()
