"""A scoring scene and its index as one flat tensor of bytes; records of one length can be stacked."""

from __future__ import annotations

from typing import Optional

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from navsim_agents.common.conventions import NUM_POSES, POSE_INTERVAL_S
from navsim_agents.errors import SceneError
from navsim_agents.scoring.config import metric_config
from navsim_agents.scoring.engines import torch_threads
from navsim_agents.scoring.packed_layout import (
    ALIGNMENT,
    HEADER_LENGTH,
    SECTIONS_AT,
    OfSection,
    header_of,
    place,
    sections_of,
)
from navsim_agents.scoring.packed_reader import PackedReader
from navsim_agents.scoring.scene import ScoringScene
from navsim_agents.scoring.scene_batch import SceneBatch, build_batch


def packed_size(scene: ScoringScene) -> int:
    """Bytes that ``scene`` needs; ``num_bytes`` of :func:`pack_scene` must be at least that."""
    return place(sections_of(scene))[1]


def pack_scene(scene: ScoringScene, num_bytes: Optional[int] = None) -> UInt8[Tensor, " num_bytes"]:
    """Everything the metrics need of one scene, with its index built.

    Args:
        scene: the scene.
        num_bytes: length of the record, zeros behind what the scene needs; None: :func:`packed_size` and no more.

    Raises:
        SceneError: the scene needs more, or ``num_bytes`` is not a multiple of 64.
    """
    sections = sections_of(scene)
    offsets, size = place(sections)
    num_bytes = size if num_bytes is None else num_bytes
    if num_bytes % ALIGNMENT:
        raise SceneError(f"num_bytes is {num_bytes}, but must be a multiple of {ALIGNMENT}; round it up")
    if size > num_bytes:
        raise SceneError(
            f"scene {scene.token} needs {size} bytes, but num_bytes={num_bytes}; raise num_bytes to at least that, or "
            "leave the scene out"
        )
    packed = np.zeros(num_bytes, dtype=np.uint8)
    header = header_of(scene)
    about_sections = header[SECTIONS_AT:].reshape(-1, len(OfSection))
    about_sections[:, OfSection.OFFSET] = offsets
    about_sections[:, OfSection.LENGTH] = [array.size for array in sections.values()]
    packed[: 8 * HEADER_LENGTH] = header.view(np.uint8)
    for offset, array in zip(offsets, sections.values()):
        packed[offset : offset + array.nbytes] = array.view(np.uint8)
    return torch.from_numpy(packed)


def unpack_scenes(
    packed: UInt8[Tensor, "B num_bytes"],
    metric: str,
    num_poses: int = NUM_POSES,
    interval_s: float = POSE_INTERVAL_S,
    dtype: torch.dtype = torch.float64,
) -> SceneBatch:
    """A batch of packed scenes for plans of ``num_poses`` poses ``interval_s`` apart, on the device of ``packed``.

    The index is read in place, so ``packed`` must not change while the batch is used. The headers are copied to the
    host, which needs the sizes; nothing else waits for the device.

    Raises:
        SceneError: a row was not made by :func:`pack_scene`, or has fewer track columns than the metric looks at.
        TrajectoryError: an unknown metric.
    """
    with torch_threads(1 if packed.device.type == "cpu" else None):
        return build_batch(PackedReader(packed), metric_config(metric), num_poses, interval_s, dtype)
