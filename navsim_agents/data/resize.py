"""Bilinear resize of 8-bit pictures in OpenCV's own fixed-point arithmetic, without OpenCV.

No antialiasing: each output pixel reads four input pixels, whatever the scale. Released weights saw such pictures.
Equal to ``cv2.resize`` (INTER_LINEAR): to the last bit at 512 x 256, within one grey level at every size.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int32]
Taps = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], IntArray]

WEIGHT_BITS = 11
ONE = 1 << WEIGHT_BITS
# A row blend has 8 + 11 bits. OpenCV drops 4 of them, multiplies by an 11-bit weight, drops 16 and rounds the last 2.
DROPPED_BEFORE, DROPPED_AFTER = 4, 16
ROUNDED = 2 * WEIGHT_BITS - DROPPED_BEFORE - DROPPED_AFTER


@lru_cache(maxsize=16)
def bilinear_taps(size_in: int, size_out: int) -> Taps:
    """Lower and upper source index and the upper one's weight (of ``ONE``) of each output sample.

    Sample centres lie half a pixel inside their pixels; beyond the border the border pixel is repeated.
    """
    centres = (np.arange(size_out) + 0.5) * (size_in / size_out) - 0.5
    centres = np.clip(centres, 0.0, size_in - 1.0)
    lower = np.floor(centres).astype(np.intp)
    upper = np.minimum(lower + 1, size_in - 1)
    return lower, upper, np.rint((centres - lower) * ONE).astype(np.int32)


def resize_columns(rows: Image, taps: Taps, channels: int) -> IntArray:
    """Blend columns of ``rows`` [H, W · channels] → [H, width · channels], in grey level · ``ONE``."""
    offsets = np.arange(channels)
    lower, upper = ((index[:, None] * channels + offsets).ravel() for index in taps[:2])
    weight = np.repeat(taps[2], channels)
    return rows.take(lower, axis=1) * (ONE - weight) + rows.take(upper, axis=1) * weight


def resize_bilinear(image: Image, width: int, height: int) -> Image:
    """Resize ``image`` [H, W, C] to [``height``, ``width``, C]."""
    rows_in, columns_in, channels = image.shape
    top, bottom, row_weight = bilinear_taps(rows_in, height)
    columns = bilinear_taps(columns_in, width)
    flat = image.reshape(rows_in, columns_in * channels)
    above, below = (resize_columns(flat.take(rows, axis=0), columns, channels) for rows in (top, bottom))
    weight = row_weight[:, None]
    blend = ((above >> DROPPED_BEFORE) * (ONE - weight) >> DROPPED_AFTER) + (
        (below >> DROPPED_BEFORE) * weight >> DROPPED_AFTER
    )
    grey = (blend + (1 << (ROUNDED - 1))) >> ROUNDED
    return grey.astype(np.uint8).reshape(height, width, channels)
