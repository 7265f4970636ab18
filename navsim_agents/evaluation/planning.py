"""Every scene planned by every agent, one at a time, as NAVSIM does; what fails is named and left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
from tqdm import tqdm

from navsim_agents.common.conventions import DRIVING_COMMANDS, NUM_POSES
from navsim_agents.common.ending import is_machines_fault
from navsim_agents.common.poses import LARGEST_M, are_poses
from navsim_agents.data.synthetic_scenes import SyntheticScene
from navsim_agents.errors import InputError
from navsim_agents.sources import SceneSource, choose_logs


@dataclass
class Evaluation:
    """Plans of all agents on the scenes that could be read; rows of every list go together."""

    scenes: list[dict[str, Any]]
    human: list[np.ndarray]  # of [T, 3], NaN in synthetic scenes
    plans: dict[str, list[np.ndarray]]  # agent -> of [T, 3], NaN where it raised
    failures: list[dict[str, str]]
    proposals: dict[str, list[np.ndarray]] = field(default_factory=dict)  # agents that propose -> of [N, T, 3]
    foreseen: dict[str, list[np.ndarray]] = field(default_factory=dict)  # their own scores of them -> of [N]


def choose_scenes(
    source: SceneSource, log_names: Optional[Sequence[str]] = None, max_scenes: int = 0
) -> dict[str, list[str]]:
    """Tokens by log.

    Args:
        source: whose scenes.
        log_names: of which logs; None takes all.
        max_scenes: how many, evenly spaced over the logs; 0 takes all.

    Raises:
        InputError: there is no log of a name.
    """
    names = choose_logs(source.log_names(), log_names)
    pairs = [(name, token) for name in names for token in source.open(name).tokens]
    if 0 < max_scenes < len(pairs):
        pairs = [pairs[index] for index in np.linspace(0, len(pairs) - 1, max_scenes).round().astype(int)]
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
    human = _human(scene)
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
            poses = _plan(agent, agent_input, scene, token, source)
            if poses.shape != human.shape or not are_poses(poses):
                raise InputError(
                    f"plan has shape {poses.shape}, or is not finite or beyond {LARGEST_M:g} m; it must be "
                    f"{human.shape} of metres and radians in the ego frame: mend the agent"
                )
        except Exception as error:  # an agent's failure is counted and reported
            if is_machines_fault(error):
                raise
            poses = np.full(human.shape, np.nan)
            result.failures.append(_failure(name, log_name, token, error))
        result.plans[name].append(poses)
        if hasattr(agent, "propose"):
            _keep_proposals(name, agent, agent_input, bool(np.isfinite(poses).all()), result)


def _human(scene: Any) -> np.ndarray:
    """What was driven [T, 3]; NaN where nobody did."""
    if isinstance(scene, SyntheticScene):
        return np.full((NUM_POSES, 3), np.nan)
    return np.asarray(scene.get_future_trajectory(NUM_POSES).poses, dtype=np.float64)


def _plan(agent: Any, agent_input: Any, scene: Any, token: str, source: SceneSource) -> np.ndarray:
    """Poses [T, 3] of an agent; it is given those parts of the scene that it requires."""
    extra = (scene,) if agent.requires_scene else ()
    if getattr(agent, "requires_scoring_scene", False):
        extra = (*extra, source.scoring_scene(token))
    return np.asarray(agent.compute_trajectory(agent_input, *extra).poses, dtype=np.float64)


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
