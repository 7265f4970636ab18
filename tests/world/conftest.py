"""Towns and drives that many tests look at, made once."""

from __future__ import annotations

import pytest

from navsim_agents.world.drive import DriveConfig, simulate_drive
from navsim_agents.world.town_styles import TOWN_LOCATIONS
from navsim_agents.world.towns import build_town
from navsim_agents.world.types import Drive, Town
from tests.world.driven import Driven, drive_through

DRIVES = ((0, 4), (0, 16), (1, 1), (2, 10), (3, 3), (3, 11))  # town, log
SEED = 1


@pytest.fixture(scope="session")
def towns() -> dict[str, Town]:
    return {location: build_town(location) for location in TOWN_LOCATIONS}


@pytest.fixture(scope="session", params=TOWN_LOCATIONS)
def town(request, towns) -> Town:
    return towns[request.param]


@pytest.fixture(scope="session")
def drives(towns) -> list[Drive]:
    config = DriveConfig(duration_s=24.5)
    return [simulate_drive(towns[TOWN_LOCATIONS[number]], log, SEED, config) for number, log in DRIVES]


@pytest.fixture(scope="session")
def driven() -> Driven:
    return drive_through()
