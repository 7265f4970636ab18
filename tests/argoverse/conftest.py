"""One log and its scenes for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from navsim_agents.argoverse.log import SensorLog, read_log
from navsim_agents.scoring import ScoringScene
from tests.argoverse.sensor_logs import Settings, scenes_of, write_log


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the log; read only."""
    return write_log(tmp_path_factory.mktemp("argoverse"), Settings(pictures=True))


@pytest.fixture(scope="session")
def log(folder: Path) -> SensorLog:
    return read_log(folder)


@pytest.fixture(scope="session")
def scenes(log: SensorLog) -> list[ScoringScene]:
    return scenes_of(log)
