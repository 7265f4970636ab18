"""Finds out which encoder is the better one to plan on.

The perception-free planner is trained on each encoder, frozen, for the same budget and evaluated on unseen logs, over
several seeds: the paper's comparison of encoders. ``random`` stands for weights that are drawn from the seed. Encoders
of other architectures bring the agent's settings that differ: ``+encoders.dino={weights: …, encoder: {name: timm:…}}``.
"""

from __future__ import annotations

from navsim_agents.common.command import command
from training.probe_config import ProbeConfig
from training.probing import probe, probe_table


@command(ProbeConfig, "training.conf.probe")
def main(config: ProbeConfig) -> None:
    """Probe as configured and print the table."""
    print(probe_table(probe(config)))


if __name__ == "__main__":
    main()
