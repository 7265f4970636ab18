"""One clip and its map, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from navsim_agents.bench2drive.clips import Clip, read_clip
from navsim_agents.bench2drive.maps import HdMap, read_map
from tests.bench2drive.made_clips import write_clip, write_map


@pytest.fixture(scope="session")
def clip_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``clips/`` and ``maps/``."""
    root = tmp_path_factory.mktemp("bench2drive")
    write_clip(root / "clips")
    write_map(root / "maps")
    return root


@pytest.fixture(scope="session")
def clip(clip_root: Path) -> Clip:
    return read_clip(next((clip_root / "clips").iterdir()))


@pytest.fixture(scope="session")
def hd_map(clip_root: Path) -> HdMap:
    return read_map(next((clip_root / "maps").iterdir()))
