"""Pixel normalisation."""

from __future__ import annotations

import pytest
import torch

from navsim_agents.errors import InputError
from navsim_agents.models.pictures import PixelNormalize


def test_worked_pixels() -> None:
    """Red 255: (1 - 0.485) / 0.229; green 0: -0.456 / 0.224; blue 51: (0.2 - 0.406) / 0.225."""
    clip = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1, 1).expand(2, 3, 4, 5, 6)
    normal = PixelNormalize()(clip)
    expected = torch.tensor([2.248908, -2.035714, -0.915556]).view(1, 3, 1, 1, 1).expand(2, 3, 4, 5, 6)
    torch.testing.assert_close(normal, expected, atol=1e-5, rtol=0)


def test_state_dict_holds_nothing() -> None:
    assert PixelNormalize().state_dict() == {}


def test_scaled_pixels_are_refused() -> None:
    with pytest.raises(InputError, match=r"clip is torch.float32, but pixels are uint8"):
        PixelNormalize()(torch.rand(1, 3, 2, 4, 4))
