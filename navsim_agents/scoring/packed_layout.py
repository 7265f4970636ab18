"""Where everything lies in a packed scene.

A record (little-endian) is a header of int64 (:class:`Head`, knots, samples, shapes of the grids, then for each section
its offset [bytes] and number of elements), and the sections, aligned so that a batch of records can be read in place.
Which sections there are follows from the fields that batches hold (``scene_fields``): those that have one shape in all
scenes lie together in ``numbers``, each of the others is a section, widest elements first.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt
import torch

from navsim_agents.common.conventions import NUM_POSES, NUM_STATES, POSE_INTERVAL_S
from navsim_agents.scoring.config import METRICS
from navsim_agents.scoring.geometry.grid import Cells, NearSegments
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_batch import has_rows, plan_times_us, sample_times_of, value_of
from navsim_agents.scoring.scene_fields import BATCHED, ORIGINAL, Kind, SceneField

MAGIC = 0x3143534A44  # "DJSC1"; another number whenever a section is added or moves
ALIGNMENT = 64  # bytes; a multiple of the longest row, an edge
COLUMNS = max(metric.track_steps for metric in METRICS.values())
GRIDS = ("areas", "centerline", "lights")
LAYERS = ("lane_bits", "drivable_bits", "on_route_bits", "intersection_bits")


class Head(IntEnum):
    """First columns of the header."""

    MAGIC = 0
    IS_ORIGINAL = 1
    HAS_TIMES = 2  # recorded with the devkit's truncated times
    TIMESTAMP_US = 3
    HISTORY = 4
    CENTERLINE = 5
    TRACKS = 6
    COLUMNS = 7
    LIGHTS = 8
    PATTERNS = 9
    WORDS = 10


class OfGrid(IntEnum):
    """Columns of the header for each grid."""

    COLUMNS = 0
    ROWS = 1
    PLAIN = 2  # entries of cells without items


class OfSection(IntEnum):
    """Columns of the header for each section."""

    OFFSET = 0  # bytes
    LENGTH = 1  # elements


KNOTS_AT = len(Head)
SAMPLES_AT = KNOTS_AT + NUM_POSES + 1
SHAPES_AT = SAMPLES_AT + NUM_STATES
SECTIONS_AT = SHAPES_AT + len(OfGrid) * len(GRIDS)


def _shape_of_row(row: SceneField) -> tuple[int, ...]:
    """What is packed of a field: its one shape, or that of one of its rows."""
    shape = [COLUMNS if size == "T" else size for size in (row.shape[1:] if has_rows(row) else row.shape)]
    if row.about.columns is not None:
        shape[-1] = len(range(*row.about.columns.indices(int(shape[-1]))))
    return tuple(int(size) for size in shape)


NUMBERS: dict[str, tuple[int, ...]] = {  # the section of float64 whose count is fixed
    **{name: _shape_of_row(row) for name, row in BATCHED.items() if not has_rows(row)},
    "origins": (len(GRIDS), 2),
    "inverse_sizes": (len(GRIDS),),
}
WIDEST_FIRST = (Kind.FLOAT, Kind.INT, Kind.BOOL)
ROWS: dict[str, tuple[int, ...]] = {  # sections with some rows a scene, and the shape of a row
    name: _shape_of_row(row)
    for kind in WIDEST_FIRST
    for name, row in BATCHED.items()
    if has_rows(row) and row.kind is kind
}
SECTIONS = (
    *("numbers", *ROWS, "patterns", "layers", "light_bits"),
    *("areas.cell_pattern", "areas.edges", "areas.edge_pattern"),
    *(f"{grid}.{part}" for grid in GRIDS[1:] for part in ("segments", "owner")),
    *(f"{grid}.{part}" for grid in GRIDS for part in ("entry", "first", "item")),
)
HEADER_LENGTH = SECTIONS_AT + len(OfSection) * len(SECTIONS)


def header_of(scene: ScoringScene) -> npt.NDArray[np.int64]:
    """The header [HEADER_LENGTH] but for the sections, which stay 0."""
    header = np.zeros(HEADER_LENGTH, dtype=np.int64)
    num_patterns, num_words = scene.index.areas.patterns.shape[1:]
    facts = {
        Head.MAGIC: MAGIC,
        Head.IS_ORIGINAL: scene.scene_type == ORIGINAL,
        Head.HAS_TIMES: scene.model_knots_us is not None,
        Head.TIMESTAMP_US: scene.timestamp_us,
        Head.HISTORY: len(scene.history_states),
        Head.CENTERLINE: len(scene.centerline),
        Head.TRACKS: len(scene.track_token),
        Head.COLUMNS: scene.track_valid.shape[1],
        Head.LIGHTS: len(scene.red_light_token),
        Head.PATTERNS: num_patterns,
        Head.WORDS: num_words,
    }
    for column, fact in facts.items():
        header[column] = fact
    header[KNOTS_AT:SAMPLES_AT] = plan_times_us(
        scene.model_knots_us, scene.timestamp_us, NUM_POSES, POSE_INTERVAL_S
    ).cpu()
    header[SAMPLES_AT:SHAPES_AT] = sample_times_of(scene).cpu()
    grids = grids_of(scene)
    header[SHAPES_AT:SECTIONS_AT] = [int(n) for name in GRIDS for n in (*grids[name].shape[0], grids[name].plain[0])]
    return header


def sections_of(scene: ScoringScene) -> dict[str, npt.NDArray]:
    """All sections in order."""
    index, grids = scene.index, grids_of(scene)
    fields = {name: _packed_value(scene, row) for name, row in BATCHED.items()}
    grid_numbers = {
        "origins": torch.cat([grids[name].origin for name in GRIDS]),
        "inverse_sizes": torch.cat([grids[name].inverse_size for name in GRIDS]),
    }
    found = {
        "numbers": np.concatenate([_flat({**fields, **grid_numbers}[name]) for name in NUMBERS]),
        **{name: fields[name] for name in ROWS},
        "patterns": index.areas.patterns,
        "layers": np.concatenate([getattr(index, layer).cpu().numpy() for layer in LAYERS]),
        "light_bits": index.light_bits,
        "areas.cell_pattern": index.areas.cell_pattern.values,
        "areas.edges": index.areas.edges.values,
        "areas.edge_pattern": index.areas.edge_pattern.values,
    }
    lines: dict[str, NearSegments] = {"centerline": index.centerline, "lights": index.lights}
    for name, line in lines.items():
        found |= {f"{name}.segments": line.segments.values, f"{name}.owner": line.owner.values}
    for name, grid in grids.items():
        found |= {f"{name}.{part}": getattr(grid, part).values for part in ("entry", "first", "item")}
    return {name: _flat(found[name]) for name in SECTIONS}


def place(sections: dict[str, npt.NDArray]) -> tuple[list[int], int]:
    """Offset of each section, and the length of the record, in bytes."""
    offsets, end = [], _aligned(8 * HEADER_LENGTH)
    for array in sections.values():
        offsets.append(end)
        end = _aligned(end + array.nbytes)
    return offsets, end


def grids_of(scene: ScoringScene) -> dict[str, Cells]:
    """The cells of each of GRIDS."""
    return {name: getattr(scene.index, name).cells for name in GRIDS}


def _packed_value(scene: ScoringScene, row: SceneField) -> npt.NDArray:
    """A field as it is packed: with 0 in its gaps, and with as many track columns as any metric looks at."""
    values = value_of(scene, row).cpu().numpy()
    if row.about.columns is not None:
        values = values[..., row.about.columns]
    if row.shape[1:2] == ("T",):
        values = values[:, :COLUMNS]
        values = np.pad(values, ((0, 0), (0, COLUMNS - values.shape[1]), *((0, 0),) * (values.ndim - 2)))
    return np.nan_to_num(values) if row.about.has_gaps else values


def _flat(values: object) -> npt.NDArray:
    array = np.asarray(values.cpu() if hasattr(values, "cpu") else values)
    return np.ascontiguousarray(array).reshape(-1)


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
