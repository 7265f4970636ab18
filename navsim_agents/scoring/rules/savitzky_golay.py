"""Savitzky-Golay filters as matrices, ends fitted by one polynomial (``scipy.signal.savgol_filter``, mode interp)."""

from __future__ import annotations

from functools import lru_cache
from math import factorial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@lru_cache(maxsize=64)
def savitzky_golay(length: int, window: int, order: int, derivative: int, step_s: float) -> Float[Tensor, "n n"]:
    """Matrix that filters ``length`` samples ``step_s`` apart; the window is cut to the length.

    The window may be even: then it reaches one sample further ahead than behind and its polynomial is read half a
    sample late, as scipy does.
    """
    window = min(window, length)
    half = window // 2
    matrix = np.zeros((length, length))
    middle = _fit(window, order, derivative, step_s, (window - 1) / 2.0)
    behind = (window - 1) // 2
    for row in range(half, length - half):
        matrix[row, row - behind : row - behind + window] = middle
    for row in range(half):
        matrix[row, :window] = _fit(window, order, derivative, step_s, float(row))
        matrix[length - 1 - row, length - window :] = _fit(window, order, derivative, step_s, float(window - 1 - row))
    return torch.from_numpy(matrix)


def _fit(window: int, order: int, derivative: int, step_s: float, position: float) -> np.ndarray:
    """Weights of the samples in the derivative, at ``position``, of the polynomial fitted to a window."""
    powers = np.vander(np.arange(window) - position, order + 1, increasing=True)
    return np.linalg.pinv(powers)[derivative] * factorial(derivative) / step_s**derivative
