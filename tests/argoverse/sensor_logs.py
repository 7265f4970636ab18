"""Writes small sensor logs in Argoverse 2's layout: a straight road, a left turn in an intersection, a curved road.

Everything is made in a frame of its own, east being the straight road, and may be turned and moved as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import Image

from navsim_agents.argoverse.build import SceneBuilder
from navsim_agents.argoverse.log import SensorLog
from navsim_agents.scoring import ScoringScene

NAME = "0aa0bb1c-1111-3222-8333-444455556666"
START_NS = 315_966_253_572_412_942
DURATION_S = 15.6
SPEED = 6.0
WIDTH = 3.5
TURN_RADIUS, BEND_RADIUS = 12.0, 40.0
STRAIGHT, BRANCH = 80.0, 20.0  # lengths of the lanes before and behind the turn
TILT = (0.02, -0.03)  # pitch and roll of the car's frame, rad
HEIGHT = 12.25


@dataclass(frozen=True)
class Placing:
    """Where the whole log lies in its city."""

    turn: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    def points(self, xy: np.ndarray) -> np.ndarray:
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        return np.asarray(xy) @ np.array([[cos, sin], [-sin, cos]]) + self.shift


@dataclass(frozen=True)
class Mover:
    """An annotated object: x, y, heading by time."""

    category: str
    size: tuple[float, float, float]
    path: Any
    span: tuple[float, float] = (0.0, DURATION_S)


def ego_path(time: np.ndarray) -> np.ndarray:
    """Along the middle of the left eastbound lane, round the corner to the north, and into the bend."""
    way = SPEED * np.asarray(time, dtype=float) - 40.0
    return along_the_turn(way)


def along_the_turn(way: np.ndarray) -> np.ndarray:
    """Poses at distances [m] from the stop line, where the turn begins."""
    arc = TURN_RADIUS * np.pi / 2
    first, second = np.clip(way, 0.0, arc), np.clip(way - arc - BRANCH, 0.0, None)
    angle, bend = first / TURN_RADIUS, second / BEND_RADIUS
    north = np.clip(way - arc, 0.0, BRANCH)
    x = np.minimum(way, 0.0) + TURN_RADIUS * np.sin(angle) + BEND_RADIUS * (1.0 - np.cos(bend))
    y = -WIDTH / 2 + TURN_RADIUS * (1.0 - np.cos(angle)) + north + BEND_RADIUS * np.sin(bend)
    return np.stack((x, y, angle - bend), axis=-1)


def straight_on(x: float, y: float, heading: float, speed: float) -> Any:
    def path(time: np.ndarray) -> np.ndarray:
        way = speed * np.asarray(time)
        return np.stack((x + way * np.cos(heading), y + way * np.sin(heading), np.full_like(way, heading)), axis=-1)

    return path


def spinning(x: float, y: float, rate: float) -> Any:
    """On one place, turning by more than a whole turn."""
    return lambda time: np.stack((np.full_like(time, x), np.full_like(time, y), 3.0 + rate * np.asarray(time)), axis=-1)


MOVERS: Mapping[str, Mover] = {
    "lead": Mover("REGULAR_VEHICLE", (4.6, 1.9, 1.5), straight_on(-15.0, -WIDTH / 2, 0.0, 7.0)),
    "oncoming": Mover("BUS", (11.0, 2.6, 3.0), straight_on(35.0, WIDTH / 2, np.pi, 8.0), (1.0, 12.0)),
    "parked": Mover("BOX_TRUCK", (7.0, 2.3, 3.0), straight_on(-30.0, -9.0, 0.0, 0.0)),
    "walker": Mover("PEDESTRIAN", (0.6, 0.7, 1.7), straight_on(8.0, -9.0, np.pi / 2, 0.5), (2.0, 9.0)),
    "cone": Mover("CONSTRUCTION_CONE", (0.4, 0.4, 0.8), straight_on(16.0, 20.0, 0.3, 0.0)),
    "spinner": Mover("MOTORCYCLE", (2.0, 0.8, 1.5), spinning(30.0, 20.0, 0.9)),
    "once": Mover("DOG", (0.9, 0.4, 0.6), straight_on(5.0, -12.0, 0.0, 0.0), (5.0, 5.05)),
}


@dataclass
class Segment:
    """A lane of the map: its boundaries are made of poses along its middle."""

    number: int
    middle: np.ndarray  # [M, 3]
    is_intersection: bool = False
    successors: tuple[int, ...] = ()
    left: Any = None
    right: Any = None
    kind: str = "VEHICLE"
    width: float = WIDTH

    def boundary(self, side: float) -> np.ndarray:
        x, y, heading = self.middle.T
        return np.stack(
            (x - side * self.width / 2 * np.sin(heading), y + side * self.width / 2 * np.cos(heading)), axis=-1
        )

    def entry(self, placing: Placing) -> dict[str, Any]:
        return {
            "id": self.number,
            "is_intersection": self.is_intersection,
            "lane_type": self.kind,
            "left_lane_boundary": places(placing.points(self.boundary(1.0))),
            "left_lane_mark_type": "NONE",
            "right_lane_boundary": places(placing.points(self.boundary(-1.0))),
            "right_lane_mark_type": "NONE",
            "successors": list(self.successors),
            "predecessors": [],
            "left_neighbor_id": self.left,
            "right_neighbor_id": self.right,
        }


def places(xy: np.ndarray) -> list[dict[str, float]]:
    return [{"x": float(x), "y": float(y), "z": HEIGHT} for x, y in xy]


def line(x0: float, y0: float, heading: float, length: float) -> np.ndarray:
    return straight_on(x0, y0, heading, 1.0)(np.array([0.0, length]))


ARC = TURN_RADIUS * np.pi / 2
AHEAD, BESIDE, ONCOMING, TURN, ACROSS, NORTH, BEND, EAST, BESIDE_TURN, BIKE = range(101, 111)


def segments() -> list[Segment]:
    arc = along_the_turn(np.linspace(0.0, ARC, 60))
    bend = along_the_turn(ARC + BRANCH + np.linspace(0.0, 30.0, 40))
    return [
        Segment(
            AHEAD, line(-STRAIGHT, -WIDTH / 2, 0.0, STRAIGHT), successors=(TURN, ACROSS), left=ONCOMING, right=BESIDE
        ),
        Segment(BESIDE, line(-STRAIGHT, -1.5 * WIDTH, 0.0, STRAIGHT), successors=(BESIDE_TURN,)),
        Segment(ONCOMING, line(70.0, WIDTH / 2, np.pi, 70.0 + STRAIGHT), left=AHEAD),
        Segment(TURN, arc, True, (NORTH,)),
        Segment(BESIDE_TURN, line(0.0, -1.5 * WIDTH, 0.0, 24.0), True, (999,)),  # leads out of the map
        Segment(ACROSS, line(0.0, -WIDTH / 2, 0.0, 24.0), True, (EAST,)),
        Segment(EAST, line(24.0, -WIDTH / 2, 0.0, 40.0)),
        Segment(NORTH, line(TURN_RADIUS, TURN_RADIUS - WIDTH / 2, np.pi / 2, BRANCH), successors=(BEND,)),
        Segment(BEND, bend),
        Segment(BIKE, line(-STRAIGHT, -2.2 * WIDTH, 0.0, STRAIGHT), kind="BIKE", width=1.4),
    ]


def rectangle(x0: float, x1: float, y0: float, y1: float) -> list[list[float]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


AREAS = {7001: rectangle(-STRAIGHT, 70.0, -11.0, 6.0), 7002: rectangle(4.0, 45.0, 6.0, 62.0)}


def sideways(quaternion: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Product of quaternions (w, x, y, z)."""
    w, x, y, z = quaternion.T
    a, b, c, d = by.T
    return np.stack(
        (
            w * a - x * b - y * c - z * d,
            w * b + x * a + y * d - z * c,
            w * c - x * d + y * a + z * b,
            w * d + x * c - y * b + z * a,
        ),
        axis=-1,
    )


def about(axis: int, angle: Any) -> np.ndarray:
    found = np.zeros((*np.shape(angle), 4))
    found[..., 0], found[..., axis] = np.cos(np.asarray(angle) / 2), np.sin(np.asarray(angle) / 2)
    return found


def turned(quaternion: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors [n, 3] turned by quaternions, as products."""
    pure = np.concatenate((np.zeros((len(vectors), 1)), vectors), axis=1)
    back = quaternion * np.array([1.0, -1.0, -1.0, -1.0])
    return sideways(sideways(quaternion, pure), back)[:, 1:]


@dataclass
class Settings:
    """What is written; tests change it."""

    placing: Placing = field(default_factory=Placing)
    movers: Mapping[str, Mover] = field(default_factory=lambda: MOVERS)
    pictures: bool = False


def write_log(root: Path, settings: Optional[Settings] = None, name: str = NAME) -> Path:
    """One log below ``root``; returns its folder."""
    settings = settings or Settings()
    folder = root / name
    (folder / "map").mkdir(parents=True)
    times = sweep_times()
    ego_times = np.unique(np.concatenate((np.arange(0.0, DURATION_S + 0.3, 0.01), times)))
    write_feather(folder / "city_SE3_egovehicle.feather", ego_rows(ego_times, settings.placing))
    write_feather(folder / "annotations.feather", annotation_rows(times, settings))
    archive = {
        "pedestrian_crossings": {},
        "lane_segments": {str(each.number): each.entry(settings.placing) for each in segments()},
        "drivable_areas": {
            str(number): {"id": number, "area_boundary": places(settings.placing.points(ring))}
            for number, ring in AREAS.items()
        },
    }
    (folder / "map" / f"log_map_archive_{name}____PIT_city_57819.json").write_text(json.dumps(archive))
    if settings.pictures:
        write_pictures(folder / "sensors" / "cameras" / "ring_front_center")
    return folder


def sweep_times() -> np.ndarray:
    """10 Hz and a little uneven, whole nanoseconds."""
    number = np.arange(1, int(DURATION_S * 10))
    return np.round((0.1 * number + 0.0003 * (number % 3)) * 1e9) / 1e9


def ego_rotation(times: np.ndarray, placing: Placing) -> np.ndarray:
    heading = about(3, ego_path(times)[:, 2] + placing.turn)
    tilt = sideways(about(2, np.full(len(times), TILT[0])), about(1, np.full(len(times), TILT[1])))
    return sideways(heading, tilt)


def ego_rows(times: np.ndarray, placing: Placing) -> dict[str, Any]:
    signs = np.where(np.arange(len(times)) % 7 < 3, -1.0, 1.0)[:, None]  # both signs say the same rotation
    xyz = np.column_stack((placing.points(ego_path(times)[:, :2]), np.full(len(times), HEIGHT)))
    return {"timestamp_ns": stamps(times), **named("q", "wxyz", signs * ego_rotation(times, placing)), **placed(xyz)}


def annotation_rows(times: np.ndarray, settings: Settings) -> dict[str, Any]:
    """Boxes in the egovehicle frame of their time."""
    parts = list(boxes(times, settings))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def boxes(times: np.ndarray, settings: Settings) -> Iterator[dict[str, Any]]:
    for token, mover in settings.movers.items():
        seen = times[(times >= mover.span[0]) & (times <= mover.span[1])]
        poses, ego = mover.path(seen), ego_rotation(seen, settings.placing)
        back = ego * np.array([1.0, -1.0, -1.0, -1.0])
        apart = settings.placing.points(poses[:, :2]) - settings.placing.points(ego_path(seen)[:, :2])
        offsets = turned(back, np.column_stack((apart, np.full(len(seen), 0.4))))
        rotations = sideways(back, about(3, poses[:, 2] + settings.placing.turn))
        length, width, height = mover.size
        yield {
            "timestamp_ns": stamps(seen),
            "track_uuid": np.full(len(seen), token, dtype=object),
            "category": np.full(len(seen), mover.category, dtype=object),
            "length_m": np.full(len(seen), length),
            "width_m": np.full(len(seen), width),
            "height_m": np.full(len(seen), height),
            **named("q", "wxyz", rotations),
            **placed(offsets),
            "num_interior_pts": np.full(len(seen), 9),
        }


def stamps(times: np.ndarray) -> np.ndarray:
    return START_NS + np.round(times * 1e9).astype(np.int64)


def named(prefix: str, letters: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{prefix}{letter}": values[:, column].copy() for column, letter in enumerate(letters)}


def placed(xyz: np.ndarray) -> dict[str, np.ndarray]:
    return {f"t{letter}_m": xyz[:, column].copy() for column, letter in enumerate("xyz")}


def write_feather(path: Path, rows: Mapping[str, Any]) -> None:
    import pyarrow
    from pyarrow import feather

    feather.write_feather(pyarrow.table(dict(rows)), str(path))


def read_feather(path: Path) -> dict[str, np.ndarray]:
    """Columns that may be changed and written again."""
    from pyarrow import feather

    table = feather.read_table(str(path))
    return {name: table.column(name).to_numpy().copy() for name in table.column_names}


def scenes_of(log: SensorLog) -> list[ScoringScene]:
    builder = SceneBuilder(log)
    return [builder.build(time) for time in builder.scene_times().tolist() if builder.has_route(time)]


def write_pictures(folder: Path, gap: tuple[float, float] = (2.0, 4.0)) -> None:
    """At 20 Hz for 7 s, but for the seconds of ``gap``."""
    folder.mkdir(parents=True)
    for time in np.arange(0.0, 7.0, 0.05):
        if not gap[0] <= time < gap[1]:
            Image.new("RGB", (31, 41), (9, 90, int(20 * time))).save(folder / f"{START_NS + round(time * 1e9)}.jpg")
