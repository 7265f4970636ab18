"""Red connectors of the route, 0.1 s columns holding the state of the frame before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from navsim_agents.data.scene import LogFrame
from navsim_agents.world.scoring_scenes.tracks import COLUMNS_PER_FRAME, NUM_COLUMNS, NUM_FRAMES_V2

TOKEN_PREFIX = "red_light_"  # the devkit's names of red connectors


@dataclass(frozen=True)
class RedLights:
    """Connectors that are red at some column."""

    lane_ids: tuple[str, ...]
    active: Bool[np.ndarray, "L T"]

    @property
    def tokens(self) -> tuple[str, ...]:
        """The devkit's names."""
        return tuple(TOKEN_PREFIX + lane for lane in self.lane_ids)


def red_lights(frames: Sequence[LogFrame], route_lanes: Sequence[str]) -> RedLights:
    """Connectors among ``route_lanes`` that are red within 4 s, over the frames from now on (11 of them: 5 s).

    Only v2.2 has a rule for lights, and 4 s is how far it looks.
    """
    on_route = frozenset(route_lanes)
    red: dict[str, list[int]] = {}
    for index, frame in enumerate(frames):
        for connector, is_red in frame["traffic_lights"]:
            if is_red and str(connector) in on_route and (index < NUM_FRAMES_V2 or str(connector) in red):
                red.setdefault(str(connector), []).append(index)
    by_frame = np.zeros((len(red), len(frames)), dtype=bool)
    for row, indices in enumerate(red.values()):
        by_frame[row, indices] = True
    return RedLights(tuple(red), np.repeat(by_frame, COLUMNS_PER_FRAME, axis=1)[:, :NUM_COLUMNS])
