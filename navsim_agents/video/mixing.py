"""Which clips an epoch has, in which order: a pure function of seed and epoch, the same on every process.

Shares of the data sets are exact in every epoch. Each data set is walked through in an endless row of shuffles of its
slots, which continues from epoch to epoch, so that nothing is seen twice before everything was seen once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from navsim_agents.video.slots import IntArray, Slots

ORDER, WALK, PLACE, SUBSTITUTE = range(4)
"""Streams of random numbers, so that no draw depends on how many another has made."""


@dataclass(frozen=True)
class ClipRequest:
    """One clip: frame ``start`` of video ``video`` of data set ``data_set``, number ``number`` of its epoch."""

    data_set: str
    video: int
    start: int
    epoch: int
    number: int


@dataclass(frozen=True)
class Epoch:
    """The clips of an epoch [N]."""

    names: Sequence[str]
    number: int
    data_set: npt.NDArray[np.int64]
    video: IntArray
    start: IntArray

    def __len__(self) -> int:
        return len(self.data_set)

    def request(self, number: int) -> ClipRequest:
        """Clip ``number``."""
        return ClipRequest(
            self.names[self.data_set[number]], int(self.video[number]), int(self.start[number]), self.number, number
        )


def shares(weights: Sequence[float], count: int) -> list[int]:
    """``count`` divided in proportion to ``weights``; what rounding leaves goes to the largest remainders."""
    exact = np.asarray(weights, dtype=np.float64) / sum(weights) * count
    whole = np.floor(exact).astype(np.int64)
    for index in np.argsort(whole - exact, kind="stable")[: count - int(whole.sum())]:
        whole[index] += 1
    return [int(part) for part in whole]


def plan_epoch(slots: Mapping[str, Slots], weights: Sequence[float], count: int, seed: int, epoch: int) -> Epoch:
    """The ``count`` clips of ``epoch`` in their order; ``weights`` go with ``slots``."""
    counts = shares(weights, count)
    data_set = np.random.default_rng((seed, ORDER, epoch)).permutation(np.repeat(np.arange(len(counts)), counts))
    video, start = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for index, (part, share) in enumerate(zip(slots.values(), counts)):
        taken = walk(len(part), epoch * share, share, (seed, WALK, index))
        place = np.random.default_rng((seed, PLACE, index, epoch)).random(share)
        where = data_set == index
        video[where] = part.video[taken]
        start[where] = start_in(part, taken, place)
    return Epoch(list(slots), epoch, data_set, video, start)


def walk(num_slots: int, begin: int, count: int, seed: tuple[int, ...]) -> IntArray:
    """Slots number ``begin`` … ``begin + count`` of an endless row of shuffles of ``num_slots`` slots."""
    rounds = range(begin // num_slots, (begin + count - 1) // num_slots + 1) if count else range(0)
    row = [np.random.default_rng((*seed, number)).permutation(num_slots) for number in rounds]
    offset = begin % num_slots
    return np.concatenate([*row, np.zeros(0, np.int64)])[offset : offset + count].astype(np.int64)


def start_in(slots: Slots, taken: IntArray, place: npt.NDArray[np.float64]) -> IntArray:
    """First frame at ``place`` in [0, 1) of each slot ``taken``."""
    width = slots.last[taken] - slots.first[taken] + 1
    return slots.first[taken] + (place * width).astype(np.int64)


def substitute(request: ClipRequest, slots: Mapping[str, Slots], seed: int, attempt: int) -> ClipRequest:
    """The clip of the same data set that takes the place of one that cannot be read; ``attempt`` counts from 1.

    It depends on the clip's place in the epoch alone, so every process and every resumed run finds the same.
    """
    part = slots[request.data_set]
    rng = np.random.default_rng((seed, SUBSTITUTE, request.epoch, request.number, attempt))
    taken = np.asarray([rng.integers(len(part))])
    start = start_in(part, taken, rng.random(1))
    return ClipRequest(request.data_set, int(part.video[taken[0]]), int(start[0]), request.epoch, request.number)
