"""Names that users were told of stay where they were, whatever moves behind them."""

from __future__ import annotations

from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("told", "name", "home"),
    [
        ("training.evaluate", "evaluate", "training.evaluate"),
        ("training.config", "EvaluateConfig", "training.config"),
        ("training.metrics", "columns", "navsim_agents.evaluation.metrics"),
        ("training.metrics", "PlannedScenes", "navsim_agents.evaluation.metrics"),
        ("training.metrics", "Columns", "navsim_agents.evaluation.metrics"),
        ("training.table", "summary_table", "navsim_agents.evaluation.table"),
        ("training.video.loader", "build_clip_loader", "navsim_agents.video.loader"),
    ],
)
def test_a_name_is_the_same_thing_in_both_places(told: str, name: str, home: str) -> None:
    assert getattr(import_module(told), name) is getattr(import_module(home), name)
