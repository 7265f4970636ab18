"""What an evaluation leaves: every plan, a table of every scene for each agent, and their averages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from navsim_agents.common.conventions import METRIC_NAMES
from navsim_agents.common.files import whole_file, write_text
from navsim_agents.evaluation.metrics import BEST_OF_N, PlannedScenes, compute_columns
from navsim_agents.evaluation.plan_scores import PlanScorer
from navsim_agents.evaluation.planning import Evaluation
from navsim_agents.evaluation.seeds import spreads
from navsim_agents.scoring.config import LOG_REPLAY
from navsim_agents.sources import SceneSource

PLANS_FILE = "plans.npz"
SUMMARY_FILE = "summary.json"


def write_evaluation(
    result: Evaluation, source: SceneSource, columns: Sequence[str], output: Path, traffic: str = LOG_REPLAY
) -> dict[str, Any]:
    """Measure the plans, write them and one csv an agent (and metric) into ``output``, and return the averages.

    Args:
        result: plans of one scene at least.
        source: of the scoring scenes, where PDMS or EPDMS is among the columns.
        columns: groups of :mod:`navsim_agents.evaluation.metrics`.
        output: folder.
        traffic: of EPDMS, as of :func:`navsim_agents.scoring.score_scenes`.

    Returns:
        ``agents``: averages by agent; ``seeds``: their spread over runs that differ in the seed alone; ``scenes``: how
        many, and what failed.

    Raises:
        InputError: a group is unknown, or no scene can be scored.
    """
    scorer = _plan_scorer(source, columns, result, traffic)
    measured = {name: _measure(name, columns, scorer, result, output) for name in result.plans}
    _write_plans(output, result)
    return {"agents": measured, "seeds": spreads(measured), "scenes": _counts(result, scorer.failures)}


def _plan_scorer(source: SceneSource, columns: Sequence[str], result: Evaluation, traffic: str) -> PlanScorer:
    """Scores nothing until a column group asks."""
    frame = pd.DataFrame(result.scenes)
    plans = {name: np.stack(poses) for name, poses in result.plans.items()}
    metrics = [name for name in METRIC_NAMES if name in columns]
    asked_for = result.proposals if BEST_OF_N in columns else {}
    proposals = {name: np.stack(poses) for name, poses in asked_for.items()}
    return PlanScorer(source, metrics, list(frame["token"]), list(frame["log_name"]), plans, traffic, proposals)


def _measure(
    name: str, columns: Sequence[str], scorer: PlanScorer, result: Evaluation, output: Path
) -> dict[str, float]:
    """Write the agent's csv files; averages over the scenes that it planned."""
    frame = pd.DataFrame(result.scenes)
    planned = PlannedScenes(
        scorer.tokens,
        scorer.log_names,
        scorer.plans[name],
        np.stack(result.human),
        scorer.source,
        name,
        scorer,
        np.stack(result.proposals[name]) if name in result.proposals else None,
    )
    values = pd.DataFrame(compute_columns(columns, planned))
    is_valid = np.isfinite(planned.planned).all((1, 2))
    frame = pd.concat((frame.assign(valid=is_valid), values), axis=1)
    write_text(output / f"{name}.csv", frame.to_csv(index=False))
    for metric in scorer.metrics:
        scored = frame[["token", "valid"]].assign(**scorer.columns(name, metric))
        write_text(output / f"{name}.{metric}.csv", scored.to_csv(index=False))
    averages = {column: round(float(mean), 6) for column, mean in values[is_valid].mean().items() if np.isfinite(mean)}
    return {**averages, "num_planned": int(is_valid.sum()), "num_failed": int((~is_valid).sum())}


def _counts(result: Evaluation, unscored: list[dict[str, str]]) -> dict[str, Any]:
    frame = pd.DataFrame(result.scenes)
    return {
        "num_scenes": len(frame),
        "num_logs": int(frame["log_name"].nunique()),
        "commands": {str(name): int(count) for name, count in frame["command"].value_counts().items()},
        "failures": [*result.failures, *unscored],
    }


def _write_plans(output: Path, result: Evaluation) -> None:
    kinds = {"plans": result.plans, "proposals": result.proposals, "foreseen": result.foreseen}
    plans = {f"{kind}.{name}": np.stack(rows) for kind, agents in kinds.items() for name, rows in agents.items()}
    with whole_file(output / PLANS_FILE) as temporary:
        np.savez_compressed(
            temporary,
            tokens=np.array([scene["token"] for scene in result.scenes]),
            log_names=np.array([scene["log_name"] for scene in result.scenes]),
            human=np.stack(result.human),
            **plans,  # type: ignore[arg-type]
        )
