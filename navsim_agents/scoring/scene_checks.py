"""Rules that a scoring scene keeps; every refusal says the value, the rule and the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from navsim_agents.errors import SceneError
from navsim_agents.scoring.scene_fields import (
    DEVKITS,
    FIELDS,
    ORIGINAL,
    SCENE_TYPES,
    Kind,
    SceneField,
    SceneFields,
    named_sizes,
)
from navsim_agents.scoring.traffic.checks import check_traffic

MIN_RING_POINTS = 3
MIN_AREA_M2 = 1e-9


def check_scene(scene: SceneFields) -> None:
    """Raises SceneError at the first rule that the scene breaks."""
    if scene.devkit not in DEVKITS:
        raise SceneError(f"devkit is {scene.devkit!r}, but must be one of {', '.join(DEVKITS)}")
    if scene.scene_type not in SCENE_TYPES:
        raise SceneError(f"scene_type is {scene.scene_type!r}, but must be one of {', '.join(SCENE_TYPES)}")
    check_shapes(vars(scene))
    _check_finite(scene)
    _check_vehicle(scene)
    _check_centerline(scene)
    _check_rings(scene.ring_xy, scene.ring_offsets, "ring")
    _check_rings(scene.red_light_xy, scene.red_light_offsets, "red_light")
    num_polygons = len(scene.polygon_layer)
    owners = scene.ring_polygon
    if len(owners) and not bool(((owners >= 0) & (owners < num_polygons)).all()):
        raise SceneError(
            f"ring_polygon reaches from {int(owners.min())} to {int(owners.max())}, but there are {num_polygons} "
            "polygons; number them from 0 in the order of polygon_layer"
        )
    _check_tracks(scene)
    _check_times(scene)
    check_traffic(scene)


def check_shapes(values: Mapping[str, Any], table: Mapping[str, SceneField] = FIELDS) -> None:
    """Raises SceneError unless every field's value has the shape that ``table`` gives it."""
    sizes = named_sizes(values)
    for name, row in table.items():
        value = values[name]
        shape = [size if isinstance(size, int) else sizes[size] for size in row.shape]
        if isinstance(value, Tensor):
            if name == "red_light_active" and not sizes["K"]:  # of any number of steps where there are no tracks
                shape[1] = None
            _refuse_other_shape(name, tuple(value.shape), shape)
        elif row.kind is Kind.TEXTS and shape[0] is not None and value != row.default and len(value) != shape[0]:
            raise SceneError(f"{name} has {len(value)} entries, but {shape[0]} are described; export it again")


def _refuse_other_shape(name: str, found: tuple[int, ...], wanted: Sequence[Optional[int]]) -> None:
    if len(found) != len(wanted) or any(want not in (None, have) for want, have in zip(wanted, found)):
        rule = ", ".join("any" if size is None else str(size) for size in wanted)
        raise SceneError(f"{name} has shape {found}, but the contract says [{rule}]; export it again")


def _check_finite(scene: SceneFields) -> None:
    """No NaN or infinity where a rule reads; unseen track poses may hold anything.

    So may the human of a synthetic scene, and of v1.1, whose caches do not keep it: only the human filter reads it.
    """
    for row in FIELDS.values():
        value = getattr(scene, row.name)
        if row.kind is Kind.FLOAT and value is not None and not row.about.has_gaps:
            _refuse_not_finite(row.name, value)
    if scene.scene_type == ORIGINAL and scene.devkit in FIELDS["human_trajectory"].about.devkits:
        _refuse_not_finite("human_trajectory", scene.human_trajectory)
    _refuse_not_finite("track_poses (where track_valid)", scene.track_poses[scene.track_valid])


def _refuse_not_finite(name: str, value: Tensor) -> None:
    finite = torch.isfinite(value)
    if not bool(finite.all()):
        raise SceneError(
            f"{name} holds {int((~finite).sum())} values that are not finite, but every value must be; "
            "export the scene again or leave it out"
        )


def _check_vehicle(scene: SceneFields) -> None:
    if not bool((scene.vehicle > 0).all()):
        raise SceneError(
            f"vehicle is {scene.vehicle.tolist()}, but half length, half width, rear axle to centre and wheel base "
            "must be positive metres"
        )


def _check_centerline(scene: SceneFields) -> None:
    line = scene.centerline
    if len(line) < 2 or not bool((torch.diff(line, dim=0) != 0).any()):
        raise SceneError(
            f"centerline has {len(line)} points and no length, but progress needs two different points; "
            "export the scene with its route, or leave it out"
        )


def _check_rings(xy: Tensor, offsets: Tensor, kind: str) -> None:
    """Offsets cover all vertices in order, and every ring encloses an area."""
    sizes = torch.diff(offsets)
    if int(offsets[0]) != 0 or int(offsets[-1]) != len(xy) or not bool((sizes >= 0).all()):
        raise SceneError(
            f"{kind}_offsets run from {int(offsets[0])} to {int(offsets[-1])}, but must rise from 0 to the number of "
            f"vertices, {len(xy)}; export the scene again"
        )
    if not len(sizes):
        return
    if int(sizes.min()) < MIN_RING_POINTS:
        ring = int(sizes.argmin())
        raise SceneError(f"{kind} {ring} has {int(sizes[ring])} vertices, but a polygon needs {MIN_RING_POINTS}")
    areas = _ring_areas(xy.double().cpu().numpy(), offsets.cpu().numpy())
    if areas.min() < MIN_AREA_M2:
        raise SceneError(
            f"{kind} {int(areas.argmin())} has zero area, but every polygon must enclose some; "
            "drop it or repair the map"
        )


def _ring_areas(xy: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Area [m^2] of each ring, by the shoelace formula about its first vertex."""
    following = np.arange(len(xy)) + 1
    following[offsets[1:] - 1] = offsets[:-1]
    here = xy - np.repeat(xy[offsets[:-1]], np.diff(offsets), axis=0)
    (x, y), (next_x, next_y) = here.T, here[following].T
    return np.abs(np.add.reduceat(x * next_y - y * next_x, offsets[:-1])) / 2.0


def _check_tracks(scene: SceneFields) -> None:
    seen = scene.track_valid.any(dim=1)
    if not bool((scene.track_size[seen] > 0).all()):
        track = int(torch.nonzero(seen & (scene.track_size <= 0).any(dim=1))[0])
        raise SceneError(
            f"track {scene.track_token[track]} is {scene.track_size[track].tolist()} m long and wide, but a track that "
            "is seen must be larger than 0 by 0"
        )


def _check_times(scene: SceneFields) -> None:
    for name in ("model_knots_us", "sample_times_us"):
        times = getattr(scene, name)
        if times is not None and not bool((torch.diff(times) > 0).all()):
            raise SceneError(f"{name} is {times.tolist()}, but times must rise; export the scene again")
