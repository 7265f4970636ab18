"""The agents of an evaluation: baselines, trained runs, and one that is composed from its config."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from navsim_agents.common.conventions import METRIC_NAMES
from navsim_agents.drive_jepa.runs import BEST, LAST, build_agent, load_agent
from navsim_agents.drive_jepa.sequential import SequentialAgent
from navsim_agents.errors import InputError
from navsim_agents.evaluation.baselines import BASELINES
from navsim_agents.evaluation.checkpoints import load_checkpoints

PARTS = (*METRIC_NAMES, "choice", "two_stage")
"""Of which a row has a csv of its own, ``<row>.<part>.csv``."""


@dataclass(frozen=True)
class Contestants:
    """Which agents to evaluate, by their names in the table."""

    baselines: Sequence[str] = ()  # of BASELINES
    runs: Mapping[str, str] = field(default_factory=dict)  # name -> folder that drive-jepa train wrote
    run_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of a run: agent's config keys
    weights: str = BEST  # of the runs: best or last
    sequential: Sequence[str] = ()  # runs whose momentum continues from what was really planned
    agent: Any = None  # one more, as composed from navsim_configs
    agent_name: str = "agent"
    checkpoints: Mapping[str, Any] = field(default_factory=dict)  # name -> path, pattern or list: a row for each file

    def check(self) -> None:
        """Raises InputError if a name is unknown or used twice, or if there is no agent at all."""
        unknown = sorted(set(self.baselines) - set(BASELINES))
        if unknown:
            raise InputError(f"baselines {unknown} are unknown; choose from {sorted(BASELINES)}")
        strange = sorted(set(self.run_settings) - {*self.runs, *self.checkpoints})
        if strange:
            holds = f"runs holds {sorted(self.runs)}"
            holds += f" and checkpoints {sorted(self.checkpoints)}" if self.checkpoints else ""
            raise InputError(f"run_settings are given for {strange}, but {holds}; name one of them")
        for name in (*self.runs, *self.checkpoints, *([self.agent_name] if self.has_agent else [])):
            refuse_name(name)
        others = {*self.baselines, *([self.agent_name] if self.has_agent else [])}
        taken = sorted(set(self.runs) & set(self.checkpoints))
        if taken:
            raise InputError(f"{taken} are runs and checkpoints; give each a name of its own")
        taken = sorted(others & {*self.runs, *self.checkpoints})
        if taken:
            raise InputError(f"runs are called {taken}, as are baselines or the agent; give each row a name of its own")
        if self.weights not in (BEST, LAST):
            raise InputError(f"weights={self.weights!r}, but must be {BEST} or {LAST}")
        if not others and not self.runs and not self.checkpoints:
            raise InputError("nothing to evaluate; name baselines, runs, checkpoints or an agent")

    @property
    def has_agent(self) -> bool:
        """Whether ``agent`` is a row; beside checkpoints, and without one of its own, it says what these are of."""
        return self.agent is not None and (not self.checkpoints or bool(self.agent.get("checkpoint_path")))


def refuse_name(name: str) -> None:
    """Raises InputError where a name of a row can be none of the files that it gets."""
    if not name.strip() or set(name) & set("/\\\0") or name.startswith("."):
        raise InputError(
            f"a row is called {name!r}, but its name is that of its files: text without / and \\ that does not begin "
            "with a dot; call it otherwise"
        )


def refuse_same_files(names: Collection[str]) -> None:
    """Raises InputError where the table of one row would be written over by another's."""
    for name in names:
        base, _, part = name.rpartition(".")
        if base in names and part in PARTS:
            raise InputError(f"{name}.csv would be both a row's and a part of {base}'s; call one of them otherwise")


def load_agents(wanted: Contestants) -> dict[str, Any]:
    """All agents, ready to plan, by name.

    Raises:
        InputError: a name breaks a rule, a run cannot be loaded, or ``sequential`` names an agent without momentum.
        CheckpointError: weights are damaged, or not of their agent.
    """
    wanted.check()
    agents: dict[str, Any] = {name: BASELINES[name]() for name in wanted.baselines}
    for name, run in wanted.runs.items():
        agents[name] = load_agent(run, settings=wanted.run_settings.get(name), weights=wanted.weights)
    if wanted.has_agent:
        agents[wanted.agent_name] = build_agent(wanted.agent)
    rows = {name: [name] for name in agents}
    for name, given in wanted.checkpoints.items():
        found = load_checkpoints(name, given, wanted.agent, wanted.run_settings.get(name))
        twice = sorted(found.keys() & agents.keys())
        if twice:
            raise InputError(f"checkpoints.{name}: there is a row called {twice[0]} already; give it another name")
        rows[name] = list(found)
        agents.update(found)
    refuse_same_files(agents)
    sequential = [row for name in wanted.sequential for row in rows.get(name, [name])]
    unfit = [name for name in sequential if not has_momentum(agents.get(name))]
    if unfit:
        raise InputError(
            f"sequential={unfit}: only agents with proposals and momentum continue from an earlier plan; name some of "
            f"{[name for name, agent in agents.items() if has_momentum(agent)]}, or switch it on: "
            "+run_settings.<name>.momentum.mode=on"
        )
    return {name: SequentialAgent(agent) if name in sequential else agent for name, agent in agents.items()}


def has_momentum(agent: Any) -> bool:
    """Whether it chooses among proposals with the plan before in mind."""
    return hasattr(agent, "propose") and bool(agent.config.momentum.is_on)
