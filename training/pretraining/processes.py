"""This training process among the others: its device, its share of a batch, and values exchanged between all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.pretraining.config import ProcessConfig


@dataclass(frozen=True)
class Processes:
    """One of ``world_size`` processes that train together."""

    rank: int
    world_size: int
    device: torch.device

    @classmethod
    def join(cls, config: ProcessConfig) -> Processes:
        """Join the other processes, if there are any."""
        if config.threads:
            torch.set_num_threads(config.threads)
        device = torch.device(_device_name(config))
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if config.world_size > 1:
            backend = config.backend
            if backend == "auto":
                backend = "nccl" if device.type == "cuda" else "gloo"
            distributed.init_process_group(
                backend, init_method=config.init_method, rank=config.rank, world_size=config.world_size
            )
        return cls(config.rank, config.world_size, device)

    @property
    def is_first(self) -> bool:
        """This process writes the files."""
        return self.rank == 0

    def rows(self, batch_size: int) -> slice:
        """Which clips of a batch over all processes are this one's."""
        return slice(self.rank * batch_size, (self.rank + 1) * batch_size)

    def replicate(self, module: nn.Module) -> nn.Module:
        """``module`` with gradients averaged over the processes."""
        if self.world_size == 1:
            return module
        # The graph is the same at every step; with static_graph DDP accepts mask tokens that no clip length uses.
        return DistributedDataParallel(module, broadcast_buffers=False, static_graph=True)

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the processes."""
        if self.world_size == 1:
            return values
        values = values.clone()
        distributed.all_reduce(values)
        return values / self.world_size

    def maximum(self, value: int) -> int:
        """Largest value of any process."""
        if self.world_size == 1:
            return value
        values = torch.tensor(value, device=self.device)
        distributed.all_reduce(values, distributed.ReduceOp.MAX)
        return int(values)

    def gather(self, value: dict[str, str]) -> list[dict[str, str]]:
        """``value`` of every process, by rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Wait until all processes have arrived."""
        if self.world_size > 1:
            distributed.barrier()

    def leave(self) -> None:
        """Leave the group of processes."""
        if self.world_size > 1:
            distributed.destroy_process_group()


def _device_name(config: ProcessConfig) -> str:
    name = config.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return f"cuda:{config.local_rank}" if name == "cuda" else name
