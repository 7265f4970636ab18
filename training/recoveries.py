"""Writes a driving world in which an expert saves the car from trouble, to learn closed loops from."""

from __future__ import annotations

import logging

from navsim_agents.closed_loop.recovery_config import RecoveriesConfig
from navsim_agents.common.command import command
from navsim_agents.common.extras import require_extras
from navsim_agents.world.summary import summary


@command(RecoveriesConfig, "training.conf.recoveries")
def main(config: RecoveriesConfig) -> None:
    """Write the world and print a summary."""
    require_extras("world")
    from navsim_agents.closed_loop.recovery_world import write_recoveries

    logging.getLogger("pyogrio").setLevel(logging.WARNING)  # it reports every layer
    print(summary(config, write_recoveries(config)))


if __name__ == "__main__":
    main()
