"""The world's seam: the makers of towns, drives, maps and pictures, as one object for ``generate_world``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from navsim_agents.data.scene import LogFrame
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.world.camera import Renderer, textured_renderer
from navsim_agents.world.camera.model import CameraModel
from navsim_agents.world.drive import DriveConfig, simulate_drive
from navsim_agents.world.geography import MAP_LOCATIONS
from navsim_agents.world.scoring_scenes.store import log_scenes
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.towns import build_town
from navsim_agents.world.traffic import TrafficConfig
from navsim_agents.world.types import Drive, Town


@runtime_checkable
class Painter(Protocol):
    """Whoever makes the pictures of drives through one town."""

    def render(self, drive: Drive, step: int, camera: CameraModel) -> UInt8[np.ndarray, "H W 3"]:
        """Picture, RGB, of ``camera`` at ``step`` of ``drive``."""


def write_geopackages(town_of: Callable[[str], Town], maps_root: Path) -> None:
    """nuPlan's map files of all four locations, those that are missing; only their towns are built."""
    from navsim_agents.world.writers.maps import map_path, write_map, write_map_index  # needs the extra world

    write_map_index(maps_root)
    for location in MAP_LOCATIONS:
        if not map_path(maps_root, location).exists():
            write_map(town_of(location), maps_root)


@dataclass(frozen=True)
class WorldParts:
    """What makes a world; the defaults make the real one.

    Each maker returns the same for the same arguments. With several processes all of them must be picklable.
    """

    build_town: Callable[[str, int], Town] = build_town  # of a location, from a seed
    simulate_drive: Callable[[Town, int, int, DriveConfig], Drive] = simulate_drive  # number, seed
    build_map: Callable[[Town], TownMap] = TownMap  # for scoring
    build_painter: Callable[[Town], Painter] = Renderer
    build_textured_painter: Callable[[Town], Painter] = textured_renderer
    write_maps: Callable[[Callable[[str], Town], Path], None] = write_geopackages  # towns by location, folder of maps
    score_log: Callable[[TownMap, Sequence[LogFrame]], list[ScoringScene]] = log_scenes

    def town(self, location: str, seed: int) -> Town:
        """The town of ``location``, built once a process; so are its map and its painter."""
        return _town(self, location, seed)

    def map(self, location: str, seed: int) -> TownMap:
        """The town's map for scoring."""
        return _map(self, location, seed)

    def painter(self, location: str, seed: int, is_textured: bool = False) -> Painter:
        """Whoever paints drives through the town."""
        return _painter(self, location, seed, is_textured)

    def drive(self, location: str, index: int, identity: Mapping[str, Any]) -> Drive:
        """The drive of log ``index`` of the world of ``WorldConfig.identity()``, the same whenever it is asked for."""
        seed, traffic = identity["seed"], TrafficConfig(num_vehicles=identity["vehicles"])
        config = DriveConfig(duration_s=identity["duration_s"], traffic=traffic)
        return self.simulate_drive(self.town(location, seed), index, seed, config)


@lru_cache(maxsize=len(MAP_LOCATIONS))
def _town(parts: WorldParts, location: str, seed: int) -> Town:
    return parts.build_town(location, seed)


@lru_cache(maxsize=len(MAP_LOCATIONS))
def _map(parts: WorldParts, location: str, seed: int) -> TownMap:
    return parts.build_map(parts.town(location, seed))


@lru_cache(maxsize=len(MAP_LOCATIONS))
def _painter(parts: WorldParts, location: str, seed: int, is_textured: bool) -> Painter:
    build = parts.build_textured_painter if is_textured else parts.build_painter
    return build(parts.town(location, seed))
