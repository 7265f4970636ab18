"""Compares ways to pretrain the video encoder: several pretrainings of each, planned on frozen.

Beside them stand encoders that learnt nothing. By default the paper's masks and ours on the built-in world, which is
made first. An interrupted run goes on where it stopped.
"""

from __future__ import annotations

from navsim_agents.common.command import command
from navsim_agents.common.extras import require_extras
from training.comparison_config import ComparisonConfig

EXTRAS_OF_WORLD = ("world", "video")


@command(ComparisonConfig, "training.conf.compare_pretrainings")
def main(config: ComparisonConfig) -> None:
    """Compare as configured and print the table."""
    if config.given.root is None:
        require_extras(*EXTRAS_OF_WORLD)
    from training.comparing import compare

    print("\n" + compare(config))


if __name__ == "__main__":
    main()
