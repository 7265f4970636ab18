"""One scoring scene: everything that both metrics need, without the devkit (design: one ``.npz``, schema 1)."""

from __future__ import annotations

import copy
import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Optional, Union

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from navsim_agents.common.files import write_bytes
from navsim_agents.errors import SceneError
from navsim_agents.scoring.scene_checks import check_scene, check_shapes
from navsim_agents.scoring.scene_index import SceneIndex

SCHEMA_VERSION = 1
SCENE_TEXT_KEYS = ("devkit", "token", "log_name", "map_name", "scene_type", "reference_driver")
LIST_TEXT_KEYS = ("polygon_layer", "polygon_token", "track_token", "track_type", "red_light_token")
INTEGER_KEYS = ("ring_offsets", "ring_polygon", "red_light_offsets", "model_knots_us", "sample_times_us")
TRUTH_KEYS = ("ring_is_hole", "polygon_on_route", "track_is_agent", "collided_track", "track_valid", "red_light_active")
PDM_CLOSED = "pdm_closed"  # who drives where nobody says otherwise
OPTIONAL_KEYS = ("model_knots_us", "sample_times_us", "reference_driver")


@dataclass(frozen=True)
class ScoringScene:
    """Frames: everything is in the ego's rear-axle frame at t0 (x ahead, y left; m, rad), except ``ego_pose``.

    H history states, M centreline points, V ring vertices, R rings, P polygons, K tracks, T track columns 0.1 s
    apart, L red lights, E vertices of theirs.
    """

    devkit: str  # v1.1 or v2.2: whose rules the cache was built with
    token: str
    log_name: str
    map_name: str
    scene_type: str  # original or synthetic
    timestamp_us: int
    ego_pose: Float[Tensor, " 3"]  # rear axle in the map frame
    ego_state: Float[Tensor, " 11"]
    vehicle: Float[Tensor, " 4"]  # half length, half width, rear axle to centre, wheel base
    history_states: Float[Tensor, "H 11"]
    human_trajectory: Float[Tensor, "8 3"]
    pdm_trajectory: Float[Tensor, "41 11"]
    centerline: Float[Tensor, "M 2"]
    ring_xy: Float[Tensor, "V 2"]
    ring_offsets: Int[Tensor, " R1"]
    ring_polygon: Int[Tensor, " R"]
    ring_is_hole: Bool[Tensor, " R"]
    polygon_layer: tuple[str, ...]
    polygon_token: tuple[str, ...]
    polygon_on_route: Bool[Tensor, " P"]
    track_token: tuple[str, ...]
    track_type: tuple[str, ...]
    track_is_agent: Bool[Tensor, " K"]
    collided_track: Bool[Tensor, " K"]
    track_size: Float[Tensor, "K 2"]  # length, width
    track_speed: Float[Tensor, " K"]  # of the first appearance
    track_heading: Float[Tensor, " K"]  # of the first appearance
    track_poses: Float[Tensor, "K T 3"]
    track_valid: Bool[Tensor, "K T"]
    red_light_token: tuple[str, ...]
    red_light_xy: Float[Tensor, "E 2"]
    red_light_offsets: Int[Tensor, " L1"]
    red_light_active: Bool[Tensor, "L T"]
    model_knots_us: Optional[Int[Tensor, " 9"]] = None
    sample_times_us: Optional[Int[Tensor, " 41"]] = None
    reference_driver: str = PDM_CLOSED  # who drives ``pdm_trajectory``; the built-in world has a driver of its own

    def __post_init__(self) -> None:
        check_scene(self)

    @property
    def device(self) -> torch.device:
        """Where the scene's tensors are."""
        return self.ego_pose.device

    @cached_property
    def index(self) -> SceneIndex:
        """Grids over polygons, centreline and lights; built at first use (some milliseconds) and kept."""
        return SceneIndex.build(self).to(self.device)

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
        names = [field.name for field in fields(ScoringScene)]
        missing = [name for name in names if name not in arrays and name not in OPTIONAL_KEYS]
        if missing:
            raise SceneError(f"the scene lacks {', '.join(missing)}; export it again with every key of the contract")
        values = {name: _from_array(name, arrays[name]) for name in names if name in arrays}
        check_shapes({**dict.fromkeys(OPTIONAL_KEYS), **values})
        return ScoringScene(**values)

    def to_arrays(self) -> dict[str, npt.NDArray]:
        """The arrays of the contract; the reference driver is named only where it is not PDM-Closed."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.reference_driver == PDM_CLOSED:
            del values["reference_driver"]
        arrays = {name: _to_array(value) for name, value in values.items() if value is not None}
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


def _from_array(name: str, array: npt.NDArray) -> Any:
    """A field's value from its array."""
    if name in SCENE_TEXT_KEYS:
        return str(array)
    if name in LIST_TEXT_KEYS:
        return tuple(str(entry) for entry in array.reshape(-1).tolist())
    if name == "timestamp_us":
        return int(array)
    kind = np.int64 if name in INTEGER_KEYS else np.bool_ if name in TRUTH_KEYS else np.float64
    return torch.from_numpy(array.astype(kind))


def _to_array(value: object) -> npt.NDArray:
    """Inverse of :func:`_from_array`."""
    if isinstance(value, Tensor):
        return value.cpu().numpy()
    return np.asarray(value, dtype="U1") if value == () else np.asarray(value)
