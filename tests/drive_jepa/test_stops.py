"""Few files to read: what a training step of the full planner passes through."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from navsim_agents.drive_jepa import ProposalAgent
from tests.drive_jepa.batches import planner_batch
from tests.stops import stops

MOST = 15
SCORER = ("navsim_agents/scoring/", "navsim_agents/common/processes.py")  # the latter hands its work to threads


def test_a_training_step_passes_few_files(
    make_planner: Callable[..., ProposalAgent], scene_store: Path, labels: dict[str, Any]
) -> None:
    """Planning and ``compute_loss``; the scorer, which has a count of its own, is one stop."""
    agent = make_planner(scenes=str(scene_store), **labels)
    features, targets = planner_batch(agent)
    with stops() as passed:
        agent.compute_loss(features, targets, agent.forward(features))
    own = sorted(file for file in passed if not file.startswith(SCORER))
    assert len(own) < len(passed)
    assert len(own) + 1 <= MOST, "\n".join(own)
