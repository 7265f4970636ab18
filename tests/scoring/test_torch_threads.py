"""Torch has fewer threads for a while, and all of them again whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import pytest
import torch

from navsim_agents.scoring.engines import torch_threads


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("count", "meanwhile"), [(1, 1), (2, 2), (3, 3), (None, 3)])
def test_torch_has_so_many_meanwhile(count: Optional[int], meanwhile: int) -> None:
    with torch_threads(count):
        assert torch.get_num_threads() == meanwhile
    assert torch.get_num_threads() == 3


def test_an_error_gives_them_back() -> None:
    with pytest.raises(KeyError), torch_threads(1):
        raise KeyError
    assert torch.get_num_threads() == 3
