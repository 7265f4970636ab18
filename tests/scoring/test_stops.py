"""How far a reader travels: scoring one scene passes through few files, and none of them is long."""

from __future__ import annotations

import ast

import pytest
import torch

from navsim_agents.scoring import ScoringScene, score_trajectories
from navsim_agents.scoring.config import METRICS
from tests.scoring.busy_road import busy, some_plans
from tests.stops import ROOT, stops

MOST_STOPS, MOST_LINES, MOST_LINES_OF_A_FUNCTION = 18, 350, 50


@pytest.mark.parametrize("metric", METRICS)
def test_scoring_a_scene_stops_at_few_files(metric):
    """From a scene whose index is not built yet, in which every rule has something to say."""
    made = ScoringScene.from_arrays(busy())
    with stops() as found:
        scores = score_trajectories(made, some_plans(4), metric=metric)
    assert all(torch.isfinite(scores["ego_progress"]))
    assert "navsim_agents/scoring/score.py" in found
    assert len(found) <= MOST_STOPS, "\n".join(["passed through", *sorted(found)])


@pytest.mark.parametrize("room", ["scoring", "distillation"])
def test_no_file_or_function_is_long(room):
    for path in sorted((ROOT / "navsim_agents" / room).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= MOST_LINES, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= MOST_LINES_OF_A_FUNCTION, (path, node.name, length)
