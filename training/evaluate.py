"""Plans every scene of a split with each agent and measures the plans."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from navsim_agents.common.command import command
from navsim_agents.common.conventions import DRIVING_COMMANDS, METRIC_NAMES, NUM_POSES
from navsim_agents.common.ending import is_machines_fault
from navsim_agents.common.files import whole_file, write_json, write_text
from navsim_agents.data.logs import sensors_of
from navsim_agents.drive_jepa.runs import BEST, LAST, build_agent, load_agent
from navsim_agents.drive_jepa.sequential import SequentialAgent
from navsim_agents.errors import InputError
from training.baselines import BASELINES
from training.config import EvaluateConfig
from training.metrics import PlannedScenes, compute_columns
from training.plan_scores import PlanScorer
from training.seeds import spread_table, spreads
from training.sources import LoggedScenes, SceneSource, choose_logs
from training.table import summary_table

PLANS_FILE = "plans.npz"
SUMMARY_FILE = "summary.json"
NUM_SHOWN = 5


@dataclass
class Evaluation:
    """Plans of all agents on the scenes that could be read; rows of every list go together."""

    scenes: list[dict[str, Any]]
    human: list[np.ndarray]  # of [T, 3]
    plans: dict[str, list[np.ndarray]]  # agent -> of [T, 3], NaN where it raised
    failures: list[dict[str, str]]
    proposals: dict[str, list[np.ndarray]] = field(default_factory=dict)  # agents that propose -> of [N, T, 3]
    foreseen: dict[str, list[np.ndarray]] = field(default_factory=dict)  # their own scores of them -> of [N]


@command(EvaluateConfig, "training.conf.evaluate")
def main(config: EvaluateConfig) -> None:
    """Evaluate as configured and print the table."""
    summary = evaluate(config)
    _say_failures(summary["scenes"]["failures"], Path(config.output) / SUMMARY_FILE)
    print(summary_table(summary))
    if summary["seeds"]:
        print("\n" + spread_table("over seeds", summary["seeds"], {}))


def _say_failures(failures: Sequence[Mapping[str, str]], path: Path) -> None:
    for failure in failures[:NUM_SHOWN]:
        who = failure["agent"] or "the scene is left out"
        print(f"failed: {failure['token']} of {failure['log_name']} ({who}): {failure['reason']}")
    if failures:
        print(f"{len(failures)} scenes or plans failed; {path} names them all")


def evaluate(config: EvaluateConfig, source: Optional[SceneSource] = None) -> dict[str, Any]:
    """Write plans, one csv an agent and the summary into ``config.output``; return the summary.

    ``source`` stands in for the logs at ``config.data_root``.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    start = time.monotonic()
    agents = load_agents(config)
    source = source or LoggedScenes(
        config.data_root, config.split, sensors_of(agents.values()), config.frame_interval, config.scenes
    )
    result = plan_scenes(agents, source, choose_scenes(config, source))
    if not result.scenes:
        raise InputError(f"no scene of {config.data_root} ({config.split}) could be read: {result.failures[:3]}")
    output = Path(config.output)
    scorer = _plan_scorer(config, source, result)
    measured = {name: _measure(name, config, scorer, result, output) for name in agents}
    summary = {
        "agents": measured,
        "seeds": spreads(measured),
        "scenes": _counts(result, scorer.failures),
        "meta": {"config": asdict(config), "seconds": round(time.monotonic() - start, 1)},
    }
    _write_plans(output, result)
    write_json(output / SUMMARY_FILE, summary)
    return summary


def load_agents(config: EvaluateConfig) -> dict[str, Any]:
    """Baselines, trained runs and the composed agent, by the name they have in the table."""
    unknown = sorted(set(config.baselines) - set(BASELINES))
    if unknown:
        raise InputError(f"baselines {unknown} are unknown; choose from {sorted(BASELINES)}")
    agents: dict[str, Any] = {name: BASELINES[name]() for name in config.baselines}
    strange = sorted(set(config.run_settings) - set(config.runs))
    if strange:
        raise InputError(
            f"run_settings are given for {strange}, but runs holds {sorted(config.runs)}; name one of them"
        )
    taken = sorted({*config.baselines, *([config.agent_name] if config.agent is not None else [])} & set(config.runs))
    if taken:
        raise InputError(f"runs are called {taken}, as are baselines or the agent; give each row a name of its own")
    if not config.columns:
        raise InputError("columns=[] leaves nothing to measure; name displacement, pdms or epdms")
    if config.weights not in (BEST, LAST):
        raise InputError(f"weights={config.weights!r}, but must be {BEST} or {LAST}")
    for name, run in config.runs.items():
        agents[name] = load_agent(run, settings=config.run_settings.get(name), weights=config.weights)
    if config.agent is not None:
        agents[config.agent_name] = build_agent(config.agent)
    if not agents:
        raise InputError("nothing to evaluate; name baselines, runs or an agent")
    unfit = [name for name in config.sequential if not _has_momentum(agents.get(name))]
    if unfit:
        raise InputError(
            f"sequential={unfit}: only agents with proposals and momentum go on from an earlier plan; name some of "
            f"{[name for name, agent in agents.items() if _has_momentum(agent)]}, or switch it on: "
            "+run_settings.<name>.momentum.mode=on"
        )
    return {name: SequentialAgent(agent) if name in config.sequential else agent for name, agent in agents.items()}


def _has_momentum(agent: Any) -> bool:
    return hasattr(agent, "propose") and bool(agent.config.momentum.is_on)


def choose_scenes(config: EvaluateConfig, source: SceneSource) -> dict[str, list[str]]:
    """Tokens by log; ``max_scenes`` of them, evenly spaced."""
    names = choose_logs(source.log_names(), config.log_names)
    pairs = [(name, token) for name in names for token in source.open(name).tokens]
    if 0 < config.max_scenes < len(pairs):
        pairs = [pairs[index] for index in np.linspace(0, len(pairs) - 1, config.max_scenes).round().astype(int)]
    return {name: [token for log, token in pairs if log == name] for name in names}


def plan_scenes(agents: Mapping[str, Any], source: SceneSource, tokens: Mapping[str, Sequence[str]]) -> Evaluation:
    """Ask every agent about every scene, one at a time, as NAVSIM does; what fails is recorded and left out."""
    result = Evaluation([], [], {name: [] for name in agents}, [])
    progress = tqdm(total=sum(map(len, tokens.values())), desc="planning", unit="scene")
    for log_name, log_tokens in tokens.items():
        reader = source.open(log_name)
        for token in log_tokens:
            try:
                scene = reader.get_scene(token)
                _plan_scene(agents, log_name, token, scene, source, result)
            except Exception as error:  # an unreadable scene is named in the summary
                if is_machines_fault(error):
                    raise
                result.failures.append(_failure("", log_name, token, error))
            progress.update()
    progress.close()
    return result


def _plan_scene(
    agents: Mapping[str, Any], log_name: str, token: str, scene: Any, source: SceneSource, result: Evaluation
) -> None:
    agent_input = scene.get_agent_input()
    human = np.asarray(scene.get_future_trajectory(NUM_POSES).poses, dtype=np.float64)
    status = agent_input.ego_statuses[-1]
    result.human.append(human)
    result.scenes.append(
        {
            "token": token,
            "log_name": log_name,
            "command": DRIVING_COMMANDS[int(np.argmax(status.driving_command))],
            "speed_mps": float(np.hypot(*status.ego_velocity)),
        }
    )
    for name, agent in agents.items():
        try:
            extra = (scene,) if agent.requires_scene else ()
            if getattr(agent, "requires_scoring_scene", False):
                extra = (*extra, source.scoring_scene(token))
            plan = agent.compute_trajectory(agent_input, *extra)
            poses = np.asarray(plan.poses, dtype=np.float64)
            if poses.shape != human.shape or not np.isfinite(poses).all():
                raise InputError(f"plan has shape {poses.shape} or is not finite; {human.shape} finite poses are due")
        except Exception as error:  # an agent's failure is counted against it, and named
            if is_machines_fault(error):
                raise
            poses = np.full(human.shape, np.nan)
            result.failures.append(_failure(name, log_name, token, error))
        result.plans[name].append(poses)
        if hasattr(agent, "propose"):
            _keep_proposals(name, agent, agent_input, bool(np.isfinite(poses).all()), result)


def _keep_proposals(name: str, agent: Any, agent_input: Any, is_planned: bool, result: Evaluation) -> None:
    """What the plan was chosen from; NaN where there was no plan."""
    shape = (agent.config.planner.num_proposals, NUM_POSES, 3)
    poses, foreseen = np.full(shape, np.nan), np.full(shape[0], np.nan)
    if is_planned:
        proposals = agent.propose(agent_input)  # the agent remembers its last ones
        poses, foreseen = proposals.poses.double().numpy(), proposals.scores.double().numpy()
    result.proposals.setdefault(name, []).append(poses)
    result.foreseen.setdefault(name, []).append(foreseen)


def _failure(agent: str, log_name: str, token: str, error: Exception) -> dict[str, str]:
    return {"agent": agent, "log_name": log_name, "token": token, "reason": f"{type(error).__name__}: {error}"}


def _plan_scorer(config: EvaluateConfig, source: SceneSource, result: Evaluation) -> PlanScorer:
    """Scores nothing until a column group asks."""
    frame = pd.DataFrame(result.scenes)
    plans = {name: np.stack(poses) for name, poses in result.plans.items()}
    metrics = [name for name in METRIC_NAMES if name in config.columns]
    return PlanScorer(source, metrics, list(frame["token"]), list(frame["log_name"]), plans)


def _measure(
    name: str, config: EvaluateConfig, scorer: PlanScorer, result: Evaluation, output: Path
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
    values = pd.DataFrame(compute_columns(config.columns, planned))
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


if __name__ == "__main__":
    main()
