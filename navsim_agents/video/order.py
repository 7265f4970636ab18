"""The order of a process's batches: its position, the rest of the epoch, and how a stopped run continues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from navsim_agents.errors import VideoError
from navsim_agents.video.config import ClipDataConfig
from navsim_agents.video.mixing import ClipRequest, Epoch, plan_epoch
from navsim_agents.video.slots import Slots, fingerprint


class BatchOrder:
    """Requests of process ``rank``, a list for each batch; torch asks for what remains anew in every epoch.

    All processes together walk through the clips of an epoch in one order, ``batch_size`` clips each at a time.
    """

    def __init__(
        self,
        config: ClipDataConfig,
        slots: Mapping[str, Slots],
        batch_size: int,
        rank: int,
        world_size: int,
        seed: int,
    ) -> None:
        """Begin with the first epoch.

        Raises:
            VideoError: an epoch holds no whole batch.
        """
        self.epoch = 0
        self.iteration = 0  # of the epoch: how many batches were handed out
        self._slots = slots
        self._weights = [data_set.weight for data_set in config.data_sets.values()]
        self._num_clips = config.clips_per_epoch or sum(map(len, slots.values()))
        self._batch_size, self._rank, self._seed = batch_size, rank, seed
        self._global_batch = batch_size * world_size
        self._fingerprint = fingerprint(config, slots)
        self._plan: Optional[Epoch] = None
        if not len(self):
            raise VideoError(
                f"an epoch of {self._num_clips} clips is less than one batch of {world_size} x {batch_size}; "
                "raise clips_per_epoch, or take smaller batches"
            )

    def __len__(self) -> int:
        """Batches of a whole epoch; the clips that do not fill one are left for later epochs."""
        return self._num_clips // self._global_batch

    def __iter__(self) -> Iterator[list[ClipRequest]]:
        """Batches from here to the end of the epoch."""
        if self._plan is None or self._plan.number != self.epoch:
            self._plan = plan_epoch(self._slots, self._weights, self._num_clips, self._seed, self.epoch)
        plan = self._plan
        for iteration in range(self.iteration, len(self)):
            first = iteration * self._global_batch + self._rank * self._batch_size
            yield [plan.request(number) for number in range(first, first + self._batch_size)]

    def advance(self) -> None:
        """One batch was handed out."""
        self.iteration += 1
        if self.iteration == len(self):
            self.epoch, self.iteration = self.epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Where the order stands, the same on every process."""
        return {
            "epoch": self.epoch,
            "clips": self.iteration * self._global_batch,
            "seed": self._seed,
            "fingerprint": self._fingerprint,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state``; the number of processes and their batch size may differ.

        Raises:
            VideoError: the state is of other data or another seed, or lies within a batch.
        """
        own = self.state_dict()
        for name in ("fingerprint", "seed"):
            if state[name] != own[name]:
                raise VideoError(
                    f"{name} is {own[name]}, but {state[name]} where the run stopped: its clips would come in another "
                    "order; resume with the same data_sets, manifests and seed"
                )
        if state["clips"] % self._global_batch:
            raise VideoError(
                f"the run stopped after {state['clips']} clips of its epoch, which is no multiple of the batch of "
                f"{self._global_batch}; resume with a batch that divides it"
            )
        self.epoch, self.iteration = state["epoch"], state["clips"] // self._global_batch
