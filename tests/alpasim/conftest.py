"""A served agent that says what it is shown, its client, and a session with the front camera."""

from __future__ import annotations

from typing import Any

import pytest

from tests.alpasim.package import needing_package


@pytest.fixture
def agent() -> Any:
    return needing_package("tests.alpasim.rollouts").Told()


@pytest.fixture
def client(agent: Any) -> Any:
    from tests.alpasim import rollouts

    with rollouts.served(agent) as (found, _):
        yield found


@pytest.fixture
def session(client: Any) -> Any:
    from tests.alpasim import rollouts

    with client.start(rollouts.declared()) as found:
        yield found
