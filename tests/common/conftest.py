"""One tiny world for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.common.tiny_world import build


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of what every command needs, by the names in ``Command.needed``; tests change copies of it."""
    return build(tmp_path_factory.mktemp("tiny"))
