"""A two-stage split of two groups in NAVSIM's formats, with tiny scoring scenes: everything that is read is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from navsim_agents.common.conventions import CAMERA_NAMES
from navsim_agents.data.logs import REQUIRED_KEYS
from navsim_agents.data.split_mapping import SceneGroup, TwoStageMapping
from navsim_agents.data.types import AgentInput, Trajectory
from navsim_agents.scoring import SceneStoreWriter, ScoringScene
from navsim_agents.world.writers.pickles import dump_portable
from tests.data import synthetic
from tests.scoring.tiny import light, rectangle, scene, track
from tests.scoring.traffic.roads import traffic_fields, vehicle, way

LOGS = ("2021.06.01.12.00.00_veh-01_00000_00100", "2021.06.02.12.00.00_veh-01_00000_00100")
NUM_FRAMES, NOW, PREVIOUS = 14, 5, 4  # 8 frames follow
SPEED_MPS = 6.0
T0_US = 1_600_000_000_000_000
FRAME_US = 500_000


def logged(log: int, frame: int) -> str:
    return f"{log:08x}{frame:08x}"


def follow_up(log: int, number: int, is_previous: bool) -> str:
    return f"{log:09x}{2 * number + is_previous:08x}"


def mapping() -> TwoStageMapping:
    """A group a log; three follow-ups of the first, one of the second."""
    groups = []
    for log, number in enumerate((3, 1)):
        pairs = tuple((follow_up(log, index, False), follow_up(log, index, True)) for index in range(number))
        groups.append(SceneGroup(logged(log, NOW), logged(log, PREVIOUS), pairs))
    return TwoStageMapping(tuple(groups))


@dataclass(frozen=True)
class Place:
    """Where a scoring scene is: tiny roads are 160 m long, so scenes differ by what stands there."""

    log: int
    time_us: int
    start_m: float  # along the road, of the rear axle
    number: int

    def scene(self, token: str, has_traffic: bool = True, **changes: Any) -> ScoringScene:
        """Some scenes have a car ahead, which stands in the log and drives off as it reacts; some a red light."""
        ahead_m = 14.0 + 2.0 * self.number
        tracks = [track(ahead_m, 0.0)] if self.number % 3 == 1 else []
        vehicles = [vehicle(way(-40.0, 0.0, 300.0, 0.0, points=341), 40.0 + ahead_m) for _ in tracks]
        lights = [light(rectangle(6.0, 12.0, -2.0, 2.0))] if self.number % 3 == 2 else []
        is_first = len(token) == 16
        settings: dict[str, Any] = {
            **(traffic_fields(vehicles, num_tracks=len(tracks)) if has_traffic else {}),
            "tracks": tracks,
            "lights": lights,
            "speed": SPEED_MPS,
            "token": np.asarray(token),
            "timestamp_us": np.asarray(self.time_us),
            "ego_pose": np.array([300.0 + self.start_m, -200.0, 0.0]),
            "scene_type": "original" if is_first else "synthetic",
        }
        return scene(**{**settings, **({} if is_first else {"human_trajectory": np.full((8, 3), np.nan)}), **changes})


def places() -> dict[str, Place]:
    """By token; plans at 6 m/s end 24 m ahead, and follow-ups start there, 0.3 m and 2 m beyond."""
    found = {}
    for log, group in enumerate(mapping().groups):
        for index, pair in enumerate(group.pairs):
            for is_previous, token in enumerate(pair):
                time_us = T0_US + 10_000_000 * log + FRAME_US * (NOW - is_previous) + (4_000_000 if index else 0)
                start_m = -3.0 * is_previous + (24.0 + (0.0, 0.3, 2.0)[index - 1] if index else 0.0)
                found[token] = Place(log, time_us, start_m, len(found))
    return found


def log_frame(log: int, frame: int) -> dict[str, Any]:
    return {
        **dict.fromkeys(REQUIRED_KEYS),
        "token": logged(log, frame),
        "timestamp": T0_US + 10_000_000 * log + FRAME_US * frame,
        "log_name": LOGS[log],
        "roadblock_ids": ["7"],
        "ego2global_translation": np.array([3.0 * frame, 0.0, 0.0]),
        "ego2global_rotation": np.array([1.0, 0.0, 0.0, 0.0]),
        "ego_dynamic_state": [SPEED_MPS, 0.0, 0.0, 0.0],
        "traffic_lights": [],
        "driving_command": np.array([0, 1, 0, 0]),
        "cams": {},
    }


def synthetic_scene(token: str, log: int) -> dict[str, Any]:
    made = synthetic.content(token)
    made["scene_metadata"]["log_name"] = LOGS[log]
    for frame in made["frames"]:
        frame["ego_status"]["ego_velocity"] = np.array([SPEED_MPS, 0.0], dtype=np.float32)
    return made


def write_split(root: Path, changes: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> Path:
    """Fill ``root``; ``changes`` of scoring scenes by token. Returns the split's YAML."""
    (root / "navsim_logs" / "test").mkdir(parents=True)
    for log, name in enumerate(LOGS):
        frames = [log_frame(log, frame) for frame in range(NUM_FRAMES)]
        (root / "navsim_logs" / "test" / f"{name}.pkl").write_bytes(dump_portable(frames))
    where = places()
    second = mapping().second_stage
    synthetic.write(root / "navhard_two_stage", *(synthetic_scene(token, where[token].log) for token in second))
    for folder, tokens in (("test", mapping().first_stage), ("navhard_two_stage", second)):
        with SceneStoreWriter(root / "scoring_scenes" / folder) as writer:
            for token in tokens:
                writer.add(where[token].scene(token, **changes.get(token, {})))
    return write_mapping(root / "split.yaml", mapping())


def write_mapping(path: Path, groups: TwoStageMapping) -> Path:
    lines = ["reactive_all_mapping:"]
    for group in groups.groups:
        pairs = ", ".join(f'["{now}", "{previous}"]' for now, previous in group.follow_ups)
        lines.append(f'- ["{group.now}", "{group.previous}", [{pairs}]]')
    path.write_text("\n".join(lines) + "\n")
    return path


class Slower:
    """Straight on at half the speed; fails at the speeds in ``fails_at``, and is nowhere at those in ``strays_at``."""

    requires_scene = False
    fails_at: ClassVar[tuple[float, ...]] = ()
    strays_at: ClassVar[tuple[float, ...]] = ()

    def initialize(self) -> None:
        """Nothing to load."""

    def get_sensor_config(self) -> SimpleNamespace:
        return SimpleNamespace(**dict.fromkeys(CAMERA_NAMES, False))

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        speed = float(agent_input.ego_statuses[-1].ego_velocity[0])
        if speed in self.fails_at:
            raise ValueError(f"{speed} m/s is too much")
        times = 0.5 * np.arange(1, 9) * (1e30 if speed in self.strays_at else 1.0)
        return Trajectory(np.stack((0.5 * speed * times, 0.0 * times, 0.0 * times), axis=-1))
