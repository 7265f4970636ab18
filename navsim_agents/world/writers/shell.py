"""A file to source before NAVSIM's scripts: where the world lies and which logs are for which purpose."""

from __future__ import annotations

from pathlib import Path

from navsim_agents.common.files import write_text
from navsim_agents.world.geography import MAP_VERSION
from navsim_agents.world.plan import WorldIndex

SHELL_NAME = "devkit.env"

_HEAD = f"""# Source this before NAVSIM's scripts: . <this folder>/{SHELL_NAME}
WORLD_ROOT="$(cd "$(dirname "${{BASH_SOURCE[0]:-$0}}")" && pwd)"
export WORLD_ROOT
export OPENSCENE_DATA_ROOT="$WORLD_ROOT"
export NUPLAN_MAPS_ROOT="$WORLD_ROOT/maps"
export NUPLAN_MAP_VERSION="{MAP_VERSION}"
export NAVSIM_EXP_ROOT="${{NAVSIM_EXP_ROOT:-$WORLD_ROOT/exp}}"
# Lists for Hydra overrides: train_logs=$WORLD_TRAIN_LOGS val_logs=$WORLD_VAL_LOGS
"""


def write_shell_variables(output: Path, index: WorldIndex) -> Path:
    """Write ``devkit.env`` and return its path."""
    lists = [f"export WORLD_{split.upper()}_LOGS='[{','.join(names)}]'\n" for split, names in index.splits.items()]
    write_text(output / SHELL_NAME, _HEAD + "".join(lists))
    return output / SHELL_NAME
