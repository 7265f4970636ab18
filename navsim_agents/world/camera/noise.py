"""Smooth random fields that repeat seamlessly, for the grain of the ground and for clouds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32, Float64
from PIL import Image


def tileable_noise(size: int, octaves: tuple[int, ...], seed: int) -> Float32[np.ndarray, "..."]:
    """A field [size, size] in [-1, 1] that repeats at its edges.

    Each of ``octaves`` is the number of random cells along a side; finer ones weigh less.
    """
    rng = np.random.default_rng(seed)
    field = np.zeros((size, size))
    for level, cells in enumerate(octaves):
        field += _smooth_cells(rng.uniform(-1.0, 1.0, (cells, cells)), size) * 0.6**level
    return (field / np.abs(field).max()).astype(np.float32)


def _smooth_cells(values: Float64[np.ndarray, "C C"], size: int) -> npt.NDArray[np.float64]:
    """Random ``values`` enlarged to [size, size], continuous across the edges."""
    cells = len(values)
    border = 3
    wrapped = np.pad(values, border, mode="wrap").astype(np.float32)
    step = size / cells
    image = Image.fromarray(wrapped)
    box = (float(border), float(border), float(border + cells), float(border + cells))
    resample = Image.Resampling.BICUBIC if step > 1 else Image.Resampling.BOX
    return np.asarray(image.resize((size, size), resample, box=box), dtype=np.float64)
