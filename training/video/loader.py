"""Batches of clips for pretraining: mixed, sharded, resumable, and undisturbed by broken files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from navsim_agents.errors import VideoError
from training.video.clip import read_clip
from training.video.config import ClipDataConfig
from training.video.mixing import ClipRequest, Epoch, plan_epoch, substitute
from training.video.slots import Slots, fingerprint, read_slots

MAX_ATTEMPTS = 20
"""Substitutes tried before giving up: with so many failures in a row the data, not a file, is broken."""

Failures = dict[str, str]  # path -> reason


@dataclass(frozen=True)
class Clip:
    """A clip [3, T, H, W] and the files that could not be read before it was found."""

    pixels: UInt8[Tensor, "3 T H W"]
    failures: Failures


class ClipDataset(Dataset[Clip]):
    """Clips by request; runs in the loader's worker processes and keeps no state."""

    def __init__(self, config: ClipDataConfig, slots: Mapping[str, Slots], seed: int) -> None:
        self.config = config
        self.slots = slots
        self.seed = seed

    def __getitem__(self, request: ClipRequest) -> Clip:
        """The clip asked for, or its substitute.

        Raises:
            VideoError: ``MAX_ATTEMPTS`` substitutes were unreadable too.
        """
        failures: Failures = {}
        for attempt in range(MAX_ATTEMPTS + 1):
            chosen = substitute(request, self.slots, self.seed, attempt) if attempt else request
            video = self.slots[chosen.data_set].videos[chosen.video]
            root = Path(self.config.data_sets[chosen.data_set].root)
            try:
                return Clip(torch.from_numpy(read_clip(video, chosen.start, root, self.config)), failures)
            except VideoError as error:
                failures[f"{chosen.data_set}: {video.path}"] = str(error)
        reasons = "; ".join(list(failures.values())[:3])
        raise VideoError(
            f"{MAX_ATTEMPTS + 1} clips of {request.data_set} in a row cannot be read ({reasons}); check its root, "
            "and index it again"
        )


class ClipLoader:
    """Batches uint8 [B, 3, T, H, W] of this process, epoch after epoch.

    One iteration runs from where the loader stands to the end of its epoch; the next goes on with the next epoch.
    """

    def __init__(
        self, config: ClipDataConfig, batch_size: int, rank: int, world_size: int, seed: int, workers: int
    ) -> None:
        self.slots = read_slots(config)
        self.epoch = 0
        self.iteration = 0  # of the epoch: how many batches were handed out
        self._config = config
        self._batch_size, self._rank, self._world_size, self._seed = batch_size, rank, world_size, seed
        self._fingerprint = fingerprint(config, self.slots)
        self._num_clips = config.clips_per_epoch or sum(map(len, self.slots.values()))
        self._failures: Failures = {}
        if not len(self):
            raise VideoError(
                f"an epoch of {self._num_clips} clips is less than one batch of {world_size} x {batch_size}; "
                "raise clips_per_epoch, or take smaller batches"
            )
        self._plan: Optional[Epoch] = None
        self._loader = DataLoader(
            ClipDataset(config, self.slots, seed),
            batch_sampler=_Remaining(self),
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def __len__(self) -> int:
        """Batches of a whole epoch; the clips that do not fill one are left for later epochs."""
        return self._num_clips // self._global_batch

    @property
    def _global_batch(self) -> int:
        return self._batch_size * self._world_size

    def __iter__(self) -> Iterator[UInt8[Tensor, "B 3 T H W"]]:
        """Batches from here to the end of the epoch."""
        for pixels, failures in self._loader:
            self._failures.update(failures)
            self.iteration += 1
            if self.iteration == len(self):
                self.epoch, self.iteration = self.epoch + 1, 0
            yield pixels

    def remaining(self) -> Iterator[list[ClipRequest]]:
        """This process's requests from here to the end of the epoch, a list for each batch."""
        if self._plan is None or self._plan.number != self.epoch:
            weights = [data_set.weight for data_set in self._config.data_sets.values()]
            self._plan = plan_epoch(self.slots, weights, self._num_clips, self._seed, self.epoch)
        plan = self._plan
        for iteration in range(self.iteration, len(self)):
            first = iteration * self._global_batch + self._rank * self._batch_size
            yield [plan.request(number) for number in range(first, first + self._batch_size)]

    def report(self) -> dict[str, str]:
        """Files that gave no clip, with the reason: what the manifests say, and what failed in this process."""
        left_out = {
            f"{name}: {source}": reason for name, part in self.slots.items() for source, reason in part.left_out.items()
        }
        return {**left_out, **self._failures}

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, the same on every process; batches that workers hold ready do not count."""
        return {
            "epoch": self.epoch,
            "clips": self.iteration * self._global_batch,
            "seed": self._seed,
            "fingerprint": self._fingerprint,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` stood; the number of processes and their batch may be others.

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


class _Remaining:
    """The loader's remaining batches, as torch asks for them anew in every epoch."""

    def __init__(self, loader: ClipLoader) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[list[ClipRequest]]:
        return self._loader.remaining()


def collate(clips: list[Clip]) -> tuple[UInt8[Tensor, "B 3 T H W"], Failures]:
    """A batch, and every failure on the way to it."""
    failures = {path: reason for clip in clips for path, reason in clip.failures.items()}
    return torch.stack([clip.pixels for clip in clips]), failures


def build_clip_loader(
    config: ClipDataConfig, batch_size: int, rank: int = 0, world_size: int = 1, seed: int = 0, workers: int = 0
) -> ClipLoader:
    """Loader of process ``rank`` of ``world_size``; together they see what one process with all their batches would.

    Args:
        config: data sets and shape of a clip.
        batch_size: clips a process and iteration.
        rank: this process.
        world_size: processes.
        seed: decides the order of the clips and where each begins.
        workers: processes that decode for this one; 0 decodes in it.

    Raises:
        VideoError: a manifest is missing or unfit, or an epoch holds no whole batch.
    """
    if batch_size < 1 or not 0 <= rank < world_size or workers < 0:
        raise VideoError(
            f"batch_size={batch_size}, rank={rank}, world_size={world_size} and workers={workers}, but a batch "
            "needs a clip, 0 <= rank < world_size and workers >= 0"
        )
    return ClipLoader(config, batch_size, rank, world_size, seed, workers)
