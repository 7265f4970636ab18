"""What an encoder sees in a clip, as a picture: tokens that are alike have one colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from navsim_agents.evaluation.encoder_weights import RANDOM
from navsim_agents.models.checkpoint import load_encoder_weights
from navsim_agents.models.pictures import PixelNormalize
from navsim_agents.models.presets import encoder_preset

NUM_COLOURS = 3
SHOWN_PERCENT = (1.0, 99.0)
"""The range of a component that becomes 0 … 255; what lies beyond is clipped."""
GAP_PX = 4
WHITE = 255


def feature_sheet(
    clip: UInt8[Tensor, "3 frames H W"], encoder: str, weights: Sequence[str], seed: int, entry: Optional[str] = None
) -> npt.NDArray[np.uint8]:
    """One row of the clip's frames, then one row for each of ``weights``, a column for each time step of the tokens.

    Args:
        clip: pixels.
        encoder: preset.
        weights: checkpoints, or ``random``.
        seed: of random weights.
        entry: of the checkpoints, which of their encoders; None: the usual one.

    Returns:
        A picture [height, width, 3].

    Raises:
        CheckpointError: a checkpoint cannot be read, or is not of this encoder.
    """
    tubelet, (height, width) = encoder_preset(encoder).tubelet_size, clip.shape[-2:]
    rows = [clip[:, tubelet - 1 :: tubelet].permute(1, 2, 3, 0).numpy()]
    for each in weights:
        colours = principal_colours(encode(encoder, each, clip, seed, entry))  # [T, rows, columns, 3]
        rows.append(np.stack([enlarge(step, width, height) for step in colours]))
    return montage(rows)


def encode(
    name: str, weights: str, clip: UInt8[Tensor, "3 frames H W"], seed: int, entry: Optional[str] = None
) -> Float[Tensor, "T rows columns D"]:
    """Tokens of ``clip`` in their places, from the preset ``name`` with ``weights``."""
    torch.manual_seed(seed)
    encoder = encoder_preset(name).build().eval()
    if weights != RANDOM:
        load_encoder_weights(encoder, Path(weights).expanduser(), entry)
    grid = encoder.config.grid(*clip.shape[1:])
    with torch.inference_mode():
        tokens = encoder(PixelNormalize()(clip.unsqueeze(0))).squeeze(0)
    return tokens.unflatten(0, (grid.times, grid.rows, grid.columns))


def principal_colours(tokens: Float[Tensor, "*grid D"]) -> npt.NDArray[np.uint8]:
    """First three principal components of ``tokens`` as colours [*grid, 3], one basis and one scale for all of them.

    A component's sign is free; it is chosen so that its largest weight is positive, which makes pictures repeatable.
    """
    flat = tokens.flatten(0, -2).double()
    centred = flat - flat.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    basis = directions[:NUM_COLOURS]
    largest = basis.gather(1, basis.abs().argmax(1, keepdim=True))
    values = (centred @ (basis * largest.sign()).T).numpy()  # [N, 3]
    low, high = np.percentile(values, SHOWN_PERCENT, axis=0)
    scaled = (values - low) / np.maximum(high - low, np.finfo(np.float64).tiny)
    colours: npt.NDArray[np.uint8] = np.rint(WHITE * np.clip(scaled, 0.0, 1.0)).astype(np.uint8)
    return colours.reshape(*tokens.shape[:-1], NUM_COLOURS)


def enlarge(picture: UInt8[np.ndarray, "rows columns 3"], width: int, height: int) -> npt.NDArray[np.uint8]:
    """``picture`` as blocks that fill [``height``, ``width``, 3]."""
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST))


def montage(rows: Sequence[UInt8[np.ndarray, "_ _ _ 3"]]) -> UInt8[np.ndarray, "H W 3"]:
    """Rows of pictures [n, H, W, 3] on white."""
    _, height, width, channels = rows[0].shape
    columns = max(map(len, rows))
    shape = (len(rows) * (height + GAP_PX) - GAP_PX, columns * (width + GAP_PX) - GAP_PX, channels)
    sheet = np.full(shape, WHITE, dtype=np.uint8)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            top, left = row * (height + GAP_PX), column * (width + GAP_PX)
            sheet[top : top + height, left : left + width] = picture
    return sheet
