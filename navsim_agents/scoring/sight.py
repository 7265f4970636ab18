"""Which tracks a trajectory sees where traffic reacts, so that not all of a scene see the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Sight:
    """Of the K + O tracks of one scene, the first K are shared by its N trajectories, each of the others is one's own.

    An own track takes the place of a shared one, which its trajectory never sees. Answers name tracks by their place
    among the K.
    """

    until: Int[Tensor, "N K"]  # a shared track is seen at the steps below this one
    trajectory: Int[Tensor, " O"]  # whose own track it is
    place: Int[Tensor, " O"]  # the shared track in whose place it is

    def with_blind(self, at: int) -> Sight:
        """The same with one more trajectory at that place among the others, which sees nothing."""
        blind = self.until.new_zeros((1, self.num_shared))
        until = torch.cat((self.until[:at], blind, self.until[at:]))
        return Sight(until, self.trajectory + (self.trajectory >= at), self.place)

    @property
    def num_shared(self) -> int:
        """K."""
        return self.until.shape[1]

    @cached_property
    def track(self) -> Int[Tensor, "N K"]:
        """The track, of K + O, that each trajectory sees at each place."""
        table = torch.arange(self.num_shared, device=self.until.device).repeat(len(self.until), 1)
        table[self.trajectory, self.place] = self.num_shared + torch.arange(len(self.place), device=self.until.device)
        return table

    def place_of(self, track: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Places of tracks of K + O."""
        shared = torch.arange(self.num_shared, device=self.until.device)
        return torch.cat((shared, self.place))[track]
