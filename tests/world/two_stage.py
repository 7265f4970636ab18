"""A world of small drives with follow-up scenes, and their pickles read without a devkit."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from navsim_agents.data.restricted_pickle import RestrictedUnpickler
from navsim_agents.world.config import WorldConfig
from navsim_agents.world.parts import WorldParts
from navsim_agents.world.types import AgentType
from tests.world.small_town import small_drive, small_town

CAMERAS = ["cam_f0", "cam_b0"]


class PosePainter:
    """Tiny pictures whose shades tell where the ego is."""

    def __init__(self, town):
        pass

    @staticmethod
    def render(drive, step, camera):
        x, y, heading = drive.ego.poses[step] - drive.ego.poses[0]
        shade = [10 * x % 256, 40 * y % 256, 100 * heading % 256]
        return np.full((camera.height // 64, camera.width // 64, 3), shade, dtype=np.uint8)


def town_of(location, seed):
    return dataclasses.replace(small_town(), location=location)


def drive_through(town, index, seed, config):
    drive = small_drive(f"2021.05.25.14.16.10_veh-{seed:02d}_{index:05d}_00015")
    return dataclasses.replace(drive, location=town.location)


def no_maps(town_of, maps_root):
    """Maps take most of the time and no part in what these tests show."""


PARTS = WorldParts(build_town=town_of, simulate_drive=drive_through, build_painter=PosePainter, write_maps=no_maps)


def config_of(root, **changes):
    given = {"logs": 4, "seed": 3, "cameras": CAMERAS, "scoring_scenes": False, "two_stage": True}
    return WorldConfig(**{"output": str(root), **given, **changes})


@dataclass(frozen=True)
class Made:
    """What a pickle says of one object of nuPlan's: its class, by its last name, and the arguments."""

    name: str
    arguments: tuple[Any, ...]


def made(name, *arguments):
    return Made(name, arguments)


class StandInUnpickler(RestrictedUnpickler):
    """Objects of nuPlan's as :class:`Made`; everything else as in a log."""

    def find_class(self, module_name, global_name):
        if module_name.startswith("nuplan."):
            return partial(made, f"{module_name.rsplit('.', 1)[1]}.{global_name}")
        return super().find_class(module_name, global_name)


def read_scene(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return StandInUnpickler(stream).load()


def boxes_of(detections: Made) -> dict[str, tuple[AgentType, tuple[float, ...], tuple[float, ...]]]:
    """Track token → number of the kind, pose on the map, velocity (empty of what stands for good)."""
    (tracked,) = detections.arguments
    found = {}
    for item in tracked.arguments[0]:
        kind, box, *velocity, metadata = item.arguments
        found[metadata.arguments[3]] = (
            kind.arguments[0],
            box.arguments[0].arguments,
            velocity[0].arguments if velocity else (),
        )
    return found


def records(root: Path) -> list[dict[str, Any]]:
    """Rows of every record of pairs."""
    paths = sorted((root / "navhard_two_stage" / "pairs").glob("*.json"))
    return [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))["pairs"]]
