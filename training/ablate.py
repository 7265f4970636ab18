"""Trains rows of a table, such as the paper's ablation, with several seeds, and compares them.

By default the paper's rows on the built-in world, which is made first. An interrupted run goes on where it stopped; a
training that two rows share is made once.
"""

from __future__ import annotations

from navsim_agents.common.command import command
from navsim_agents.common.extras import require_extras
from training.ablation.config import AblateConfig

EXTRAS_OF_WORLD = ("world", "labels", "video")


@command(AblateConfig, "training.conf.ablate")
def main(config: AblateConfig) -> None:
    """Ablate as configured and print the table."""
    require_extras("report", *(EXTRAS_OF_WORLD if config.given.root is None else ()))
    from training.ablation.work import ablate

    print("\n" + ablate(config))


if __name__ == "__main__":
    main()
