"""Where everything lies in a packed scene.

A record (little-endian) is a header of int64 (:class:`Head`, knots, samples, shapes of the grids, then for each section
its offset [bytes] and number of elements), and the sections, aligned so that a batch of records can be read in place.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt
import torch

from navsim_agents.common.conventions import NUM_POSES, NUM_STATES, POSE_INTERVAL_S
from navsim_agents.scoring.axes import POSE
from navsim_agents.scoring.config import METRICS
from navsim_agents.scoring.geometry.grid import Cells, NearSegments
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_batch import plan_times_us, sample_times_of
from navsim_agents.scoring.scene_fields import ORIGINAL

MAGIC = 0x3143534A44  # "DJSC1"
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


KNOTS_AT = len(Head)
SAMPLES_AT = KNOTS_AT + NUM_POSES + 1
SHAPES_AT = SAMPLES_AT + NUM_STATES  # columns, rows and plain entries of each grid
SECTIONS_AT = SHAPES_AT + 3 * len(GRIDS)
NUMBERS: dict[str, tuple[int, ...]] = {  # the section of float64 whose count is fixed
    "ego_pose": (3,),
    "ego_state": (11,),
    "vehicle": (4,),
    "human_trajectory": (NUM_POSES, 3),
    "pdm_trajectory": (NUM_STATES, 3),
    "origins": (len(GRIDS), 2),
    "inverse_sizes": (len(GRIDS),),
}
SECTIONS = (
    *("numbers", "history_states", "centerline", "track_size", "track_speed", "track_poses", "track_is_agent"),
    *("collided_track", "track_valid", "red_light_active", "patterns", "layers", "light_bits"),
    *("areas.cell_pattern", "areas.edges", "areas.edge_pattern"),
    *(f"{grid}.{part}" for grid in GRIDS[1:] for part in ("segments", "owner")),
    *(f"{grid}.{part}" for grid in GRIDS for part in ("entry", "first", "item")),
)
HEADER_LENGTH = SECTIONS_AT + 2 * len(SECTIONS)


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
    numbers = {
        "ego_pose": scene.ego_pose,
        "ego_state": scene.ego_state,
        "vehicle": scene.vehicle,
        "human_trajectory": scene.human_trajectory.nan_to_num(),
        "pdm_trajectory": scene.pdm_trajectory[:, POSE],
        "origins": torch.cat([grids[name].origin for name in GRIDS]),
        "inverse_sizes": torch.cat([grids[name].inverse_size for name in GRIDS]),
    }
    found = {
        "numbers": np.concatenate([_flat(numbers[name]) for name in NUMBERS]),
        "history_states": scene.history_states,
        "centerline": scene.centerline,
        "track_size": scene.track_size,
        "track_speed": scene.track_speed,
        "track_poses": np.nan_to_num(_columns(scene.track_poses.cpu().numpy())),
        "track_is_agent": scene.track_is_agent,
        "collided_track": scene.collided_track,
        "track_valid": _columns(scene.track_valid.cpu().numpy()),
        "red_light_active": _columns(scene.red_light_active.cpu().numpy()),
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


def _columns(values: npt.NDArray) -> npt.NDArray:
    """Track columns cut or padded (with zeros) to as many as any metric looks at."""
    cut = values[:, :COLUMNS]
    return np.pad(cut, ((0, 0), (0, COLUMNS - cut.shape[1]), *((0, 0),) * (cut.ndim - 2)))


def _flat(values: object) -> npt.NDArray:
    array = np.asarray(values.cpu() if hasattr(values, "cpu") else values)
    return np.ascontiguousarray(array).reshape(-1)


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
