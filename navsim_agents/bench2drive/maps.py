"""A town's lanes from ``TownNN_HD_map.npz``: road -> lane -> lines of points 0.05 m apart.

The file holds a pickled dictionary; it is read without running anything that it names. In release 0.0.3 points stand
twice; copies are dropped. Borders give the width, ``Center`` the line; there are no stop lines, crossings or kerbs in
these files, so the drivable area is that of the lanes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Optional

import numpy as np
from jaxtyping import Float64
from numpy.lib import format as npy_format

from navsim_agents.common.files import reading, whole_file
from navsim_agents.common.planar import arc_lengths, left_normal
from navsim_agents.common.poses import HEADING, XY, FloatArray, X, Y
from navsim_agents.data.restricted_pickle import RestrictedUnpickler, load_plain
from navsim_agents.errors import WorldDataError

MAP_ENTRY = "arr.npy"
MAP_FILE = "{town}_HD_map.npz"
CENTER = "Center"
POINT_SPACING_M = 1.0
"""Between the points that are kept; their 0.05 m would make a town's polygons twenty times as large."""
BORDER_SPACING_M = 0.2
JUMP_M = 2.0
"""A line whose next point is farther away begins again there."""
SAME_PLACE_M = 0.01
DEFAULT_WIDTH_M, NARROWEST_M, WIDEST_M = 3.5, 1.5, 8.0
"""Of a lane whose borders are missing, and what is believed of one."""
WAY_OUT = "fetch the maps again (Bench2Drive-Map, of the release of the clips)"
_HEADERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
PLACE, FLAG = 0, 2
"""Of a point: its place, and behind its rotation whether it lies in a junction."""


class MapUnpickler(RestrictedUnpickler):
    """Plain data."""

    holds: ClassVar[str] = "a dictionary of numbers, strings and tuples"


@dataclass(frozen=True)
class MapLane:
    """One run of a lane; global right-handed frame."""

    road: int
    lane: int  # its sign is a side of the road
    line: Float64[np.ndarray, "M 3"]  # middle and driving direction
    width_m: Float64[np.ndarray, " M"]
    is_junction: bool
    name: str

    @property
    def side(self) -> tuple[int, bool]:
        """Road and direction, which neighbouring lanes share."""
        return self.road, self.lane > 0

    def outline(self, margin_m: float = 0.0) -> Float64[np.ndarray, "V 2"]:
        """Polygon, counter-clockwise, without the repeated first point; wider by ``margin_m`` on both sides."""
        half = (0.5 * self.width_m + margin_m)[:, None] * left_normal(self.line[:, HEADING])
        return np.concatenate((self.line[:, XY] - half, (self.line[:, XY] + half)[::-1]))


@dataclass(frozen=True)
class HdMap:
    """The lanes of one town."""

    lanes: tuple[MapLane, ...]

    def near(self, place: Float64[np.ndarray, "2"], radius_m: float) -> list[MapLane]:
        """Lanes with a point in the square of half side ``radius_m`` about ``place``."""
        low, high = self._bounds
        candidates = np.flatnonzero(((low <= place + radius_m) & (high >= place - radius_m)).all(axis=1))
        lanes = [self.lanes[i] for i in candidates]
        return [lane for lane in lanes if (np.abs(lane.line[:, XY] - place) <= radius_m).all(axis=1).any()]

    @cached_property
    def _bounds(self) -> tuple[FloatArray, FloatArray]:
        lines = [lane.line[:, XY] for lane in self.lanes]
        return np.stack([line.min(axis=0) for line in lines]), np.stack([line.max(axis=0) for line in lines])


def map_path(folder: Path, town: str) -> Path:
    """Where the map of a town lies."""
    return folder / MAP_FILE.format(town=town)


def map_stamp(path: Path) -> str:
    """Changes with what a map holds, by the checksums in the archive's table of contents; of none it says why."""
    try:
        with reading(path, WorldDataError, WAY_OUT), zipfile.ZipFile(path) as archive:
            return " ".join(f"{entry.CRC:08x}" for entry in archive.infolist())
    except WorldDataError as error:
        return str(error)


@lru_cache(maxsize=16)
def shared_map(path: Path, kept: Path) -> HdMap:
    """As :func:`read_map`, kept in the file ``kept`` and for the life of the process.

    Raises:
        WorldDataError: as :func:`read_map`.
    """
    stamp = map_stamp(path)
    found = read_lanes(kept, stamp)
    if found is None:
        found = read_map(path)
        write_lanes(kept, found, stamp)
    return found


def read_map(path: Path) -> HdMap:
    """The lanes of one town.

    Raises:
        WorldDataError: there is no such file, it is damaged, or holds more than plain data.
    """
    content = _load(path)
    with reading(path, WorldDataError, WAY_OUT):
        lanes = tuple(_lanes(content))
    if not lanes:
        raise WorldDataError(f"{path} has no lane with a {CENTER} line; {WAY_OUT}")
    return HdMap(lanes)


def write_lanes(path: Path, hd_map: HdMap, stamp: str) -> None:
    """Keep what was read of a map; the map itself takes minutes and gigabytes where a town is large."""
    lanes = hd_map.lanes
    lines = np.concatenate([np.column_stack((lane.line, lane.width_m)) for lane in lanes])
    facts = np.array([(lane.road, lane.lane, lane.is_junction, len(lane.line)) for lane in lanes], dtype=np.int64)
    names = np.array([lane.name for lane in lanes])
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, lines=lines, facts=facts, names=names, stamp=np.array(stamp))


def read_lanes(path: Path, stamp: str) -> Optional[HdMap]:
    """What :func:`write_lanes` kept; None where there is nothing, or of another stamp."""
    if not path.is_file():
        return None
    with reading(path, WorldDataError, "delete it"), np.load(path, allow_pickle=False) as kept:
        if str(kept["stamp"]) != stamp:
            return None
        facts, names = kept["facts"].tolist(), kept["names"].tolist()
        lines = np.split(kept["lines"], np.cumsum([count for *_, count in facts])[:-1])
    rows = zip(facts, names, lines)
    return HdMap(tuple(MapLane(r, n, line[:, :3], line[:, 3], bool(j), name) for (r, n, j, _), name, line in rows))


def _load(path: Path) -> Mapping[Any, Any]:
    """The dictionary in the file."""
    with (
        reading(path, WorldDataError, WAY_OUT),
        zipfile.ZipFile(path) as archive,
        archive.open(MAP_ENTRY) as file,
    ):
        read_header = _HEADERS[npy_format.read_magic(file)]
        _, _, dtype = read_header(file)
        if dtype != np.dtype(object):
            raise WorldDataError(f"{path} holds {dtype}, but maps are pickled dictionaries; {WAY_OUT}")
        content = load_plain(file, str(path), MapUnpickler, "map")  # type: ignore[arg-type]
    content = content.item() if isinstance(content, np.ndarray) and content.size == 1 else content
    if not isinstance(content, Mapping):
        raise WorldDataError(f"{path} holds {type(content).__name__}, but maps are dictionaries of roads; {WAY_OUT}")
    return content


def _lanes(roads: Mapping[Any, Mapping[Any, Sequence[Mapping[str, Any]]]]) -> Iterator[MapLane]:
    for road, by_lane in roads.items():
        for lane, lines in by_lane.items():
            if isinstance(lane, str):
                continue  # trigger volumes, called otherwise in the documentation than in the files
            borders = [_places(line["Points"]) for line in lines if line["Type"] != CENTER]
            border = np.concatenate([_thinned(points, BORDER_SPACING_M) for points in borders] or [np.zeros((0, 2))])
            runs: list[tuple[FloatArray, bool]] = []
            for line in (line for line in lines if line["Type"] == CENTER):
                for run in _runs(line["Points"]):
                    runs += [] if any(_is_copy(run[0], had[0]) for had in runs) else [run]
            for number, (points, is_junction) in enumerate(runs):
                line3 = _with_headings(points)
                name = f"{road}_{lane}_{number}"
                yield MapLane(int(road), int(lane), line3, _widths(points, border), is_junction, name)


def _places(points: Sequence[Any]) -> Float64[np.ndarray, "N 2"]:
    """Right-handed places, each next to another one: copies in a row are dropped."""
    places = np.array([point[PLACE][:2] for point in points], dtype=np.float64).reshape(-1, 2)
    places[:, Y] *= -1.0
    if len(places) < 2:
        return places
    is_new = np.hypot(*np.diff(places, axis=0).T) > SAME_PLACE_M
    return places[np.concatenate(([True], is_new))]


def _runs(points: Sequence[Any]) -> Iterator[tuple[FloatArray, bool]]:
    """Pieces of a centre line without jumps, thinned, and whether most of the line lies in a junction."""
    places = _places(points)
    if len(places) < 2:
        return
    is_junction = 2 * sum(len(point) > FLAG and bool(point[FLAG]) for point in points) > len(points)
    jumps = np.flatnonzero(np.hypot(*np.diff(places, axis=0).T) > JUMP_M) + 1
    for piece in np.split(places, jumps):
        if len(piece) > 1:
            yield _thinned(piece, POINT_SPACING_M), is_junction


def _is_copy(points: FloatArray, other: FloatArray) -> bool:
    """Whether a run begins and ends where another one does."""
    ends = np.abs(points[[0, -1]] - other[[0, -1]])
    return bool((ends < POINT_SPACING_M / 2).all())


def _thinned(points: Float64[np.ndarray, "N 2"], spacing_m: float) -> Float64[np.ndarray, "M 2"]:
    """Points of a line ``spacing_m`` apart or a little more, both ends among them."""
    if len(points) < 3:
        return points
    way = arc_lengths(points)
    wanted = np.arange(0.0, way[-1], spacing_m)
    kept = np.unique(np.append(np.searchsorted(way, wanted), len(points) - 1))
    return points[kept]


def _with_headings(points: Float64[np.ndarray, "M 2"]) -> Float64[np.ndarray, "M 3"]:
    steps = np.gradient(points, axis=0)
    return np.column_stack((points, np.arctan2(steps[:, Y], steps[:, X])))


def _widths(points: Float64[np.ndarray, "M 2"], border: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, " M"]:
    """Twice the distance of each point to the nearest of the borders."""
    if not len(border):
        return np.full(len(points), DEFAULT_WIDTH_M)
    nearest = np.array([np.hypot(*(border - point).T).min() for point in points])
    return np.clip(2.0 * nearest, NARROWEST_M, WIDEST_M)
