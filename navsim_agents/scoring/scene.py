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
from typing import Any, BinaryIO, Union

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from navsim_agents.common.files import write_bytes
from navsim_agents.errors import SceneError
from navsim_agents.scoring.scene_checks import check_scene, check_shapes
from navsim_agents.scoring.scene_fields import (
    INTEGER_KEYS,
    LIST_TEXT_KEYS,
    OPTIONAL_KEYS,
    PDM_CLOSED,
    SCENE_TEXT_KEYS,
    TRUTH_KEYS,
    SceneFields,
)
from navsim_agents.scoring.scene_index import SceneIndex

SCHEMA_VERSION = 1


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
