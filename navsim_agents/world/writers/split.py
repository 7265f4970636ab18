"""The split of a world's follow-up scenes as NAVSIM's scripts read it: two YAML files, found by ``--config-dir``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from navsim_agents.common.conventions import NUM_HISTORY_FRAMES, NUM_POSES
from navsim_agents.common.files import write_text

CONFIG_FOLDER = "devkit_config"
SPLIT_NAME = "world_two_stage"

Group = tuple[tuple[str, str], Sequence[tuple[str, str]]]
"""Tokens of two first-stage scenes, the later one first, and of the pairs that follow them."""


def write_split(output: Path, data_split: str, log_names: Sequence[str], groups: Sequence[Group]) -> None:
    """Write both files; ``data_split`` is the first stage's folder of ``navsim_logs``."""
    folder = output / CONFIG_FOLDER / "train_test_split"
    mapping = [[now, previous, [list(pair) for pair in pairs]] for (now, previous), pairs in groups]
    head = f"defaults:\n- scene_filter: {SPLIT_NAME}\ndata_split: {data_split}\n"
    write_text(folder / "scene_filter" / f"{SPLIT_NAME}.yaml", _scene_filter(log_names, groups))
    write_text(folder / f"{SPLIT_NAME}.yaml", head + _listed("reactive_all_mapping", mapping))


def _scene_filter(log_names: Sequence[str], groups: Sequence[Group]) -> str:
    follow_ups = [token for _, pairs in groups for pair in pairs for token in pair]
    return "".join(
        (
            "_target_: navsim.common.dataclasses.SceneFilter\n_convert_: all\n",
            f"num_history_frames: {NUM_HISTORY_FRAMES}\nnum_future_frames: {NUM_POSES}\nframe_interval: 1\n",
            "has_route: true\nmax_scenes: null\ninclude_synthetic_scenes: true\n",
            _listed("log_names", log_names),
            _listed("tokens", [token for scenes, _ in groups for token in scenes]),
            _listed("synthetic_scene_tokens", follow_ups),
            _listed("reactive_synthetic_initial_tokens", follow_ups),
        )
    )


def _listed(key: str, items: Sequence[object]) -> str:
    """One item a line, quoted as JSON does it: a bare token such as 0e12 would be a number."""
    if not items:
        return f"{key}: []\n"
    return f"{key}:\n" + "".join(f"- {json.dumps(item)}\n" for item in items)
