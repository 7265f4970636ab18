"""A scoring scene described once: each field's name, shape, kind, unit and meaning, who has it and who reads it.

What a scene must keep (``scene_checks``), how it is stored (``scene``), put in a batch (``scene_batch``) and packed
(``packed_layout``) follows from the table that is made here of :class:`SceneFields`. So a new field is one line of that
class, beside the code that uses it; older files lack it, so it has a default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import Enum
from typing import Any, NamedTuple, Optional, Union

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.conventions import EPDMS_NAME, METRIC_NAMES, PDMS_NAME
from navsim_agents.scoring.axes import POSE

DEVKITS = V1_1, V2_2 = "v1.1", "v2.2"
SCENE_TYPES = ORIGINAL, SYNTHETIC = "original", "synthetic"
PDM_CLOSED = "pdm_closed"  # who drives where nobody says otherwise


class Kind(Enum):
    """What a field holds; a tensor's dtype."""

    TEXT = "str"
    TEXTS = "tuple[str, ...]"
    NUMBER = "int"
    FLOAT = "Float"
    INT = "Int"
    BOOL = "Bool"


TORCH_DTYPES = {Kind.FLOAT: torch.float64, Kind.INT: torch.int64, Kind.BOOL: torch.bool}
NUMPY_DTYPES = {Kind.FLOAT: np.float64, Kind.INT: np.int64, Kind.BOOL: np.bool_}


class Filler(Enum):
    """What brings the scenes of a batch to one size."""

    ZEROS_BEHIND = 0
    ZEROS_IN_FRONT = 1  # so that the rows end together
    LAST_ROW = 2  # repeated


class Counted(NamedTuple):
    """Where a named size is found: an axis of some field."""

    field: str
    axis: int = 0


SIZES: dict[str, tuple[str, Optional[Counted]]] = {  # a name and 1 is one more: R1 = R + 1
    "H": ("history states", None),
    "M": ("centreline points", None),
    "V": ("vertices of rings", None),
    "R": ("rings", Counted("ring_polygon")),
    "P": ("polygons", Counted("polygon_layer")),
    "K": ("tracks", Counted("track_token")),
    "T": ("track columns, 0.1 s apart", Counted("track_poses", 1)),
    "L": ("red lights", Counted("red_light_token")),
    "E": ("vertices of red lights", None),
    "A": ("vehicles at t0", Counted("traffic_role")),
    "Q": ("points of their paths", None),
    "I": ("tracks that log replay leaves out", Counted("ignored_track_poses")),
}


@dataclass(frozen=True)
class About:
    """What a field's annotation does not say."""

    what: str
    unit: str = ""
    size: str = ""  # the shape of texts
    devkits: tuple[str, ...] = DEVKITS  # whose metric caches hold it
    metrics: tuple[str, ...] = METRIC_NAMES  # by which it is read
    is_batched: bool = False  # part of batches and packed scenes; other fields act through what is computed from them
    filler: Filler = Filler.ZEROS_BEHIND
    has_gaps: bool = False  # may be NaN where nothing is known; batches hold 0 there
    is_exact: bool = False  # float64 whatever the dtype of the batch
    columns: Optional[slice] = None  # of the last axis, that batches and packed scenes hold; None: all


@dataclass(frozen=True)
class SceneField:
    """One row of the table."""

    name: str
    kind: Kind
    shape: tuple[Union[int, str], ...]  # of a tensor or of texts; names are those of SIZES
    is_optional: bool  # absent from older files, and from files of scenes that have the default
    default: Any
    about: About


def _about(what: str, unit: str = "", **more: Any) -> dict[str, About]:
    """Metadata of a field, see :class:`About`."""
    return {"about": About(what, unit, **more)}


_BATCHED: dict[str, Any] = {"is_batched": True}
_V2_2_ONLY: dict[str, Any] = {"devkits": (V2_2,), "metrics": (EPDMS_NAME,)}
_UNREAD: dict[str, Any] = {"metrics": ()}
_TRAFFIC: dict[str, Any] = {"devkits": (V2_2,), **_UNREAD}  # read by scoring/traffic alone


@dataclass(frozen=True)
class SceneFields:
    """Frames: everything is in the ego's rear-axle frame at t0 (x ahead, y left), except ``ego_pose``.

    Letters in shapes: see SIZES.
    """

    devkit: str = field(metadata=_about("whose rules the cache was built with: v1.1 or v2.2"))
    token: str = field(metadata=_about("name of the scene"))
    log_name: str = field(metadata=_about("log that it is cut from", **_UNREAD))
    map_name: str = field(metadata=_about("map that it lies in", **_UNREAD))
    scene_type: str = field(metadata=_about("original or synthetic", metrics=(EPDMS_NAME,)))
    timestamp_us: int = field(metadata=_about("t0", "us"))
    ego_pose: Float[Tensor, " 3"] = field(
        metadata=_about("rear axle in the map frame", "m, m, rad", is_exact=True, **_BATCHED)
    )
    ego_state: Float[Tensor, " 11"] = field(metadata=_about("State at t0", "m, rad, s", **_BATCHED))
    vehicle: Float[Tensor, " 4"] = field(metadata=_about("Vehicle", "m", **_BATCHED))
    history_states: Float[Tensor, "H 11"] = field(
        metadata=_about("States until t0", "m, rad, s", filler=Filler.ZEROS_IN_FRONT, **_V2_2_ONLY, **_BATCHED)
    )
    human_trajectory: Float[Tensor, "8 3"] = field(
        metadata=_about("poses of the human driver", "m, m, rad", has_gaps=True, **_V2_2_ONLY, **_BATCHED)
    )
    pdm_trajectory: Float[Tensor, "41 11"] = field(
        metadata=_about("States of the reference driver", "m, rad, s", columns=POSE, **_BATCHED)
    )
    centerline: Float[Tensor, "M 2"] = field(
        metadata=_about("points along the route", "m", filler=Filler.LAST_ROW, **_BATCHED)
    )
    ring_xy: Float[Tensor, "V 2"] = field(metadata=_about("vertices, one ring after the other", "m"))
    ring_offsets: Int[Tensor, " R1"] = field(metadata=_about("first vertex of each ring, and the end"))
    ring_polygon: Int[Tensor, " R"] = field(metadata=_about("polygon of each ring"))
    ring_is_hole: Bool[Tensor, " R"] = field(metadata=_about("whether it bounds a hole", **_UNREAD))
    polygon_layer: tuple[str, ...] = field(metadata=_about("layer of the map", size="P"))
    polygon_token: tuple[str, ...] = field(metadata=_about("name in the map", size="P", **_UNREAD))
    polygon_on_route: Bool[Tensor, " P"] = field(metadata=_about("whether the route leads over it"))
    track_token: tuple[str, ...] = field(metadata=_about("name of the track", size="K"))
    track_type: tuple[str, ...] = field(metadata=_about("nuPlan's name of what it is", size="K", **_UNREAD))
    track_is_agent: Bool[Tensor, " K"] = field(metadata=_about("a vehicle, pedestrian or bicycle", **_BATCHED))
    collided_track: Bool[Tensor, " K"] = field(
        metadata=_about("touches the ego at t0", metrics=(PDMS_NAME,), **_BATCHED)
    )
    track_size: Float[Tensor, "K 2"] = field(metadata=_about("length, width", "m", **_BATCHED))
    track_speed: Float[Tensor, " K"] = field(metadata=_about("at its first appearance", "m/s", **_BATCHED))
    track_heading: Float[Tensor, " K"] = field(metadata=_about("at its first appearance", "rad", **_UNREAD))
    track_poses: Float[Tensor, "K T 3"] = field(
        metadata=_about("centre and heading while it is seen", "m, m, rad", has_gaps=True, **_BATCHED)
    )
    track_valid: Bool[Tensor, "K T"] = field(metadata=_about("whether it is seen", **_BATCHED))
    red_light_token: tuple[str, ...] = field(metadata=_about("name of the light", size="L", **_V2_2_ONLY))
    red_light_xy: Float[Tensor, "E 2"] = field(
        metadata=_about("vertices of their connectors, one after the other", "m", **_V2_2_ONLY)
    )
    red_light_offsets: Int[Tensor, " L1"] = field(metadata=_about("first vertex of each, and the end", **_V2_2_ONLY))
    red_light_active: Bool[Tensor, "L T"] = field(metadata=_about("whether it is red", **_V2_2_ONLY, **_BATCHED))
    model_knots_us: Optional[Int[Tensor, " 9"]] = field(
        default=None, metadata=_about("the devkit's times of t0 and of a plan's poses; None: exact ones", "us after t0")
    )
    sample_times_us: Optional[Int[Tensor, " 41"]] = field(
        default=None, metadata=_about("the devkit's times of simulated states; None: exact ones", "us after t0")
    )
    reference_driver: str = field(
        default=PDM_CLOSED, metadata=_about("who drives pdm_trajectory; the built-in world has its own", **_UNREAD)
    )
    traffic_token: tuple[str, ...] = field(
        default=(), metadata=_about("names of the vehicles at t0, as they were detected", size="A", **_TRAFFIC)
    )
    traffic_role: Optional[Int[Tensor, " A"]] = field(
        default=None, metadata=_about("Role in reactive traffic; None: nothing is known of it", **_TRAFFIC)
    )
    traffic_size: Optional[Float[Tensor, "A 2"]] = field(
        default=None, metadata=_about("length, width", "m", **_TRAFFIC)
    )
    traffic_pose: Optional[Float[Tensor, "A 3"]] = field(
        default=None, metadata=_about("centre and heading in the log at t0", "m, m, rad", **_TRAFFIC)
    )
    traffic_speed: Optional[Float[Tensor, " A"]] = field(default=None, metadata=_about("at t0", "m/s", **_TRAFFIC))
    traffic_snapped_pose: Optional[Float[Tensor, "A 3"]] = field(
        default=None, metadata=_about("put on its path, with the chord's heading; 0: no path", "m, m, rad", **_TRAFFIC)
    )
    traffic_progress: Optional[Float[Tensor, " A"]] = field(
        default=None, metadata=_about("along its path at t0; 0: no path", "m", **_TRAFFIC)
    )
    traffic_wanted_speed: Optional[Float[Tensor, " A"]] = field(
        default=None, metadata=_about("its segment's limit, or that of one before it; 0: no path", "m/s", **_TRAFFIC)
    )
    traffic_path_poses: Optional[Float[Tensor, "Q 3"]] = field(
        default=None, metadata=_about("points with headings, one path after the other", "m, m, rad", **_TRAFFIC)
    )
    traffic_path_progress: Optional[Float[Tensor, " Q"]] = field(
        default=None, metadata=_about("of each point along its path", "m", **_TRAFFIC)
    )
    traffic_path_offsets: Optional[Int[Tensor, " A1"]] = field(
        default=None, metadata=_about("first point of each vehicle's path, and the end", **_TRAFFIC)
    )
    traffic_early_track: Optional[Bool[Tensor, " K"]] = field(
        default=None, metadata=_about("log replay shows it at t0, though it was detected only later", **_TRAFFIC)
    )
    ignored_track_token: tuple[str, ...] = field(
        default=(), metadata=_about("tracks that touch the ego at t0, but for vehicles", size="I", **_TRAFFIC)
    )
    ignored_track_type: tuple[str, ...] = field(
        default=(), metadata=_about("nuPlan's name of what it is", size="I", **_TRAFFIC)
    )
    ignored_track_is_agent: Optional[Bool[Tensor, " I"]] = field(
        default=None, metadata=_about("a pedestrian or bicycle", **_TRAFFIC)
    )
    ignored_track_size: Optional[Float[Tensor, "I 2"]] = field(
        default=None, metadata=_about("length, width", "m", **_TRAFFIC)
    )
    ignored_track_speed: Optional[Float[Tensor, " I"]] = field(
        default=None, metadata=_about("at t0", "m/s", **_TRAFFIC)
    )
    ignored_track_heading: Optional[Float[Tensor, " I"]] = field(
        default=None, metadata=_about("at t0", "rad", **_TRAFFIC)
    )
    ignored_track_poses: Optional[Float[Tensor, "I T 3"]] = field(
        default=None, metadata=_about("centre and heading while it is seen, else 0", "m, m, rad", **_TRAFFIC)
    )
    ignored_track_valid: Optional[Bool[Tensor, "I T"]] = field(
        default=None, metadata=_about("whether it is seen", **_TRAFFIC)
    )


_TENSOR = re.compile(r"(?:Optional\[)?(?P<kind>Float|Int|Bool)\[Tensor, ['\"](?P<shape>[\w ]*)['\"]\]+")


def table_of(described: type[SceneFields]) -> dict[str, SceneField]:
    """The rows of a class of scenes by name, in its order; kinds and shapes are those of the annotations."""
    rows = {}
    for entry in fields(described):
        found, about = _TENSOR.fullmatch(str(entry.type)), entry.metadata["about"]
        shape = found["shape"] if found else about.size
        rows[entry.name] = SceneField(
            name=entry.name,
            kind=Kind(found["kind"] if found else entry.type),
            shape=tuple(int(size) if size.isdecimal() else size for size in shape.split()),
            is_optional=entry.default is not MISSING,
            default=None if entry.default is MISSING else entry.default,
            about=about,
        )
    return rows


def is_missing(row: SceneField, devkit: str, metric: str) -> bool:
    """Whether the metric reads the field, but the devkit's metric caches do not hold it."""
    return metric in row.about.metrics and devkit not in row.about.devkits


FIELDS = table_of(SceneFields)
BATCHED = {name: row for name, row in FIELDS.items() if row.about.is_batched}
MISSING_INPUTS = {
    (devkit, metric): [name for name, row in FIELDS.items() if is_missing(row, devkit, metric)]
    for devkit in DEVKITS
    for metric in METRIC_NAMES
}
"""(devkit, metric) → the fields that are missing."""


def named_sizes(values: Mapping[str, Any]) -> dict[str, Optional[int]]:
    """Letter → size, of a scene's ``values``; None where any size is right."""
    sizes: dict[str, Optional[int]] = {}
    for letter, (_, counted) in SIZES.items():
        shape = () if counted is None else _shape_of(values[counted.field])
        size = shape[counted.axis] if counted is not None and len(shape) > counted.axis else None
        sizes |= {letter: size, f"{letter}1": None if size is None else size + 1}
    return sizes


def _shape_of(value: Any) -> tuple[int, ...]:
    """Of a tensor or of texts; none of what is missing."""
    if value is None:
        return ()
    return tuple(getattr(value, "shape", (len(value),)))
