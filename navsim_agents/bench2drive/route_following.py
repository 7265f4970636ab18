"""The route as the leaderboard gives it: where to go next, and what to do there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from navsim_agents.bench2drive.frames import other_hand
from navsim_agents.bench2drive.inputs import command_index
from navsim_agents.common.poses import XY
from navsim_agents.errors import InputError

SPACING_M = 50.0  # the leaderboard keeps a point of the route each 50 m, and where the command changes
NEAR_M, FAR_M = 4.0, 50.0  # the usual agents': a point nearer than the first is passed; none beyond the second is
LANE_CHANGES = (5, 6)  # of the leaderboard's RoadOption: each of their points is kept


def thinned(places: Float64[np.ndarray, "N D"], options: Sequence[int], spacing_m: float = SPACING_M) -> list[int]:
    """Indices of the points of a dense route that the leaderboard hands to its agents.

    These are the first and the last, those where the option changes, all of a lane change, and between them each that
    is more than ``spacing_m`` of way after the last; steps onto a kept point do not count as way, as there.

    Args:
        places: [m], a metre apart.
        options: the leaderboard's RoadOption of each.
        spacing_m: see above.
    """
    kept: list[int] = []
    distance = 0.0
    for at, option in enumerate(options):
        changes = at > 0 and options[at - 1] != option and options[at - 1] not in LANE_CHANGES
        is_last = at == len(options) - 1
        if at == 0 or option in LANE_CHANGES or changes or distance > spacing_m or is_last:
            kept.append(at)
            distance = 0.0
        else:
            distance += float(np.linalg.norm(places[at] - places[at - 1]))
    return kept


@dataclass(frozen=True)
class Aim:
    """What comes next on the route."""

    place: Float64[np.ndarray, "2"]  # m, right-handed world
    command: int  # index into inputs.COMMANDS


class RouteFollower:
    """Goes through the thinned points of a route, as the usual agents do."""

    def __init__(
        self,
        places: Float64[np.ndarray, "N 2"],
        options: Sequence[int],
        near_m: float = NEAR_M,
        far_m: float = FAR_M,
    ) -> None:
        """At the route's start.

        Args:
            places: x, y [m] of the points in CARLA's world (left-handed).
            options: the leaderboard's number of the command at each.
            near_m: a point nearer than this is passed.
            far_m: way ahead in which passed points are looked for.

        Raises:
            InputError: fewer than two points, or not as many options.
        """
        if len(places) < 2 or len(places) != len(options):
            raise InputError(
                f"a route of {len(places)} points and {len(options)} commands cannot be followed, it must have two "
                "points or more and a command for each; give set_global_plan a whole route"
            )
        self._places, self._commands = other_hand(places), [command_index(option) for option in options]
        self._near_m, self._far_m = near_m, far_m
        self._last_passed = 0

    @property
    def first_heading(self) -> float:
        """Of the route's first stretch [rad], right-handed."""
        x, y = next((step for step in np.diff(self._places, axis=0) if np.any(step)), np.array([1.0, 0.0]))
        return float(np.arctan2(y, x))

    def step(self, place: Float64[np.ndarray, "2"]) -> Aim:
        """What comes next for a car at ``place`` [m], right-handed: the point after the last that is passed.

        Passed is, of the points within ``far_m`` of way, the farthest one within ``near_m``, and all before it.
        """
        ahead = self._places[self._last_passed :]
        way = np.cumsum(np.linalg.norm(np.diff(ahead, axis=0), axis=1))
        away = np.linalg.norm(ahead[1:] - place[XY], axis=1)
        # A point is looked at while the way up to the one before it is within reach.
        is_looked_at = np.concatenate(([0.0], way[:-1])) <= self._far_m
        is_near = is_looked_at & (away <= self._near_m)
        if is_near.any():
            passed = 1 + int(np.where(is_near, away, -np.inf).argmax())
            self._last_passed = min(self._last_passed + passed, len(self._places) - 2)
        at = self._last_passed + 1
        return Aim(self._places[at], self._commands[at])
