"""One scoring scene: everything that both metrics need, without the devkit; and the index that is built from it.

A scene is kept as one ``.npz`` (schema 1) or as a record of a store; its fields stand in ``scene_fields``.
"""

from __future__ import annotations

import copy
import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Union

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor

from navsim_agents.common.files import write_bytes
from navsim_agents.errors import SceneError
from navsim_agents.scoring.axes import DRIVABLE_LAYERS, INTERSECTION_LAYERS, LANE_LAYERS, Vehicle
from navsim_agents.scoring.config import EPDMS
from navsim_agents.scoring.geometry.areas import Areas
from navsim_agents.scoring.geometry.grid import IntArray, NearSegments
from navsim_agents.scoring.geometry.outlines import polygon_words, ring_edges
from navsim_agents.scoring.scene_checks import check_scene, check_shapes
from navsim_agents.scoring.scene_fields import FIELDS, NUMPY_DTYPES, Kind, SceneField, SceneFields

SCHEMA_VERSION = 1
CENTERLINE_CELL_M = 2.0
LIGHT_CELL_M = 4.0
MAX_LINE_CELLS = 16_384


@dataclass(frozen=True)
class ScoringScene(SceneFields):
    """A scene whose fields keep the rules of the contract; see :class:`SceneFields`."""

    def __post_init__(self) -> None:
        check_scene(self)

    @property
    def device(self) -> torch.device:
        """Where the scene's tensors are."""
        return self.ego_pose.device

    @cached_property
    def index(self) -> SceneIndex:
        """Grids over polygons, centreline and lights; built at first use (some milliseconds) and kept."""
        index, device = SceneIndex.build(self), self.device
        return index if device.type == "cpu" else index.to(device)

    @staticmethod
    def load(source: Union[str, os.PathLike[str], BinaryIO]) -> ScoringScene:
        """Read and check a scene.

        Raises:
            SceneError: the file is not a readable archive, lacks a key, has another schema, or breaks a rule.
        """
        name = getattr(source, "name", source)
        try:
            with np.load(source, allow_pickle=False) as archive:  # type: ignore[arg-type]
                arrays = {key: archive[key] for key in archive.files}
        except FileNotFoundError as error:
            raise SceneError(f"there is no scene at {name}; give the path of an .npz") from error
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, AttributeError, TypeError) as error:
            raise SceneError(
                f"{name} is not a readable scene archive ({error}); it may be truncated: export it again"
            ) from error
        try:
            return ScoringScene.from_arrays(arrays)
        except SceneError as error:
            raise SceneError(f"{name}: {error}") from error

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray]) -> ScoringScene:
        """A checked scene from the archive's arrays; keys beyond the contract are ignored."""
        found = arrays.get("schema_version")
        if found is None or found.shape != () or int(found) != SCHEMA_VERSION:
            raise SceneError(
                f"schema_version is {found}, but only {SCHEMA_VERSION} is read; export the scene with this release"
            )
        missing = [name for name, row in FIELDS.items() if name not in arrays and not row.is_optional]
        if missing:
            raise SceneError(f"the scene lacks {', '.join(missing)}; export it again with every key of the contract")
        values = {name: _from_array(row, arrays[name]) for name, row in FIELDS.items() if name in arrays}
        check_shapes({**{name: row.default for name, row in FIELDS.items()}, **values})
        return ScoringScene(**values)

    def to_arrays(self) -> dict[str, npt.NDArray]:
        """The arrays of the contract; optional fields that have their default are left out."""
        values = {name: getattr(self, name) for name in FIELDS}
        arrays = {n: _to_array(value) for n, value in values.items() if not _is_default(FIELDS[n], value)}
        return {"schema_version": np.asarray(SCHEMA_VERSION), **arrays}

    def save(self, path: Union[str, os.PathLike[str]]) -> None:
        """Write the scene, whole or not at all."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **self.to_arrays())  # type: ignore[arg-type]
        write_bytes(Path(path), buffer.getvalue())

    def to(self, device: Union[str, torch.device]) -> ScoringScene:
        """The same scene on another device."""
        device = torch.device(device)
        moved = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (Tensor, SceneIndex)):
                object.__setattr__(moved, name, value.to(device))
        return moved


def _from_array(row: SceneField, array: npt.NDArray) -> Any:
    """A field's value from its array."""
    if row.kind is Kind.TEXT:
        return str(array)
    if row.kind is Kind.TEXTS:
        return tuple(str(entry) for entry in array.reshape(-1).tolist())
    if row.kind is Kind.NUMBER:
        return int(array)
    return torch.from_numpy(array.astype(NUMPY_DTYPES[row.kind]))


def _is_default(row: SceneField, value: object) -> bool:
    """Whether the value is the default, which files leave out."""
    return row.is_optional and not isinstance(value, Tensor) and value == row.default


def _to_array(value: object) -> npt.NDArray:
    """Inverse of :func:`_from_array`."""
    if isinstance(value, Tensor):
        return value.cpu().numpy()
    return np.asarray(value, dtype="U1") if value == () else np.asarray(value)


@dataclass(frozen=True)
class SceneIndex:
    """Grids of B scenes; the polygons of red lights follow the drivable ones as further bits."""

    areas: Areas
    lane_bits: Int[Tensor, "B W"]
    drivable_bits: Int[Tensor, "B W"]
    on_route_bits: Int[Tensor, "B W"]
    intersection_bits: Int[Tensor, "B W"]
    light_bits: Int[Tensor, "B L W"]
    centerline: NearSegments
    lights: NearSegments

    @staticmethod
    def build(scene: SceneFields) -> SceneIndex:
        """Index of one scene, on the CPU."""
        num_areas, num_lights = len(scene.polygon_layer), len(scene.red_light_token)
        total = num_areas + num_lights
        offsets, light_offsets = scene.ring_offsets.cpu().numpy(), scene.red_light_offsets.cpu().numpy()
        xy, light_xy = (value.double().cpu().numpy() for value in (scene.ring_xy, scene.red_light_xy))
        areas = Areas.build(
            np.concatenate((xy, light_xy)),
            np.concatenate((offsets, offsets[-1] + light_offsets[1:])),
            np.concatenate((scene.ring_polygon.cpu().numpy(), num_areas + np.arange(num_lights))),
            total,
        )
        words = polygon_words(np.arange(total), total)
        layers = [*scene.polygon_layer, *[""] * num_lights]
        on_route = [*scene.polygon_on_route.tolist(), *[False] * num_lights]
        is_lane = [layer in LANE_LAYERS for layer in layers]
        vehicle = scene.vehicle.double().cpu()
        reach = float(torch.hypot(vehicle[Vehicle.HALF_LENGTH], vehicle[Vehicle.HALF_WIDTH]))
        light_ends, light = ring_edges(light_xy, light_offsets)
        line = scene.centerline.double().cpu().numpy()
        segments = np.concatenate((line[:-1], line[1:]), axis=1)
        return SceneIndex(
            areas=areas,
            lane_bits=_union(words, is_lane),
            drivable_bits=_union(words, [layer in DRIVABLE_LAYERS for layer in layers]),
            on_route_bits=_union(words, [lane and route for lane, route in zip(is_lane, on_route)]),
            intersection_bits=_union(words, [layer in INTERSECTION_LAYERS for layer in layers]),
            light_bits=torch.from_numpy(words[:, num_areas:].T.copy())[None],
            centerline=NearSegments.build(
                segments,
                np.zeros(len(segments), np.int64),
                EPDMS.lane_deviation_m,
                CENTERLINE_CELL_M,
                MAX_LINE_CELLS,
            ),
            lights=NearSegments.build(np.ascontiguousarray(light_ends.T), light, reach, LIGHT_CELL_M, MAX_LINE_CELLS),
        )

    @staticmethod
    def concatenate(parts: list[SceneIndex]) -> SceneIndex:
        """Index of several scenes; bits and lights are padded with none."""
        words = max(part.lane_bits.shape[-1] for part in parts)
        lights = max(part.light_bits.shape[1] for part in parts)

        def pad(tables: list[Tensor]) -> Tensor:
            return torch.cat([torch.nn.functional.pad(table, (0, words - table.shape[-1])) for table in tables])

        def pad_lights(table: Tensor) -> Tensor:
            return torch.nn.functional.pad(table, (0, 0, 0, lights - table.shape[1]))

        return SceneIndex(
            areas=Areas.concatenate([part.areas for part in parts]),
            lane_bits=pad([part.lane_bits for part in parts]),
            drivable_bits=pad([part.drivable_bits for part in parts]),
            on_route_bits=pad([part.on_route_bits for part in parts]),
            intersection_bits=pad([part.intersection_bits for part in parts]),
            light_bits=pad([pad_lights(part.light_bits) for part in parts]),
            centerline=NearSegments.concatenate([part.centerline for part in parts]),
            lights=NearSegments.concatenate([part.lights for part in parts]),
        )

    def to(self, device: torch.device) -> SceneIndex:
        """The same index on another device."""
        return SceneIndex(**{name: value.to(device) for name, value in vars(self).items()})


def _union(words: IntArray, chosen: list[bool]) -> Int[Tensor, "1 W"]:
    """The bits of the chosen polygons in one row; ``words`` [W, P] are those of each."""
    return torch.from_numpy(np.bitwise_or.reduce(words[:, np.array(chosen, dtype=np.bool_)], axis=1))[None]
