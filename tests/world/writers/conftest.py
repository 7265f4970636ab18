"""A world's files of one small drive, written once."""

import pytest

from tests.world.small_world import write_small_world


@pytest.fixture(scope="session")
def small_world(tmp_path_factory):
    return write_small_world(tmp_path_factory.mktemp("world"))
