"""Serves an agent as AlpaSim's driver, for any simulator that speaks its contract."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Optional

import torch

from navsim_agents.alpasim.driver import Driver
from navsim_agents.common.command import command
from navsim_agents.common.conventions import CAMERA_NAMES
from navsim_agents.common.extras import require_extras
from navsim_agents.common.settings import READS, at_least, within
from navsim_agents.errors import InputError
from navsim_agents.evaluation.agents import Contestants, load_agents

MOST_PORTS = 65_535
AGENT = "agent"


@dataclass(frozen=True)
class ServeConfig:
    """Configuration of ``drive-jepa serve``."""

    agent: Any = None  # as composed from navsim_configs, with agent.checkpoint_path
    run: Optional[str] = field(default=None, metadata=READS)  # instead: output of drive-jepa train
    baseline: Optional[str] = None  # instead: constant_velocity
    run_settings: dict[str, Any] = field(default_factory=dict)  # of the run: agent's config keys that differ
    weights: str = "best"  # of the run, by validation; or last
    host: str = "127.0.0.1"  # 0.0.0.0: whoever reaches this machine
    port: int = field(default=50_051, metadata=within(0, MOST_PORTS))  # 0: one that is free, which is printed
    cameras: dict[str, str] = field(default_factory=dict)  # NAVSIM's name -> the simulator's, where these differ
    sequential: bool = True  # momentum goes on from the plan that a session was really answered
    max_sessions: int = field(default=8, metadata=at_least(1))
    idle_s: float = field(default=300.0, metadata=at_least(0.1))  # a session without calls for so long is dropped
    max_age_s: float = field(default=1.0, metadata=within(0.0, 3.0))  # of the newest pictures and pose of a plan
    threads: int = field(default=0, metadata=at_least(0))  # of torch; 0 leaves torch's own choice
    seconds: float = field(default=0.0, metadata=at_least(0))  # serve for so long; 0: until interrupted

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in (AGENT, "run", "baseline") if getattr(self, name)}
        if not given:
            raise InputError("run, agent or baseline: not given, but needed; add run=…, or another one that drives")
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} are given, but one of them drives; leave the others out")
        if self.run is None and self.run_settings:
            raise InputError(f"run_settings={self.run_settings} without a run; write agent.config.… of an agent")
        unknown = sorted(set(self.cameras) - set(CAMERA_NAMES))
        if unknown:
            raise InputError(f"cameras has {unknown}; cameras are {', '.join(CAMERA_NAMES)}")

    @property
    def contestants(self) -> Contestants:
        """The one agent, named as in an evaluation."""
        return Contestants(
            baselines=[self.baseline] if self.baseline else [],
            runs={AGENT: self.run} if self.run else {},
            run_settings={AGENT: self.run_settings} if self.run_settings else {},
            weights=self.weights,
            agent=self.agent,
        )


@command(ServeConfig, "training.conf.serve")
def main(config: ServeConfig) -> None:
    """Serve until interrupted, terminated, or ``seconds`` are over."""
    require_extras("alpasim")
    from navsim_agents.alpasim.server import Limits, serving

    if config.threads:
        torch.set_num_threads(config.threads)
    driver = load_driver(config)
    over = threading.Event()
    limits = Limits(config.max_sessions, config.idle_s, config.cameras)
    with sets_when_terminated(over), serving(driver, limits, config.host, config.port) as (port, _):
        print(f"{driver.name} drives at {config.host}:{port}", flush=True)
        with suppress(KeyboardInterrupt):
            over.wait(config.seconds or None)


@contextmanager
def sets_when_terminated(event: threading.Event) -> Iterator[None]:
    """Inside, SIGTERM, by which a container is stopped, does nothing but set ``event``."""
    if threading.current_thread() is not threading.main_thread():  # the others may not handle signals
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def load_driver(config: ServeConfig) -> Driver:
    """The agent, ready to plan at once.

    Raises:
        InputError: a setting breaks a rule, or the agent plans from what only a log knows.
        CheckpointError: weights are damaged, or not of their agent.
    """
    ((name, agent),) = load_agents(config.contestants).items()
    own_name = getattr(agent, "name", None)
    driver = Driver(
        agent,
        own_name() if callable(own_name) else name,
        sequential=config.sequential,
        max_age_s=config.max_age_s,
    )
    driver.warm_up()
    return driver


if __name__ == "__main__":
    main()
