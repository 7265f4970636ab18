"""The index of a scene keeps its bytes, whatever way it is built.

``recorded/index.json`` holds SHA-256 of every table as the build of the first release made it, for scenes and for
rings and segments drawn on a lattice of eighths of a metre, on which edges coincide, repeat and lie on cell borders.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from navsim_agents.scoring import SceneStore, ScoringScene
from navsim_agents.scoring.geometry.areas import Areas
from navsim_agents.scoring.geometry.grid import Layout, NearSegments
from navsim_agents.scoring.geometry.outlines import centres_below

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recorded" / "index.json").read_text())
STORE = HERE / "recorded" / "store"
GOLDEN = sorted((HERE / "golden").glob("v*/scene_*.npz"))
TOKENS = ("busy", "empty", "many_lanes", "one_track")
# Name: polygons, vertices of a ring, largest coordinate [m], and whether edges are shared, repeated and without length.
RINGS = {
    "few": (3, 5, 9, False),
    "shared": (20, 7, 12, True),
    "a_word": (64, 6, 20, True),
    "two_words": (70, 6, 20, True),
    "many_words": (200, 4, 30, True),
    "wide": (12, 9, 5_000, True),  # cells are coarser than asked for
    "far_and_narrow": (2, 3, 200_000, False),
    "within_a_cell": (4, 4, 0.5, True),
}
SEGMENTS = {"short": (60, 2.0), "long": (40, 50.0), "one": (1, 3.0), "none": (0, 1.0)}


def tables(value, prefix=""):
    """Every tensor of an index by its path in it."""
    if isinstance(value, torch.Tensor):
        return {prefix: value}
    return {
        path: table for name, part in vars(value).items() for path, table in tables(part, f"{prefix}.{name}").items()
    }


def digest(index):
    """SHA-256 of names, dtypes, shapes and bytes of an index."""
    found = hashlib.sha256()
    for path, table in sorted(tables(index).items()):
        found.update(f"{path} {table.dtype} {list(table.shape)}".encode())
        found.update(np.ascontiguousarray(table.numpy()).tobytes())
    return found.hexdigest()


def lattice(draw, shape, extent):
    """Points [*shape, 2] on eighths of a metre; some zeros are negative."""
    steps = int(8 * extent)
    return draw.integers(-steps, steps + 1, (*shape, 2)) / -8.0


def random_rings(num_polygons, num_vertices, extent, is_shared):
    """Rings [n, 2] of polygons, their offsets and owners; if shared, some are their neighbour's, turned around."""
    draw = np.random.default_rng(num_polygons)
    rings = list(lattice(draw, (num_polygons, num_vertices), extent))
    if is_shared:
        rings[1::3] = [np.roll(ring, 1, axis=0)[::-1] for ring in rings[0::3]][: len(rings[1::3])]
        rings = [np.concatenate((ring, ring[-1:], ring[:1])) if row % 2 else ring for row, ring in enumerate(rings)]
    owners = np.minimum(np.arange(len(rings)), num_polygons - 1)
    return np.concatenate(rings), np.cumsum([0, *map(len, rings)]), owners, num_polygons


def random_segments(count, reach):
    """Segments [count, 4], at most ``reach`` m long along each axis."""
    draw = np.random.default_rng(count)
    start = lattice(draw, (count,), 30)
    return np.concatenate((start, start + lattice(draw, (count,), reach)), axis=1)


def of_scene(name):
    if name in TOKENS:
        return SceneStore(STORE)[name].index
    return ScoringScene.load(HERE / "golden" / f"{name}.npz").index


def near(name):
    segments = random_segments(*SEGMENTS[name])
    return NearSegments.build(segments, np.arange(len(segments)) // 3, margin=1.5, cell_m=0.75, max_cells=9_000)


SCENES = (*TOKENS, *(f"{path.parent.name}/{path.stem}" for path in GOLDEN))


@pytest.mark.parametrize("name", SCENES)
def test_indices_of_scenes_keep_their_bytes(name):
    assert digest(of_scene(name)) == RECORDED["scenes"][name]


@pytest.mark.parametrize("name", RINGS)
def test_areas_of_any_rings_keep_their_bytes(name):
    assert digest(Areas.build(*random_rings(*RINGS[name]))) == RECORDED["rings"][name]


@pytest.mark.parametrize("name", SEGMENTS)
def test_near_segments_keep_their_bytes(name):
    assert digest(near(name)) == RECORDED["segments"][name]


@pytest.mark.parametrize("size", [1.0, 0.37, 1.02**7, 61.3])
@pytest.mark.parametrize("origin", [0.0, -123.457, 1e6 / 3.0])
def test_centres_below_values_on_and_beside_centres(origin, size):
    layout = Layout(np.array([origin, -origin]), size, (300, 200))
    for axis, count in enumerate(layout.shape):
        centres = layout.origin[axis] + (np.arange(count) + 0.5) * size
        beside = [np.nextafter(centres, end) for end in (-np.inf, np.inf)]
        values = np.concatenate((centres, *beside, centres - 0.5 * size, centres[[0, -1]] + [-9 * size, 9 * size]))
        np.testing.assert_array_equal(centres_below(values, layout, axis), np.searchsorted(centres, values))
