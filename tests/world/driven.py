"""One real drive of 8.5 s through a town, its frames and its scoring scenes."""

from __future__ import annotations

from dataclasses import dataclass

from navsim_agents.data.scene import LogFrame
from navsim_agents.scoring import ScoringScene
from navsim_agents.world.camera.calibration import default_cameras
from navsim_agents.world.drive import DriveConfig, simulate_drive
from navsim_agents.world.scoring_scenes.build import SceneBuilder
from navsim_agents.world.scoring_scenes.store import log_scenes
from navsim_agents.world.scoring_scenes.town_map import TownMap
from navsim_agents.world.towns import build_town
from navsim_agents.world.types import Drive, Town
from navsim_agents.world.writers.logs import log_frames

LOCATION, SEED, LOG_INDEX = "sg-one-north", 1, 12  # turns right at a signal, vehicles around it


@dataclass(frozen=True)
class Driven:
    town: Town
    town_map: TownMap
    drive: Drive
    frames: list[LogFrame]
    builder: SceneBuilder
    indices: list[int]
    scenes: list[ScoringScene]  # with the reference driver in place


def drive_through() -> Driven:
    town = build_town(LOCATION, SEED)
    drive = simulate_drive(town, LOG_INDEX, SEED, DriveConfig(duration_s=8.5))
    frames, town_map = log_frames(drive, default_cameras()), TownMap(town)
    builder = SceneBuilder(town_map, frames)
    return Driven(town, town_map, drive, frames, builder, builder.indices(), log_scenes(town_map, frames))
