"""Who does the scorer's work: torch on any device, or on the CPU what Numba compiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from navsim_agents.scoring.aggregate import Judged
from navsim_agents.scoring.by_tensors import ByTensors
from navsim_agents.scoring.machine_code import can_compile
from navsim_agents.scoring.scene_batch import SceneBatch


@runtime_checkable
class Engine(Protocol):
    """A way to do the work; all of them give the same answers."""

    torch_threads: Optional[int]
    """How many threads torch should have around it; None: as many as it has."""
    threads: int
    """How many threads share the work beside torch's, as that of simulating traffic."""
    works_on_all: bool
    """Whether it needs memory for all trajectories that it is handed at once, beside that of the answers."""

    def drive(
        self, batch: SceneBatch, plans: Float[Tensor, "B N P 3"], references: Float[Tensor, "B E S 3"]
    ) -> Float[Tensor, "B R S 11"]:
        """Simulated states of the plans of each scene, and of E more trajectories whose poses are sampled already."""

    def judge(self, batch: SceneBatch, states: Float[Tensor, "B R S 11"]) -> Judged:
        """What the rules of the batch's metric say of simulated states."""

    def drive_and_judge(
        self, batch: SceneBatch, plans: Float[Tensor, "B N P 3"], references: Float[Tensor, "B E S 3"]
    ) -> tuple[Float[Tensor, "B R S 11"], Judged]:
        """Both."""

    def no_collision_with_each(self, crowd: SceneBatch, states: Float[Tensor, "1 1 S 11"]) -> Float[Tensor, "1 N"]:
        """No at-fault collision of one trajectory in the traffic that each of the N of ``crowd`` meets."""


WITHOUT_NUMBA = "trajectories are scored by torch, which takes several times as long on the CPU"
WORTH_COMPILED = 256
"""Trajectories from which on loading compiled code pays, in a process that scores once."""


def engine_for(batch: SceneBatch, num_trajectories: int, *, is_repeated: bool = False) -> Engine:
    """Who scores that many trajectories of a batch in all, once, or batch after batch."""
    if batch.ego_pose.device.type != "cpu" or (num_trajectories < WORTH_COMPILED and not is_repeated):
        return ByTensors()
    from navsim_agents.scoring.compiled.run import Compiled, is_kept

    if not is_kept() and not can_compile(WITHOUT_NUMBA):
        return ByTensors()
    return Compiled(torch.get_num_threads())


@contextmanager
def torch_threads(count: Optional[int]) -> Iterator[None]:
    """Torch works with ``count`` threads meanwhile, and with as many as before then; None changes nothing.

    A small operation on several threads waits for each of them, which takes long where another program has their cores.
    """
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
