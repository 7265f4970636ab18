"""Batches of clips for pretraining: mixed, sharded, resumable, and robust to broken files."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Optional, Union

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from navsim_agents.errors import VideoError
from navsim_agents.video.clip import KeptFrames, read_clip
from navsim_agents.video.config import ClipDataConfig
from navsim_agents.video.mixing import ClipRequest, substitute
from navsim_agents.video.order import BatchOrder
from navsim_agents.video.slots import Slots, read_slots

MAX_ATTEMPTS = 20
"""Substitutes tried before giving up: with so many failures in a row the data, not a file, is broken."""

Failures = dict[str, str]  # path -> reason


@dataclass(frozen=True)
class Clip:
    """A clip [3, T, H, W] and the files that could not be read before it was found."""

    pixels: UInt8[Tensor, "3 T H W"]
    failures: Failures


class ClipDataset(Dataset[Clip]):
    """Clips by request; runs in the loader's worker processes and keeps no state but frames that it has read."""

    def __init__(self, config: ClipDataConfig, slots: Mapping[str, Slots], seed: int) -> None:
        self.config = config
        self.slots = slots
        self.seed = seed
        self._kept: dict[tuple[str, int], KeptFrames] = {}  # by data set and video

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
                kept = self._kept_of(chosen) if self.config.keep_frames else None
                return Clip(torch.from_numpy(read_clip(video, chosen.start, root, self.config, kept)), failures)
            except VideoError as error:
                failures[f"{chosen.data_set}: {video.path}"] = str(error)
        reasons = "; ".join(list(failures.values())[:3])
        raise VideoError(
            f"{MAX_ATTEMPTS + 1} clips of {request.data_set} in a row cannot be read ({reasons}); check its root, "
            "and index it again"
        )

    def _kept_of(self, request: ClipRequest) -> KeptFrames:
        return self._kept.setdefault((request.data_set, request.video), {})


class ClipLoader:
    """Batches uint8 [B, 3, T, H, W] of this process, epoch after epoch.

    One iteration runs from where the loader stands to the end of its epoch; the next one continues with the next epoch.
    """

    def __init__(
        self, config: ClipDataConfig, batch_size: int, rank: int, world_size: int, seed: int, workers: int
    ) -> None:
        self.slots = read_slots(config)
        self.order = BatchOrder(config, self.slots, batch_size, rank, world_size, seed)
        self._failures: Failures = {}
        self._loader = DataLoader(
            ClipDataset(config, self.slots, seed),
            batch_sampler=self.order,
            num_workers=workers,
            collate_fn=collate,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=outlive_first_signal,
        )

    def __len__(self) -> int:
        """Batches of a whole epoch; the clips that do not fill one are left for later epochs."""
        return len(self.order)

    def __iter__(self) -> Iterator[UInt8[Tensor, "B 3 T H W"]]:
        """Batches from here to the end of the epoch."""
        for pixels, failures in self._loader:
            self._failures.update(failures)
            self.order.advance()
            yield pixels

    def report(self) -> dict[str, str]:
        """Files that gave no clip, with the reason: what the manifests say, and what failed in this process."""
        left_out = {
            f"{name}: {source}": reason for name, part in self.slots.items() for source, reason in part.left_out.items()
        }
        return {**left_out, **self._failures}

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, the same on every process; batches that workers hold ready do not count."""
        return self.order.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state``; the number of processes and their batch size may differ.

        Raises:
            VideoError: the state is of other data or another seed, or lies within a batch.
        """
        self.order.load_state_dict(state)


def outlive_first_signal(_worker: int) -> None:
    """Let this reader survive the signal that asks its run to end, so that the step under way still gets its clips.

    Ctrl-C and torchrun signal whole process groups. Ctrl-C is ignored; SIGTERM takes effect from the second one on,
    with which the trainer ends a reader that does not stop by itself.
    """

    def note(number: int, _frame: Optional[FrameType]) -> None:
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, note)


def collate(clips: list[Clip]) -> tuple[UInt8[Tensor, "B 3 T H W"], Failures]:
    """A batch, and every failure on the way to it."""
    failures = {path: reason for clip in clips for path, reason in clip.failures.items()}
    return torch.stack([clip.pixels for clip in clips]), failures


def build_clip_loader(
    config: Union[ClipDataConfig, Mapping[str, Any]],
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    seed: int = 0,
    workers: int = 0,
) -> ClipLoader:
    """Loader of process ``rank`` of ``world_size``; together they see what one process with all their batches would.

    Args:
        config: data sets and shape of a clip; a mapping, as YAML has it, will do.
        batch_size: clips a process and iteration.
        rank: this process.
        world_size: processes.
        seed: decides the order of the clips and where each begins.
        workers: processes that decode for this one; 0 decodes in it.

    Raises:
        VideoError: a manifest is missing or unfit, or an epoch holds no whole batch.
        omegaconf.errors.ConfigKeyError: a misspelt key.
    """
    if batch_size < 1 or not 0 <= rank < world_size or workers < 0:
        raise VideoError(
            f"batch_size={batch_size}, rank={rank}, world_size={world_size} and workers={workers}, but a batch "
            "needs a clip, 0 <= rank < world_size and workers >= 0"
        )
    return ClipLoader(ClipDataConfig.of(config), batch_size, rank, world_size, seed, workers)
